"""What the call machine knows: calls as the hub keeps them, and as this agent sees them."""

from __future__ import annotations

from dataclasses import dataclass

from mediaagentd.call.effects import Effect, HubCommand
from mediaagentd.call.words import CallType, EndReason, Link, MemberState, Phase, SessionPhase

# --------------------------------------------------------------------------------- the hub's call


@dataclass(frozen=True, slots=True)
class Invitation:
    """What asks a user into a call. `timeout`: seconds left to answer when it was sent, None for no limit."""

    invite_id: str
    sponsor: str
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a call as the hub keeps it; of two joined the later `join_order` offers. `invitation`
    asked it into the call when that ran already; None for the one that made the call, and for who joined by
    itself. `left`: why it left, None unless it did.
    """

    user_id: str
    state: MemberState
    device_id: str = ""
    join_order: int = 0
    audio: bool = False
    video: bool = False
    invitation: Invitation | None = None
    left: EndReason | None = None


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
    is_group: bool = False
    user_data: bytes = b""

    def member(self, user_id: str) -> Member | None:
        """The member of that name, None when there is none."""
        return next((m for m in self.members if m.user_id == user_id), None)

    def invitation(self, member: Member) -> Invitation:
        """What asked that member in: a later invitation, else the one that made the call."""
        return member.invitation or Invitation(self.invite_id, self.sponsor, self.timeout)


# --------------------------------------------------------------------------------- this agent's


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

    `hub.timeout` stays the time left when the call was first heard of, `heard` is when its latest revision
    was. `other_device_id` is the device of this user that answered or declined it instead of this one.
    `request_id` is the dialling client's.
    `given_up` are connections (user, attempt) that are final and not made again, though the hub still counts
    that user in. `streamed` tells that the hub's stream has spoken of the call, not only a reply; one that a
    list leaves out before that is `doubted` until then, for the list may be older than the call.
    `invitation` asked this user into a call that ran already; `uninvited` joined by itself. `accepting`
    tells that the hub was asked to let us join by it, whatever came of that.
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
    other_device_id: str = ""
    request_id: str = ""
    given_up: tuple[tuple[str, int], ...] = ()
    streamed: bool = False
    doubted: float | None = None
    invitation: Invitation | None = None
    uninvited: bool = False
    accepting: bool = False
    heard: float = 0.0

    @property
    def invite(self) -> Invitation:
        """What asked this user in; for who made the call or joined by itself, what made the call."""
        hub = self.hub
        return self.invitation or Invitation(hub.invite_id, hub.sponsor, hub.timeout)

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
class Over:
    """A part in a call that is over here, whatever late news say. `join_order` is 0 when we never joined,
    None when the hub may have let us join without our knowing. `unheard`: nobody was told of it, because what
    asked for it had failed.
    """

    call_id: str
    invite_id: str
    join_order: int | None
    unheard: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the machine knows.

    `call` is the live call, or None; a call that ends leaves through `previous` (so that events can
    carry it whole). `pending` is the command that waits for the hub, `probe` the camera being opened,
    `probes` numbers the automatic ones. `camera` tells that the camera is open; `preview` that the user
    opened it outside of a call, so that the end of a call does not close it. `deaf` tells that the
    microphone has failed in this call. `announced` is the availability (audio, video) last told to the hub
    for this call. `held` is what was told of other calls while a dial or a join waits for the hub: one may
    turn out to be that call. `inviting` are invitations into the call that wait for the hub. `over` are the
    parts in calls of this login that are over here, the newest last and not many, whose late news are
    ignored.
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
    inviting: tuple[Pending, ...] = ()
    over: tuple[Over, ...] = ()
    camera: bool = False
    preview: bool = False
    probe: Probe | None = None
    probes: int = 0
    muted: bool = False
    deaf: bool = False
    announced: tuple[bool, bool] | None = None


Change = tuple[State, tuple[Effect, ...]]
"""What a part of the machine answers: the state after, and what is to be done."""
