"""What the call machine wants done: commands for the hub, connections, the camera, answers."""

from __future__ import annotations

from dataclasses import dataclass

from mediaagentd.call.words import CallType, EndReason, ErrorCode
from mediaagentd.errors import Refused

# --------------------------------------------------------------------------------- commands for the hub


@dataclass(frozen=True, slots=True)
class Invite:
    """HubService.Invite."""

    user_ids: tuple[str, ...]
    type: CallType
    timeout: float | None
    group_id: str
    request_id: str
    user_data: bytes = b""


@dataclass(frozen=True, slots=True)
class InviteMore:
    """HubService.InviteMore."""

    call_id: str
    user_ids: tuple[str, ...]
    timeout: float | None
    request_id: str


@dataclass(frozen=True, slots=True)
class JoinCall:
    """HubService.JoinCall: by call or by group, the other is empty."""

    call_id: str
    group_id: str


@dataclass(frozen=True, slots=True)
class Accept:
    """HubService.Accept."""

    invite_id: str


@dataclass(frozen=True, slots=True)
class Reject:
    """HubService.Reject."""

    invite_id: str
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Leave:
    """HubService.Hangup. `reason` is what the others hear: HANGUP, CONNECTION_LOST or LOGGED_OUT."""

    call_id: str
    reason: EndReason = EndReason.HANGUP


@dataclass(frozen=True, slots=True)
class SwitchCallType:
    """HubService.SwitchCallType."""

    call_id: str
    type: CallType


@dataclass(frozen=True, slots=True)
class SetAvailability:
    """HubService.SetAvailability."""

    call_id: str
    audio: bool
    video: bool


HubCommand = Invite | InviteMore | JoinCall | Accept | Reject | Leave | SwitchCallType | SetAvailability


@dataclass(frozen=True, slots=True)
class Hub:
    """Send a command to the hub; HubDone or HubFailed with this `op` follows. `op` 0: nobody waits, the
    outcome is not reported, and signalling retries it until the hub has answered; such commands reach
    the hub in the order in which they were given.
    """

    op: int
    command: HubCommand


@dataclass(frozen=True, slots=True)
class OpenPeer:
    """Make the media connection with that user; `offers`: we make the offer."""

    call_id: str
    user_id: str
    attempt: int
    offers: bool


@dataclass(frozen=True, slots=True)
class ClosePeer:
    """End the media connection with that user."""

    call_id: str
    user_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class ProbeCamera:
    """Open the camera; CameraOpened or CameraFailed with this `op` follows. Negative: the machine asked
    by itself.
    """

    op: int


@dataclass(frozen=True, slots=True)
class ReleaseCamera:
    """Close the camera."""


@dataclass(frozen=True, slots=True)
class SetSending:
    """What may leave for the peers from now on: sound, picture."""

    audio: bool
    video: bool


@dataclass(frozen=True, slots=True)
class Raise:
    """Publish an ERROR event."""

    code: ErrorCode
    message: str


@dataclass(frozen=True, slots=True)
class Done:
    """The command of that `op` succeeded."""

    op: int


@dataclass(frozen=True, slots=True)
class Failed:
    """The command of that `op` failed after it had begun; the state is as before it. Where an ERROR event
    belongs to it, a Raise comes along.
    """

    op: int
    error: Refused


Effect = Hub | OpenPeer | ClosePeer | ProbeCamera | ReleaseCamera | SetSending | Raise | Done | Failed
