"""The whole alphabet of the call machine on one screen: state, inputs, effects. Frozen and pure.

The hub is the authority on calls: it pushes the whole call with a rising revision, and the machine
compares what it knew with what it is told. Media and signalling report what they did as inputs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mediaagentd.errors import Refused

# --------------------------------------------------------------------------------- words


class CallType(enum.Enum):
    """Kind of a call; the numbers are the source's."""

    AUDIO = 1
    VIDEO = 2


class MemberState(enum.Enum):
    """What became of one member of a call; the hub's words (`mediaagent.hub.v1.MemberState`)."""

    PENDING = 1
    JOINED = 2
    LEFT = 3
    REJECTED = 4
    BUSY = 5
    NO_RESPONSE = 6
    CANCELLED = 7


class EndReason(enum.Enum):
    """Why a call is over (`mediaagent.v1.EndReason`)."""

    HANGUP = 1
    CANCELLED = 2
    REJECTED = 3
    BUSY = 4
    NO_RESPONSE = 5
    ANSWERED_ELSEWHERE = 6
    DECLINED_ELSEWHERE = 7
    CONNECTION_LOST = 8
    DEVICE_LOST = 9
    KICKED_OUT = 10
    LOGGED_OUT = 11


class Phase(enum.Enum):
    """Where this agent stands in a call (`mediaagent.v1.CallState`)."""

    DIALLING = 1
    RINGING = 2
    CONNECTING = 3
    ACTIVE = 4
    RECONNECTING = 5
    ENDED = 6


class Link(enum.Enum):
    """State of the media connection with one participant (`mediaagent.v1.LinkState`)."""

    CONNECTING = 1
    UP = 2
    RECONNECTING = 3


class SessionPhase(enum.Enum):
    """State of the session with the hub (`mediaagent.v1.SessionState`)."""

    LOGGED_OUT = 1
    ONLINE = 2
    RECONNECTING = 3
    KICKED_OUT = 4


class ErrorCode(enum.IntEnum):
    """The source's codes of the ERROR event."""

    SWITCH_TO_AUDIO_FAILED = 60001
    SWITCH_TO_VIDEO_FAILED = 60002
    NO_MICROPHONE = 60003
    NO_CAMERA = 60004
    NO_PERMISSION = 60005


# --------------------------------------------------------------------------------- the hub's call


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a call as the hub keeps it; of two joined the later `join_order` offers."""

    user_id: str
    state: MemberState
    device_id: str = ""
    join_order: int = 0
    audio: bool = False
    video: bool = False


@dataclass(frozen=True, slots=True)
class HubCall:
    """A call as the hub keeps it (`mediaagent.hub.v1.Call`). `timeout`: seconds left to answer when it
    was sent, None for no limit. Times here are the machine's own clock, never the hub's.
    """

    call_id: str
    invite_id: str
    room_id: int
    type: CallType
    sponsor: str
    members: tuple[Member, ...]
    revision: int
    group_id: str = ""
    timeout: float | None = None
    ended: bool = False
    end_reason: EndReason | None = None
    ended_by: str = ""

    def member(self, user_id: str) -> Member | None:
        """The member of that name, None when there is none."""
        return next((m for m in self.members if m.user_id == user_id), None)


# --------------------------------------------------------------------------------- state


@dataclass(frozen=True, slots=True)
class Participant:
    """Another user who joined the call. `attempt` names the media connection with that user: the
    join_order of the later of the two. `entered` is the time of the first media, None before;
    `deadline` is when a connection that is not up is given up.
    """

    user_id: str
    attempt: int
    link: Link
    audio: bool
    video: bool
    entered: float | None = None
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """The present or last call as this agent sees it. Times in seconds of the machine's clock.

    `hub.timeout` stays the time left when the call was first heard of. `request_id` is the dialling
    client's. `given_up` are connections (user, attempt) that are final and not made again, though the
    hub still counts that user in. `streamed` tells that the hub's stream has spoken of the call, not
    only a reply; one that a list leaves out before that is `doubted` until then, for the list may be
    older than the call.
    """

    hub: HubCall
    phase: Phase
    outgoing: bool
    participants: tuple[Participant, ...]
    invited: float
    answered: float | None = None
    ended: float | None = None
    end_reason: EndReason | None = None
    ended_by: str = ""
    request_id: str = ""
    given_up: tuple[tuple[str, int], ...] = ()
    streamed: bool = False
    doubted: float | None = None

    def participant(self, user_id: str) -> Participant | None:
        """The participant of that name, None when there is none."""
        return next((p for p in self.participants if p.user_id == user_id), None)

    @property
    def duration(self) -> float:
        """Seconds from answer to end, 0 when never answered or not over."""
        if self.answered is None or self.ended is None:
            return 0.0
        return self.ended - self.answered


@dataclass(frozen=True, slots=True)
class Pending:
    """A hub command under way: its operation number, what it is, and when it is given up. `also` are
    later operations that asked for the same and share the outcome.
    """

    op: int
    command: HubCommand
    deadline: float
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Probe:
    """The camera is being opened. `op` names the ProbeCamera effect (negative when the machine opens it
    by itself); `waiting` are the operations that it answers; `preview` as in State.
    """

    op: int
    deadline: float
    waiting: tuple[int, ...] = ()
    preview: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the machine knows.

    `call` is the live call, or None; a call that ends leaves through `previous` (so that events can
    carry it whole). `pending` is the command that waits for the hub, `probe` the camera being opened,
    `probes` numbers the automatic ones. `camera` tells that the camera is open; `preview` that the user
    opened it outside of a call, so that the end of a call does not close it. `announced` is the
    availability (audio, video) last told to the hub for this call. `held` is what was told of other
    calls while a dial waits for the hub: one may turn out to be the dialled call. `over` names the calls
    of this login that are over here, the newest last and not many, whose late news are ignored.
    `device_id` is empty when unknown.
    """

    session: SessionPhase = SessionPhase.LOGGED_OUT
    user_id: str = ""
    device_id: str = ""
    kicked_by: str = ""
    call: Call | None = None
    previous: Call | None = None
    pending: Pending | None = None
    held: tuple[HubCall, ...] = ()
    over: tuple[str, ...] = ()
    camera: bool = False
    preview: bool = False
    probe: Probe | None = None
    probes: int = 0
    muted: bool = False
    announced: tuple[bool, bool] | None = None


# --------------------------------------------------------------------------------- inputs

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
class Tick:
    """The deadline has come."""


Command = Dial | Answer | Decline | Hangup | Switch | OpenCamera | CloseCamera | SetMicMute
Report = (
    SessionChanged | CallChanged | CallsListed | HubDone | HubFailed
    | PeerUp | PeerDown | CameraOpened | CameraFailed | Tick
)  # fmt: skip
Input = Command | Report

# --------------------------------------------------------------------------------- effects


@dataclass(frozen=True, slots=True)
class Invite:
    """HubService.Invite."""

    user_ids: tuple[str, ...]
    type: CallType
    timeout: float | None
    group_id: str
    request_id: str


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
    """HubService.Hangup."""

    call_id: str


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


HubCommand = Invite | Accept | Reject | Leave | SwitchCallType | SetAvailability


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

Change = tuple[State, tuple[Effect, ...]]
"""What a part of the machine answers: the state after, and what is to be done."""
