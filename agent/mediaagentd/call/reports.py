"""What signalling and media report to the call machine. What makes no sense is ignored."""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.call import camera, mirror, parts
from mediaagentd.call.types import (
    Accept,
    Call,
    CallsListed,
    Change,
    Done,
    Effect,
    EndReason,
    ErrorCode,
    Failed,
    Hub,
    HubCall,
    HubDone,
    HubFailed,
    Invite,
    JoinCall,
    Leave,
    Link,
    Member,
    MemberState,
    Participant,
    PeerDown,
    PeerUp,
    Pending,
    Phase,
    Raise,
    Reject,
    SessionChanged,
    SessionPhase,
    State,
)
from mediaagentd.errors import Reason, Refused

RECONNECT_PATIENCE = 400.0
"""Seconds until a lost connection counts as lost for good, should media not say so before: more than the
longest budget that it may be given."""

FAREWELL_PATIENCE = 3.0
"""Seconds that the hub has to say that the far end has left, once media has ended for good: the far end's
farewell travels faster than its word to the hub."""

RING_GRACE = 5.0
"""Seconds after its timeout until an invitation counts as unanswered without word from the hub: it stops
ringing, and whoever dialled waits no more."""


def session_changed(state: State, now: float, report: SessionChanged) -> Change:
    """The session with the hub changed. A call outlives an outage, not a logout."""
    effects: tuple[Effect, ...] = ()
    here = (SessionPhase.ONLINE, SessionPhase.RECONNECTING)
    stays = report.session in here and state.session in here and report.user_id == state.user_id
    if not stays:
        state, effects = _gone(state, now, report.session)
        state = replace(state, over=())  # a new login may answer what still rings
    user_id = "" if report.session is SessionPhase.LOGGED_OUT else report.user_id
    return replace(
        state,
        session=report.session,
        user_id=user_id,
        device_id=report.device_id or state.device_id,
        kicked_by=report.kicked_by,
    ), effects


def calls_listed(state: State, now: float, report: CallsListed) -> Change:
    """The stream began: what is live at the hub, and so what is not."""
    state = replace(state, held=())
    effects: tuple[Effect, ...] = ()
    before = state
    ended = [call for call in report.calls if call.ended]
    live = [call for call in report.calls if not call.ended]
    for hub in ended:
        state, more = mirror.streamed(state, now, hub)
        effects += more
    call = state.call
    if call is not None and all(hub.call_id != call.hub.call_id for hub in live):
        # Before what rings is looked at: it must not find us busy with a call that is over.
        state, more = mirror.unlisted(state, now)
        effects += more
    for hub in live:
        state, more = mirror.streamed(state, now, hub)
        effects += more
    # Those that we left and the hub has not heard so.
    effects += tuple(Hub(0, Leave(hub.call_id)) for hub in live if _is_left(before, hub))
    if state.call is None:
        return state, effects
    # Announce again: what the hub holds now may yet be overtaken by an older announcement under way.
    return replace(state, announced=None), effects


def hub_done(state: State, now: float, report: HubDone) -> Change:
    """The hub did what was asked. Whatever the reply answers, it is news of its call."""
    asked = _inviting(state, report.op)
    if asked is not None:
        state, effects = _heard(_without(state, asked), now, report.call)
        return state, (*effects, Done(asked.op))
    pending = state.pending
    if pending is None or pending.op != report.op:
        return _heard(state, now, report.call)
    if isinstance(pending.command, Invite | JoinCall):
        if report.call is None:
            return mirror.failed(state, now, Refused(Reason.INTERNAL, "the hub named no call"))
        return mirror.entered(state, now, report.call)
    state, effects = _heard(state, now, report.call)
    if state.pending is not pending:
        return state, effects
    state, more = _taken(state, now, pending, report.call)
    return state, (*effects, *more)


def hub_failed(state: State, now: float, report: HubFailed) -> Change:
    """The hub refused, or could not be reached."""
    asked = _inviting(state, report.op)
    if asked is not None:
        return _without(state, asked), (Failed(asked.op, report.error),)
    if state.pending is None or state.pending.op != report.op:
        return state, ()
    return mirror.failed(state, now, report.error)


