"""What the hub's core is told.

`token` names the session that asks; an unknown one is Refused(SESSION_UNKNOWN). Identifiers that a command
makes (session, call, invitation, room, group) come with it, so that the core stays deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass

from mediaagentd.hub.values import CallType, EndReason


@dataclass(frozen=True, slots=True)
class Login:
    """A verified login. `token` is the new session's."""

    token: str
    user_id: str
    device_id: str


@dataclass(frozen=True, slots=True)
class Logout:
    """The session ends."""

    token: str


@dataclass(frozen=True, slots=True)
class RenewLease:
    """The session lives."""

    token: str


@dataclass(frozen=True, slots=True)
class Invite:
    """Make a call; `call_id`, `invite_id`, `room_id` are fresh. `group`: made by groupCall. No `user_ids`
    with a `group_id` are all its members.
    """

    token: str
    call_id: str
    invite_id: str
    room_id: int
    user_ids: tuple[str, ...]
    type: CallType
    timeout: float | None
    group: bool
    group_id: str
    request_id: str
    user_data: bytes = b""


@dataclass(frozen=True, slots=True)
class InviteMore:
    """Ask more users into a running call; `invite_id` is fresh."""

    token: str
    call_id: str
    invite_id: str
    user_ids: tuple[str, ...]
    timeout: float | None
    request_id: str


@dataclass(frozen=True, slots=True)
class JoinCall:
    """Enter a running group call, named by itself or by its group."""

    token: str
    call_id: str = ""
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class Accept:
    """Join the call of an invitation."""

    token: str
    invite_id: str


@dataclass(frozen=True, slots=True)
class Reject:
    """Decline an invitation."""

    token: str
    invite_id: str
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Hangup:
    """Leave or cancel a call. `reason` is what the others hear."""

    token: str
    call_id: str
    reason: EndReason = EndReason.HANGUP


@dataclass(frozen=True, slots=True)
class SwitchCallType:
    """Make it audio or video."""

    token: str
    call_id: str
    type: CallType


@dataclass(frozen=True, slots=True)
class SetAvailability:
    """Microphone and camera of the asking member."""

    token: str
    call_id: str
    audio: bool
    video: bool


@dataclass(frozen=True, slots=True)
class Relay:
    """Hand `signal` (opaque to the core) to another joined member."""

    token: str
    call_id: str
    to_user_id: str
    signal: object


@dataclass(frozen=True, slots=True)
class AcknowledgeMissed:
    """These missed calls are kept on the device."""

    token: str
    invite_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreateGroup:
    """Make a group; `group_id` is chosen by the asking one or fresh."""

    token: str
    group_id: str
    name: str
    member_ids: tuple[str, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class DeleteGroup:
    """Delete a group."""

    token: str
    group_id: str


@dataclass(frozen=True, slots=True)
class AddGroupMembers:
    """Add members."""

    token: str
    group_id: str
    user_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RemoveGroupMembers:
    """Remove members; oneself to leave."""

    token: str
    group_id: str
    user_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GetGroup:
    """Show a group."""

    token: str
    group_id: str


@dataclass(frozen=True, slots=True)
class ListGroups:
    """Show the groups of the asking user, at most `size` after the id `after`."""

    token: str
    size: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come: leases and invitations run out."""


CallInput = (
    Invite | InviteMore | JoinCall | Accept | Reject | Hangup | SwitchCallType | SetAvailability | Relay
)  # fmt: skip
GroupInput = CreateGroup | DeleteGroup | AddGroupMembers | RemoveGroupMembers | GetGroup | ListGroups
Input = Login | Logout | RenewLease | CallInput | GroupInput | AcknowledgeMissed | Tick
