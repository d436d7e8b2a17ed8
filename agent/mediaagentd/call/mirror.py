"""How the machine follows the hub: what it is told of a call becomes the call that this agent sees.

The newest revision is the truth; older ones are ignored. Which peers to open or close, and what to
announce, follows from the change of state (`machine`).
"""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.call import camera, parts
from mediaagentd.call.types import (
    Accept,
    Call,
    CallType,
    Change,
    Done,
    Effect,
    EndReason,
    ErrorCode,
    Failed,
    Hub,
    HubCall,
    HubCommand,
    Invite,
    JoinCall,
    Leave,
    Link,
    Member,
    MemberState,
    Over,
    Participant,
    Phase,
    Raise,
    Reject,
    State,
    SwitchCallType,
)
from mediaagentd.errors import Reason, Refused

STREAM_PATIENCE = 10.0
"""Seconds until a call that the hub named in a reply must have come by its stream too."""

LINK_PATIENCE = 20.0
"""Seconds until a media connection that is not up counts as lost for good."""


def streamed(state: State, now: float, hub: HubCall) -> Change:
    """News of a call by the hub's stream, which is in order: from now on a list must name the call."""
    call = state.call
    if call is not None and call.hub.call_id == hub.call_id and not call.streamed:
        state = replace(state, call=replace(call, streamed=True, doubted=None))
    return told(state, now, hub)


def told(state: State, now: float, hub: HubCall) -> Change:
    """News of a call, by the stream or a reply."""
    if state.call is not None and state.call.hub.call_id == hub.call_id:
        return follow(state, now, hub)
    if state.pending is not None and isinstance(state.pending.command, Invite | JoinCall):
        # It may be the call that we enter: its push can overtake the reply that names it, even its last.
        return replace(state, held=(*state.held, hub)), ()
    return _stranger(state, now, hub)


def follow(state: State, now: float, hub: HubCall) -> Change:
    """News of the live call."""
    call = state.call
    assert call is not None
    me = hub.member(state.user_id)
    if hub.revision <= call.hub.revision or me is None:
        return state, ()
    # `timeout` stays what it was at the invitation: the time left now is no change of the call.
    updated = replace(call, hub=replace(hub, timeout=call.hub.timeout), heard=now)
    if me.state is MemberState.PENDING and hub.invitation(me).invite_id != call.invite.invite_id:
        return _asked_anew(state, now, updated, hub)
    return _progressed(state, now, updated, me)


def _asked_anew(state: State, now: float, call: Call, hub: HubCall) -> Change:
    """We are invited again into a call that, as the hub sees it, we had left or let ring in vain."""
    reason = EndReason.NO_RESPONSE if call.phase is Phase.RINGING else EndReason.DEVICE_LOST
    state, effects = ended(state, now, call, reason, "")
    state, more = _stranger(state, now, hub)
    return state, (*effects, *more)


def entered(state: State, now: float, hub: HubCall) -> Change:
    """The hub took the dial or the join that is pending. Its reply may be older than what was pushed
    meanwhile, and the call may be over at once, when everyone is busy.
    """
    pending = state.pending
    assert pending is not None
    was_held = any(h.call_id == hub.call_id for h in state.held)
    hub = max((h for h in (hub, *state.held) if h.call_id == hub.call_id), key=lambda h: h.revision)
    me = hub.member(state.user_id)
    rings = me is not None and me.state is MemberState.PENDING
    if isinstance(pending.command, Invite) and parts.is_unheard(state, hub) and not rings:
        # The first attempt had failed, came true and was taken back. Who repeats it wants a call; it is
        # named after the one before, so that this can be repeated too.
        return state, (Hub(pending.op, replace(pending.command, request_id=hub.call_id)),)
    state, answers = done(state)
    state = replace(state, held=tuple(h for h in state.held if h.call_id != hub.call_id))
    effects: tuple[Effect, ...] = ()
    if rings:
        # The request is of a call that we made, or joined, and left: meanwhile we are asked into it again.
        state, effects = _stranger(state, now, hub)
    # Who joins anew may have left that very call before.
    elif me is not None and (isinstance(pending.command, JoinCall) or not parts.is_over(state, hub, me)):
        call = _begun(pending.command, hub, now, was_held)
        state = replace(state, call=call)
        if call.outgoing and hub.type is CallType.VIDEO:
            state = camera.opening(state, now)
        state, effects = _progressed(state, now, call, me)
    state, more = _released(state, now)
    return state, (*effects, *more, *answers)


