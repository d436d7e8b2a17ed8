"""What the call machine is told: commands of clients, reports of signalling and of media."""

from __future__ import annotations

from dataclasses import dataclass

from mediaagentd.call.state import HubCall
from mediaagentd.call.words import CallType, EndReason, SessionPhase
from mediaagentd.errors import Refused

# Commands of a client. `op` names the operation; the machine answers it with exactly one Done or
# Failed effect, or raises Refused before anything changed.


@dataclass(frozen=True, slots=True)
class Dial:
    """Call or GroupCall. `timeout` in seconds, None for no limit. The hub needs a `request_id`: the shell
    makes one when the client gave none.
    """

    op: int
    user_ids: tuple[str, ...]
    type: CallType
    timeout: float | None = None
    group_id: str = ""
    request_id: str = ""
    user_data: bytes = b""


@dataclass(frozen=True, slots=True)
class InviteUsers:
    """InviteUsers: into the call that this agent is in. As Dial."""

    op: int
    user_ids: tuple[str, ...]
    timeout: float | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Join:
    """JoinGroupCall: the call of that id, or the one that runs in that group."""

    op: int
    call_id: str = ""
    group_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """Accept; `room_id` 0 and `type` None leave it to the agent."""

    op: int
    invite_id: str
    room_id: int = 0
    type: CallType | None = None


@dataclass(frozen=True, slots=True)
class Decline:
    """Reject."""

    op: int
    invite_id: str
    is_busy: bool = False
    type: CallType | None = None


@dataclass(frozen=True, slots=True)
class Hangup:
    """Hangup: ends at once here, with or without the hub. `reason` is LOGGED_OUT on logout and stop."""

    op: int
    reason: EndReason = EndReason.HANGUP


@dataclass(frozen=True, slots=True)
class Switch:
    """SwitchToAudioCall or SwitchToVideoCall."""

    op: int
    type: CallType


@dataclass(frozen=True, slots=True)
class OpenCamera:
    """OpenCamera; done when the device has proved that it works."""

    op: int


@dataclass(frozen=True, slots=True)
class CloseCamera:
    """CloseCamera."""

    op: int


@dataclass(frozen=True, slots=True)
class SetMicMute:
    """SetMicMute."""

    op: int
    muted: bool


# Reports of signalling.


@dataclass(frozen=True, slots=True)
class SessionChanged:
    """The session with the hub changed; `kicked_by` is the other device for KICKED_OUT, `device_id` this
    one (to tell an answer of this device from one of another device of the user).
    """

    session: SessionPhase
    user_id: str
    kicked_by: str = ""
    device_id: str = ""


@dataclass(frozen=True, slots=True)
class CallChanged:
    """The hub pushed a call."""

    call: HubCall


@dataclass(frozen=True, slots=True)
class CallsListed:
    """The stream began: every live call that concerns this user. What is not in it is over."""

    calls: tuple[HubCall, ...]


@dataclass(frozen=True, slots=True)
class HubDone:
    """The hub did what an effect asked; `call` is absent when it has forgotten it."""

    op: int
    call: HubCall | None


@dataclass(frozen=True, slots=True)
class HubFailed:
    """The hub refused, or could not be reached."""

    op: int
    error: Refused


# Reports of media. They name the attempt, so that a report of an old connection is ignored.


@dataclass(frozen=True, slots=True)
class PeerUp:
    """Media flows with that user."""

    call_id: str
    user_id: str
    attempt: int


@dataclass(frozen=True, slots=True)
class PeerDown:
    """The connection with that user is lost; `final` when media has given up on it."""

    call_id: str
    user_id: str
    attempt: int
    final: bool = True


@dataclass(frozen=True, slots=True)
class CameraOpened:
    """The camera works. `op` is of the ProbeCamera effect."""

    op: int


@dataclass(frozen=True, slots=True)
class CameraFailed:
    """The camera cannot be opened (`op` of the effect), or stopped working (`op` 0)."""

    op: int
    error: Refused


@dataclass(frozen=True, slots=True)
class MicrophoneFailed:
    """The microphone cannot be opened or stopped working; media tries again while it is wanted."""

    error: Refused


@dataclass(frozen=True, slots=True)
class MicrophoneOpened:
    """A microphone that had failed works."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


Command = (
    Dial | InviteUsers | Join | Answer | Decline | Hangup | Switch | OpenCamera | CloseCamera | SetMicMute
)  # fmt: skip
Report = (
    SessionChanged | CallChanged | CallsListed | HubDone | HubFailed
    | PeerUp | PeerDown | CameraOpened | CameraFailed | MicrophoneFailed | MicrophoneOpened | Tick
)  # fmt: skip
Input = Command | Report