def peer_up(state: State, report: PeerUp, now: float) -> Change:
    """Media flows with a participant; for the first time, it enters."""
    known = _participant(state, report)
    if known is None or known.link is Link.UP:
        return state, ()
    entered = now if known.entered is None else known.entered
    up = replace(known, link=Link.UP, entered=entered, deadline=None)
    return mirror.relinked(state, known, up), ()


def peer_down(state: State, report: PeerDown, now: float) -> Change:
    """A connection is lost, for good or for now. One that has ended is not being regained: the far end has
    hung up, mostly, and the hub is about to say so.
    """
    known = _participant(state, report)
    if known is None or not (report.final or known.link is Link.UP):
        return state, ()
    link = known.link if report.final else Link.RECONNECTING
    until = now + (FAREWELL_PATIENCE if report.final else RECONNECT_PATIENCE)
    if known.deadline is not None:
        until = min(until, known.deadline)
    return mirror.relinked(state, known, replace(known, link=link, deadline=until)), ()


def microphone_failed(state: State, error: Refused) -> Change:
    """Nothing is heard of us: told once, whatever is tried. The call goes on without our sound."""
    if state.call is None or state.deaf:
        return state, ()
    forbidden = error.reason is Reason.DEVICE_PERMISSION
    code = ErrorCode.NO_PERMISSION if forbidden else ErrorCode.NO_MICROPHONE
    return replace(state, deaf=True), (Raise(code, error.message),)


def microphone_opened(state: State) -> Change:
    """The microphone works again."""
    return (replace(state, deaf=False) if state.deaf else state), ()


def tick(state: State, now: float) -> Change:
    """A deadline has come: whatever has waited too long is over."""
    effects: tuple[Effect, ...] = ()
    for overdue in (_unanswered, _dark_camera, _lost_links, _doubtful_call, _silent_ring, _vain_dial):
        state, more = overdue(state, now)
        effects += more
    return state, effects


def _unanswered(state: State, now: float) -> Change:
    """Commands that the hub has not answered."""
    error = Refused(Reason.HUB_UNREACHABLE, "the hub did not answer in time: retry")
    late = tuple(asked for asked in state.inviting if asked.deadline <= now)
    effects: tuple[Effect, ...] = tuple(Failed(asked.op, error) for asked in late)
    if late:
        state = replace(state, inviting=tuple(asked for asked in state.inviting if asked not in late))
    if state.pending is None or state.pending.deadline > now:
        return state, effects
    state, more = mirror.failed(state, now, error)
    return state, (*effects, *more)


def _dark_camera(state: State, now: float) -> Change:
    """A camera that says nothing."""
    if state.probe is None or state.probe.deadline > now:
        return state, ()
    late = Refused(Reason.TIMED_OUT, "the camera did not open in time")
    return camera.failed(state, state.probe.op, late)


def _lost_links(state: State, now: float) -> Change:
    """Connections that did not come up, or not again; the last one may end the call."""
    effects: tuple[Effect, ...] = ()
    for participant in state.call.participants if state.call else ():
        if participant.deadline is not None and participant.deadline <= now and state.call is not None:
            state, more = mirror.give_up(state, now, participant)
            effects += more
    return state, effects


def _doubtful_call(state: State, now: float) -> Change:
    """A call that the hub's stream never named."""
    if state.call is None or state.call.doubted is None or state.call.doubted > now:
        return state, ()
    return mirror.unlisted(state, now)


def _silent_ring(state: State, now: float) -> Change:
    """What rings and no hub has ended: it has surely run out there too, or will when the hub is back."""
    silent = rings_until(state)
    if state.call is None or silent is None or silent > now:
        return state, ()
    return mirror.ended(state, now, state.call, EndReason.NO_RESPONSE, "")


def rings_until(state: State) -> float | None:
    """When what rings falls silent by itself; not while an answer is under way."""
    call = state.call
    if call is None or call.phase is not Phase.RINGING or call.invite.timeout is None:
        return None
    return None if state.pending is not None else call.invited + call.invite.timeout + RING_GRACE