def _begun(command: HubCommand, hub: HubCall, now: float, was_held: bool) -> Call:
    """The call that this agent made, or enters by itself as if it had rung and been answered at once."""
    if isinstance(command, Invite):
        request_id = command.request_id
        return Call(hub, Phase.DIALLING, True, (), now, request_id=request_id, streamed=was_held, heard=now)
    return Call(hub, Phase.RINGING, False, (), now, streamed=was_held, uninvited=True, heard=now)


def hung_up(state: State, now: float, reason: EndReason) -> Change:
    """We leave the call: over here at once, the hub is told."""
    call = state.call
    assert call is not None
    state, effects = ended(state, now, call, reason, state.user_id)
    heard = reason if reason in (EndReason.CONNECTION_LOST, EndReason.LOGGED_OUT) else EndReason.HANGUP
    return state, (Hub(0, Leave(call.hub.call_id, heard)), *effects)


def ended(state: State, now: float, call: Call, reason: EndReason, by: str) -> Change:
    """The call is over: nothing of it stays open, and whoever waits for a command in it is answered."""
    state, failures = failed(state, now, _overtaken(state))
    gone = Refused(Reason.NO_CALL, "the call ended before anybody was invited")
    failures += tuple(Failed(asked.op, gone) for asked in state.inviting)
    closed: tuple[Effect, ...] = ()
    if not state.preview and not (state.probe is not None and state.probe.preview):
        why = Refused(Reason.NO_CALL, "the call ended before the camera was open")
        state, closed = camera.closed(state, why)
    over = replace(
        call,
        phase=Phase.ENDED,
        participants=(),
        ended=now,
        end_reason=reason,
        ended_by=by,
        other_device_id=_elsewhere(state, call, reason),
    )
    me = call.hub.member(state.user_id)
    joined = me.join_order if me is not None else 0
    part = Over(call.hub.call_id, call.invite.invite_id, joined or (None if call.accepting else 0))
    state = parts.finished(state, part)
    state = replace(state, call=None, previous=over, deaf=False, announced=None, inviting=())
    return state, (*failures, *closed)


def unlisted(state: State, now: float) -> Change:
    """The hub has forgotten the live call: it is over, and why can only be guessed."""
    call = state.call
    assert call is not None
    if not call.streamed and call.doubted is None:
        # Named by a reply only: the list may have been made before the call. Then a push follows it.
        return replace(state, call=replace(call, doubted=now + STREAM_PATIENCE)), ()
    timeout = call.invite.timeout
    ran_out = timeout is not None and now >= call.invited + timeout
    if call.answered is not None:
        return ended(state, now, call, EndReason.HANGUP, "")
    if ran_out:
        return ended(state, now, call, EndReason.NO_RESPONSE, "")
    return ended(state, now, call, EndReason.CANCELLED, "" if call.outgoing else call.invite.sponsor)


def done(state: State) -> Change:
    """The pending command has succeeded."""
    pending = state.pending
    assert pending is not None
    return replace(state, pending=None), tuple(Done(op) for op in (pending.op, *pending.also))


