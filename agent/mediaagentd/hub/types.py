"""The alphabet of the hub's core: what it keeps, what it is told, what it wants done. Frozen and pure."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CallType(enum.Enum):
    """`mediaagent.v1.CallType`."""

    AUDIO = 1
    VIDEO = 2


class MemberState(enum.Enum):
    """`mediaagent.hub.v1.MemberState`."""

    PENDING = 1
    JOINED = 2
    LEFT = 3
    REJECTED = 4
    BUSY = 5
    NO_RESPONSE = 6
    CANCELLED = 7


class EndReason(enum.Enum):
    """`mediaagent.v1.EndReason`, those that a hub gives."""

    HANGUP = 1
    CANCELLED = 2
    REJECTED = 3
    BUSY = 4
    NO_RESPONSE = 5
    DEVICE_LOST = 9
    KICKED_OUT = 10
    LOGGED_OUT = 11


# --------------------------------------------------------------------------------- what it keeps


@dataclass(frozen=True, slots=True)
class Session:
    """One logged-in device. `token` is the secret of its calls to us; `expires` its lease's end."""

    token: str
    user_id: str
    device_id: str
    expires: float


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a call. `session` is the token of the session that answered or invited."""

    user_id: str
    state: MemberState
    session: str = ""
    device_id: str = ""
    join_order: int = 0
    audio: bool = False
    video: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `members[0]` is the sponsor. Times are seconds of the hub's clock; `deadline` is when
    pending invitations time out, None for never.
    """

    call_id: str
    invite_id: str
    room_id: int
    type: CallType
    members: tuple[Member, ...]
    group: bool
    created: float
    deadline: float | None
    request_id: str
    group_id: str = ""
    revision: int = 1
    joins: int = 1
    ended: bool = False
    end_reason: EndReason | None = None
    ended_by: str = ""

    @property
    def sponsor(self) -> str:
        """The inviter."""
        return self.members[0].user_id


@dataclass(frozen=True, slots=True)
class Limits:
    """What a hub allows. Seconds; `members` counts the people in one call, `remembered` the calls that
    are over and still answered for.
    """

    lease: float = 30.0
    members: int = 6
    remembered: int = 10_000


# --------------------------------------------------------------------------------- what it is told
#
# `token` names the session that asks; an unknown one is Refused(SESSION_UNKNOWN). Identifiers that a
# command makes (session, call, invitation, room) come with it, so that the core stays deterministic.


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
    """Make a call; `call_id`, `invite_id`, `room_id` are fresh. `group`: made by groupCall."""

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
    """Leave or cancel a call."""

    token: str
    call_id: str


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
class Tick:
    """The deadline has come: leases and invitations run out."""


Input = (
    Login | Logout | RenewLease | Invite | Accept | Reject | Hangup | SwitchCallType
    | SetAvailability | Relay | Tick
)  # fmt: skip

# --------------------------------------------------------------------------------- what it wants done
#
# The shell stores first (one transaction), then pushes, then replies.


@dataclass(frozen=True, slots=True)
class PutUser:
    """This user exists (has logged in once); store it."""

    user_id: str


@dataclass(frozen=True, slots=True)
class PutSession:
    """Store this session."""

    session: Session


@dataclass(frozen=True, slots=True)
class DropSession:
    """Forget this session; its stream ends. `kicked_by`: the device whose login won, else empty."""

    token: str
    kicked_by: str = ""


@dataclass(frozen=True, slots=True)
class PutCall:
    """Store this call."""

    call: Call


@dataclass(frozen=True, slots=True)
class DropCall:
    """Forget this call."""

    call_id: str


@dataclass(frozen=True, slots=True)
class PushCall:
    """Tell a session of this call as it is now."""

    token: str
    call: Call


@dataclass(frozen=True, slots=True)
class PushSignal:
    """Hand a relayed signal to a session."""

    token: str
    call_id: str
    sender: str
    signal: object


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to the command: the call as it is now, None when it is forgotten."""

    call: Call | None


Effect = PutUser | PutSession | DropSession | PutCall | DropCall | PushCall | PushSignal | Reply