def _vain_dial(state: State, now: float) -> Change:
    """What is dialled and no hub has ended: nobody may come any more. The hub hears so when it is back, and
    lets those go who have come meanwhile.
    """
    vain = dials_until(state)
    if state.call is None or vain is None or vain > now:
        return state, ()
    hub = state.call.hub
    silent = {m: replace(m, state=MemberState.NO_RESPONSE) for m in _awaited(state.call)}
    hub = replace(hub, members=tuple(silent.get(m, m) for m in hub.members))
    call = replace(state.call, hub=hub)
    state = replace(state, call=call)
    if call.given_up:
        return mirror.hung_up(state, now, EndReason.CONNECTION_LOST)
    state, effects = mirror.ended(state, now, call, EndReason.NO_RESPONSE, "")
    return state, (Hub(0, Leave(hub.call_id)), *effects)


def dials_until(state: State) -> float | None:
    """When what is dialled is given up by itself: once the time of the last who may answer is over, none of
    whom is waited for without limit; not while one more is being invited. The same where those who had
    answered are gone again, and the others are waited for.
    """
    call = state.call
    if call is None or call.phase is Phase.RINGING or call.participants or state.inviting:
        return None
    if call.answered is not None and not _awaited(call):
        return None
    first = call.hub.timeout
    times = [None if first is None else call.invited + first]
    for member in _awaited(call):
        if member.invitation is not None:
            left = member.invitation.timeout
            times.append(None if left is None else call.heard + left)
    known = [time for time in times if time is not None]
    return max(known) + RING_GRACE if len(known) == len(times) else None


def _awaited(call: Call) -> tuple[Member, ...]:
    """Those who may still answer."""
    return tuple(m for m in call.hub.members if m.state is MemberState.PENDING)


def _heard(state: State, now: float, hub: HubCall | None) -> Change:
    """What a reply says of a call, if it names one."""
    return mirror.told(state, now, hub) if hub is not None else (state, ())


def _inviting(state: State, op: int) -> Pending | None:
    """The invitation into the call that waits under that number."""
    return next((asked for asked in state.inviting if asked.op == op), None)


def _without(state: State, asked: Pending) -> State:
    """That invitation into the call waits no more."""
    return replace(state, inviting=tuple(other for other in state.inviting if other is not asked))


def _is_left(state: State, hub: HubCall) -> bool:
    """Whether we have left a call that the hub lists as live."""
    me = hub.member(state.user_id)
    return me is not None and parts.is_over(state, hub, me)


def _taken(state: State, now: float, pending: Pending, hub: HubCall | None) -> Change:
    """The hub's reply did not show what was asked: the call has moved on, or is forgotten."""
    call = state.call
    if isinstance(pending.command, Reject) and call is not None:
        state, answers = mirror.done(state)
        reason = EndReason.BUSY if pending.command.is_busy else EndReason.REJECTED
        state, effects = mirror.ended(state, now, call, reason, state.user_id)
        return state, (*effects, *answers)
    if isinstance(pending.command, Accept) and hub is None:
        return mirror.failed(state, now, Refused(Reason.INVITE_UNKNOWN, "the invitation is over"))
    return mirror.done(state)


def _gone(state: State, now: float, session: SessionPhase) -> Change:
    """The session is over for this user, and with it everything that it had under way. The hub knows."""
    kicked = session is SessionPhase.KICKED_OUT
    why = Refused(Reason.KICKED_OUT, "a newer login of this user took over", {"code": "6208"})
    if not kicked:
        why = Refused(Reason.NOT_LOGGED_IN, "logged out before the hub answered")
    state, effects = mirror.failed(replace(state, held=()), now, why)
    if state.call is None:
        return state, effects
    reason = EndReason.KICKED_OUT if kicked else EndReason.LOGGED_OUT
    state, more = mirror.ended(state, now, state.call, reason, state.user_id)
    return state, (*effects, *more)


def _participant(state: State, report: PeerUp | PeerDown) -> Participant | None:
    """Whom a report of media is about; None when it is of an older connection or call."""
    if state.call is None or state.call.hub.call_id != report.call_id:
        return None
    known = state.call.participant(report.user_id)
    return known if known is not None and known.attempt == report.attempt else None