def failed(state: State, now: float, error: Refused) -> Change:
    """The pending command, if there is one, has failed; a switch that fails is an ERROR event too."""
    pending = state.pending
    if pending is None:
        return state, ()
    effects: tuple[Effect, ...] = tuple(Failed(op, error) for op in (pending.op, *pending.also))
    if isinstance(pending.command, SwitchCallType):
        effects = (Raise(switch_code(pending.command.type), error.message), *effects)
    if isinstance(pending.command, JoinCall):
        state = parts.doubtful(state)
    state, more = _released(replace(state, pending=None), now)
    return state, (*effects, *more)


def _released(state: State, now: float) -> Change:
    """What was held back while a dial was pending is told now."""
    effects: tuple[Effect, ...] = ()
    newest: dict[str, HubCall] = {}
    for hub in state.held:
        if hub.call_id not in newest or hub.revision > newest[hub.call_id].revision:
            newest[hub.call_id] = hub
    state = replace(state, held=())
    for hub in newest.values():
        state, more = told(state, now, hub)
        effects += more
    return state, effects


def give_up(state: State, now: float, participant: Participant) -> Change:
    """A media connection is lost for good."""
    call = state.call
    assert call is not None
    lost = (participant.user_id, participant.attempt)
    rest = tuple(p for p in call.participants if p is not participant)
    call = replace(call, participants=rest, given_up=(*call.given_up, lost))
    return _present(replace(state, call=call), now)


def relinked(state: State, before: Participant, after: Participant) -> State:
    """A media connection changed."""
    call = state.call
    assert call is not None
    call = replace(call, participants=tuple(after if p is before else p for p in call.participants))
    return replace(state, call=replace(call, phase=_phase(call)))


def switch_code(type_: CallType) -> ErrorCode:
    """The source's code for a switch to that type that fails."""
    if type_ is CallType.AUDIO:
        return ErrorCode.SWITCH_TO_AUDIO_FAILED
    return ErrorCode.SWITCH_TO_VIDEO_FAILED


def _stranger(state: State, now: float, hub: HubCall) -> Change:
    """A live call that is not the one we have."""
    me = hub.member(state.user_id)
    if me is None or hub.ended or parts.is_over(state, hub, me):
        return state, ()
    invite_id = hub.invitation(me).invite_id
    if me.state is MemberState.JOINED and _ours(state, me):
        # What came of a dial that we gave up, or of a run of this daemon that is gone.
        return parts.taken_back(state, hub, me), (Hub(0, Leave(hub.call_id)),)
    if me.state is not MemberState.PENDING:
        return state, ()
    if state.call is not None:
        return state, (Hub(0, Reject(invite_id, is_busy=True)),)
    call = Call(hub, Phase.RINGING, False, (), now, streamed=True, invitation=me.invitation, heard=now)
    return replace(state, call=call), ()


def _progressed(state: State, now: float, call: Call, me: Member) -> Change:
    end = _end(state, call, me)
    if end is not None:
        declined = me.state in (MemberState.REJECTED, MemberState.BUSY)
        answers: tuple[Effect, ...] = ()
        if declined and state.pending is not None and isinstance(state.pending.command, Reject):
            state, answers = done(state)
        state, effects = ended(state, now, call, *end)
        return state, (*answers, *effects)
    if me.state is not MemberState.JOINED:
        return replace(state, call=call), ()
    return _joined(state, now, call, me)


def _end(state: State, call: Call, me: Member) -> tuple[EndReason, str] | None:
    """Why the call is over for this agent and who ended it; None while it goes on."""
    hub = call.hub
    match me.state:
        case MemberState.LEFT:
            return hub.end_reason or EndReason.DEVICE_LOST, hub.ended_by or me.user_id
        case MemberState.REJECTED | MemberState.BUSY if not _ours(state, me):
            return EndReason.DECLINED_ELSEWHERE, me.user_id
        case MemberState.REJECTED:
            return EndReason.REJECTED, me.user_id
        case MemberState.BUSY:
            return EndReason.BUSY, me.user_id
        case MemberState.NO_RESPONSE:
            return EndReason.NO_RESPONSE, ""
        case MemberState.CANCELLED:
            return EndReason.CANCELLED, hub.ended_by or call.invite.sponsor
        case MemberState.JOINED if not _ours(state, me):
            return EndReason.ANSWERED_ELSEWHERE, me.user_id
        case _:
            return (hub.end_reason or EndReason.HANGUP, hub.ended_by) if hub.ended else None


