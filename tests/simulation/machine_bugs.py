"""Planted bugs of the call machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mediaagentd.call import events, machine
from mediaagentd.call import types as t

from tests.simulation.rules import Rules

Change = t.Change


def _without(unwanted: Callable[[t.State, t.State, t.Effect], bool]) -> Rules:
    """A machine that forgets some effects."""

    def step(state: t.State, now: float, given: t.Input) -> Change:
        after, effects = machine.step(state, now, given)
        return after, tuple(e for e in effects if not unwanted(state, after, e))

    return Rules(step=step)


def _hearing(change: Callable[[t.State, t.Input], t.Input | None]) -> Rules:
    """A machine that takes some inputs for others, or for nothing."""

    def step(state: t.State, now: float, given: t.Input) -> Change:
        heard = change(state, given)
        return machine.step(state, now, heard) if heard is not None else (state, ())

    return Rules(step=step)


Events = tuple[events.Event, ...]


def _telling(change: Callable[[t.State, t.State, Events], Events]) -> Rules:
    """Events derived in another way."""
    return Rules(derive=lambda old, new: change(old, new, events.derive(old, new)))


def _silently_done(state: t.State, now: float, given: t.Input) -> Change:
    """Takes a repeated request for done, though what came of it was taken back."""
    heard = tuple(replace(part, unheard=False) for part in state.over)
    return machine.step(replace(state, over=heard), now, given)


def _any_revision(state: t.State, now: float, given: t.Input) -> Change:
    """Takes whatever comes last for the newest."""
    call = state.call
    told = given.call if isinstance(given, t.CallChanged | t.HubDone) else None
    if call is None or told is None or told.call_id != call.hub.call_id:
        return machine.step(state, now, given)
    believed = replace(call, hub=replace(call.hub, revision=told.revision - 1))
    return machine.step(replace(state, call=believed), now, given)


def _any_attempt(state: t.State, given: t.Input) -> t.Input:
    """Takes a report of an old connection for one of the present connection."""
    if isinstance(given, t.PeerUp | t.PeerDown) and state.call is not None:
        known = state.call.participant(given.user_id)
        if known is not None:
            return replace(given, call_id=state.call.hub.call_id, attempt=known.attempt)
    return given


def _no_memory(state: t.State, now: float, given: t.Input) -> Change:
    """Forgets which calls are over: a late push rings again."""
    return machine.step(replace(state, over=()), now, given)


def _adopts_any_dial(state: t.State, now: float, given: t.Input) -> Change:
    """Does not hold back what is told while a dial is pending: the push comes before the reply."""
    after, effects = machine.step(state, now, given)
    return (replace(after, held=()) if after.held else after), effects


def _stubborn_deadline(state: t.State) -> float | None:
    """Waits for the hub's answer for ever."""
    return machine.deadline(replace(state, pending=None))


def _blind_camera(state: t.State, now: float, given: t.Input) -> Change:
    """Leaves the camera on when a call ends before it has opened."""
    after, effects = machine.step(state, now, given)
    if state.probe is not None and after.call is None and state.call is not None:
        return replace(after, probe=state.probe), tuple(
            e for e in effects if not isinstance(e, t.ReleaseCamera | t.Failed)
        )
    return after, effects


def _hangs_up_alone(old: t.State, new: t.State, effect: t.Effect) -> bool:
    return isinstance(effect, t.Hub) and isinstance(effect.command, t.Leave)


def _leaves_strays(old: t.State, new: t.State, effect: t.Effect) -> bool:
    return _hangs_up_alone(old, new, effect) and old.call is None


def _twice(old: t.State, new: t.State, told: Events) -> Events:
    return tuple(e for event in told for e in ((event,) * (1 + isinstance(event, events.CallEnded))))


def _nobody_leaves_at_the_end(old: t.State, new: t.State, told: Events) -> Events:
    over = any(isinstance(e, events.CallEnded) for e in told)
    return tuple(e for e in told if not over or not isinstance(e, events.UserLeft))


def _ends_on_hangup_only(old: t.State, new: t.State, told: Events) -> Events:
    return tuple(
        e
        for e in told
        if not isinstance(e, events.CallEnded) or e.call.end_reason is not t.EndReason.NO_RESPONSE
    )


MACHINE_BUGS: Mapping[str, Rules] = {
    "takes an old revision for news": Rules(step=_any_revision),
    "takes a report of an old connection": _hearing(_any_attempt),
    "lets a late push ring again": Rules(step=_no_memory),
    "loses what is told while a dial is pending": Rules(step=_adopts_any_dial),
    "makes no call of a request that had failed": Rules(step=_silently_done),
    "waits for the hub for ever": Rules(deadline=_stubborn_deadline),
    "does not close a peer": _without(lambda _, __, e: isinstance(e, t.ClosePeer)),
    "does not release the camera": _without(lambda _, __, e: isinstance(e, t.ReleaseCamera)),
    "opens the camera after the call": Rules(step=_blind_camera),
    "does not announce": _without(
        lambda _, __, e: isinstance(e, t.Hub) and isinstance(e.command, t.SetAvailability)
    ),
    "hangs up without telling": _without(_hangs_up_alone),
    "does not leave the call of a dial that failed": _without(_leaves_strays),
    "does not answer an accept": _without(
        lambda old, new, e: (
            isinstance(e, t.Done) and old.pending is not None and isinstance(old.pending.command, t.Accept)
        )
    ),
    "believes a call that is not listed": _hearing(
        lambda state, i: i if not isinstance(i, t.CallsListed) or any(not c.ended for c in i.calls) else None
    ),
    "ignores a final loss": _hearing(
        lambda _, i: replace(i, final=False) if isinstance(i, t.PeerDown) else i
    ),
    "keeps a call when it is kicked": _hearing(
        lambda state, i: (
            replace(i, session=t.SessionPhase.RECONNECTING)
            if isinstance(i, t.SessionChanged) and i.session is t.SessionPhase.KICKED_OUT
            else i
        )
    ),
    "ends a call twice": _telling(_twice),
    "ends a call with people in it": _telling(_nobody_leaves_at_the_end),
    "does not end a call that timed out": _telling(_ends_on_hangup_only),
}