def _joined(state: State, now: float, call: Call, me: Member) -> Change:
    """The call goes on and we are in it."""
    before = state.call
    assert before is not None
    call = replace(call, participants=_participants(call, me, now))
    if call.answered is None and (not call.outgoing or call.participants):
        call = replace(call, answered=now)
    answered = before.phase is Phase.RINGING
    switched = before.hub.type is not call.hub.type
    state, answers = _confirmed(replace(state, call=call), call)
    effects: tuple[Effect, ...] = ()
    if call.hub.type is CallType.VIDEO and (answered or switched):
        state = camera.opening(state, now)
    elif switched:
        why = Refused(Reason.DEVICE_FAILED, "the switch to audio closed the camera before it was open")
        state, effects = camera.closed(state, why)
    state, more = _present(state, now)
    return state, (*answers, *effects, *more)


def _confirmed(state: State, call: Call) -> Change:
    """Answers the command that has come true with this revision, be it before the hub's reply."""
    match state.pending.command if state.pending else None:
        case Accept():
            return done(state)
        case SwitchCallType(_, type_) if type_ is call.hub.type:
            return done(state)
        case _:
            return state, ()


def _present(state: State, now: float) -> Change:
    """Hangs up when every connection is lost for good and nobody may still come; else the phase."""
    call = state.call
    assert call is not None
    waiting = any(m.state is MemberState.PENDING for m in call.hub.members)
    if call.given_up and not call.participants and not waiting:
        return hung_up(state, now, EndReason.CONNECTION_LOST)
    return replace(state, call=replace(call, phase=_phase(call))), ()


def _participants(call: Call, me: Member, now: float) -> tuple[Participant, ...]:
    """The others who joined. A member that joined again has a new attempt, so it is a new participant."""
    found = []
    for member in call.hub.members:
        attempt = max(me.join_order, member.join_order)
        lost = (member.user_id, attempt) in call.given_up
        if member.state is not MemberState.JOINED or member.user_id == me.user_id or lost:
            continue
        known = call.participant(member.user_id)
        if known is None or known.attempt != attempt:
            known = Participant(
                member.user_id, attempt, Link.CONNECTING, False, False, deadline=now + LINK_PATIENCE
            )
        found.append(replace(known, audio=member.audio, video=member.video))
    return tuple(found)


def _phase(call: Call) -> Phase:
    """Where we stand in a call that we have joined."""
    if call.answered is None:
        return Phase.DIALLING
    links = {p.link for p in call.participants}
    if Link.UP in links:
        return Phase.ACTIVE
    return Phase.RECONNECTING if Link.RECONNECTING in links else Phase.CONNECTING


def _elsewhere(state: State, call: Call, reason: EndReason) -> str:
    """The device of this user that dealt with the invitation, empty when none else did."""
    me = call.hub.member(state.user_id)
    elsewhere = reason in (EndReason.ANSWERED_ELSEWHERE, EndReason.DECLINED_ELSEWHERE)
    return me.device_id if elsewhere and me is not None else ""


def _ours(state: State, me: Member) -> bool:
    """Whether this device, not another one of the user, answered. Unknown devices count as this one."""
    return not state.device_id or not me.device_id or me.device_id == state.device_id


def _overtaken(state: State) -> Refused:
    """What a command in a call hears when the call ends under it."""
    if state.pending is not None and isinstance(state.pending.command, SwitchCallType):
        return Refused(Reason.SWITCH_NOT_ALLOWED, "the call ended before it was switched")
    return Refused(Reason.INVITE_UNKNOWN, "the invitation is over")
