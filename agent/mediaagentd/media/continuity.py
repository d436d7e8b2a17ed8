"""How the connection with one user goes on over outages: when it counts as lost, when it is made anew,
when it is given up. Pure: `step` and `deadline`, times in seconds of one clock.

A connection that is made anew is another generation, beside the present one for as long as that lives
(make before break). Only one side, fixed for the attempt, offers; the other asks. Whatever is of an older
generation than the newest is ignored, so both may begin at once: there is no glare.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from mediaagentd.media.continuity_types import (
    Adopt,
    Answered,
    Ask,
    Asked,
    Building,
    Change,
    Closed,
    Connected,
    Drop,
    Effect,
    Input,
    Lost,
    Make,
    NetworkChanged,
    Offered,
    Over,
    Phase,
    Probe,
    SignallingBack,
    State,
    Take,
    Tick,
    Up,
)

PROBE = 0.7
PROBE_PAUSE = 0.3
"""Seconds of silence after which the far end is asked for a sign of life, and between two such questions."""

SILENCE = 2.0
"""Seconds of silence after which the connection counts as lost."""

DOUBT = 5.0
"""Seconds of silence after which it is made anew: a short outage needs no new connection."""

SUSPICION = 1.0
"""Seconds that the present connection has to prove itself after a change of the network."""

UNANSWERED = 6.0
"""Seconds after which an offer, or a wish for one, that nobody answered is repeated."""

CROSSED = 2.0
"""Seconds within which a wish for an offer has crossed with the offer."""

PAUSE = 1.5
"""Seconds between the beginnings of two generations of which the first did not come up."""

LACKING = 3.0
"""Seconds that a generation still has when the machine has got an address that it does not know."""

ATTEMPT = 20.0
"""Seconds that a generation whose descriptions are exchanged has to connect."""

CONNECT_BUDGET = 20.0
"""Seconds until a connection that never came is given up."""


def begin(now: float, *, offers: bool, budget: float) -> Change:
    """A connection that is to be made; the side that does not offer waits."""
    state = State(offers, budget, since=now, begun=now)
    return _begin(state, now) if offers else (state, ())


def step(state: State, now: float, input: Input) -> Change:  # noqa: A002 - the house's word
    """The state after an input, and what is to be done, in order."""
    if state.phase is Phase.OVER:
        return state, ()
    match input:
        case Connected(generation):
            return _connected(state, now, generation)
        case Closed():
            return _closed(state, now, input)
        case Offered(generation):
            return _offered(state, now, generation)
        case Answered(generation):
            return _answered(state, now, generation), ()
        case Asked(generation):
            return _asked(state, now, generation)
        case NetworkChanged():
            return _network_changed(state, now, input)
        case SignallingBack():
            return _signalling_back(state, now)
        case Tick(heard):
            return _tick(replace(state, heard=max(state.heard, heard)), now)
        case _:
            assert_never(input)


def deadline(state: State) -> float | None:
    """When to come with a Tick; None when it is over."""
    if state.phase is Phase.OVER:
        return None
    times = []
    if state.current is not None:
        times.append(max(state.heard + PROBE, state.probed + PROBE_PAUSE))
        if state.phase is Phase.UP:
            times.append(state.heard + SILENCE)
        if not state.trouble:
            times.append(state.heard + DOUBT)
        if state.suspect is not None:
            times.append(state.suspect + SUSPICION)
    if state.again is not None:
        times.append(state.again)
    if state.building is not None:
        times.append(state.building.until)
    elif state.trouble and _within_budget(state, _next_beginning(state)):
        times.append(_next_beginning(state))
    if _may_end(state):
        times.append(_end(state))
    return min(times)


# --- what an input does


def _connected(state: State, now: float, generation: int) -> Change:
    building = state.building
    if building is None or building.generation != generation:
        return state, ()
    effects: tuple[Effect, ...] = (Adopt(generation, state.current),)
    state = replace(
        state,
        awaited=False,
        current=generation,
        building=None,
        heard=now,
        probed=now,
        trouble=False,
        suspect=None,
        again=None,
    )
    return _up(state, now, effects)


def _closed(state: State, now: float, closed: Closed) -> Change:
    if state.building is not None and state.building.generation == closed.generation:
        if closed.final and state.phase is Phase.CONNECTING:
            return _over(state, now, closed.reason)
        return _failed(state, now)
    if state.current != closed.generation:
        return state, ()
    effects: tuple[Effect, ...] = (Drop(closed.generation),)
    state = replace(state, current=None, trouble=True, suspect=None)
    if closed.final and state.building is None:
        state, more = _over(state, now, closed.reason)
        return state, (*effects, *more)
    state, lost = _lost(state, now)
    state, begun = _tick(state, now)
    return state, (*effects, *lost, *begun)


def _offered(state: State, now: float, generation: int) -> Change:
    if state.offers or generation <= state.newest:
        return state, ()
    dropped = (Drop(state.building.generation),) if state.building is not None else ()
    building = Building(generation, now, now + ATTEMPT, answered=True)
    state = replace(state, newest=generation, building=building, begun=now, awaited=True, again=None)
    return state, (*dropped, Take(generation))


def _answered(state: State, now: float, generation: int) -> State:
    building = state.building
    if building is None or building.generation != generation:
        return state
    return replace(state, building=replace(building, answered=True, until=now + ATTEMPT))


def _asked(state: State, now: float, generation: int) -> Change:
    if not state.offers:
        return state, ()
    building = state.building
    unheard = building is not None and not building.answered and now >= building.since + CROSSED
    if generation <= state.newest and not unheard:
        return state, ()  # crossed with our offer
    return _begin(replace(state, trouble=True, newest=max(state.newest, generation - 1)), now)


def _network_changed(state: State, now: float, changed: NetworkChanged) -> Change:
    times = [time for time in (state.again, _anew(state, now, changed)) if time is not None]
    state, effects = _again(replace(state, again=min(times, default=None)), now)
    if state.current is None or changed.told or changed.broken or changed.better:
        return state, effects
    return replace(state, suspect=now, probed=now), (*effects, Probe())


def _anew(state: State, now: float, changed: NetworkChanged) -> float | None:
    """When a change of the network makes it begin anew. What is being made goes on unless it cannot come up:
    the kernel tells of much that concerns nobody here, and what begins anew each time never comes up.
    """
    paced = max(now, state.begun + PAUSE) if state.awaited else now
    if changed.told:
        return paced
    if state.building is not None:
        patience = now + LACKING if changed.lacks else None
        return paced if changed.unfit else patience
    if changed.broken or changed.better:
        return max(now, _next_beginning(state)) if state.awaited else now
    return paced if state.current is None and changed.lacks else None


def _signalling_back(state: State, now: float) -> Change:
    building = state.building
    waits = building is None or (not building.answered and now > building.since)
    return _begin(state, now) if state.trouble and waits else (state, ())


def _tick(state: State, now: float) -> Change:
    effects: tuple[Effect, ...] = ()
    if state.current is not None:
        state, effects = _listen(state, now)
    if state.building is not None and state.building.until <= now:
        state, more = _failed(state, now)
        effects += more
    if _may_end(state) and now >= _end(state):
        never = state.phase is Phase.CONNECTING
        state, more = _over(state, now, "not connected in time" if never else "connection lost")
        return state, (*effects, *more)
    state, more = _again(state, now)
    effects += more
    waits = state.trouble and state.building is None
    if waits and now >= _next_beginning(state) and _within_budget(state, now):
        state, more = _begin(state, now)
        effects += more
    return state, effects


# --- the parts


def _listen(state: State, now: float) -> Change:
    """What silence, or its end, means."""
    if state.suspect is not None and state.heard > state.suspect:
        state = replace(state, suspect=None)  # it has proved itself
    if now < state.heard + PROBE:
        state = replace(state, trouble=state.trouble and state.building is not None)
        return _up(state, now, ())
    effects: tuple[Effect, ...] = ()
    if now >= state.probed + PROBE_PAUSE:
        state, effects = replace(state, probed=now), (Probe(),)
    if now >= state.heard + SILENCE:
        state, lost = _lost(state, now)
        effects += lost
    suspicious = state.suspect is not None and now >= state.suspect + SUSPICION
    if suspicious or now >= state.heard + DOUBT:
        state = replace(state, trouble=True, suspect=None)
    return state, effects


def _up(state: State, now: float, before: tuple[Effect, ...]) -> Change:
    if state.phase is Phase.UP:
        return state, before
    return replace(state, phase=Phase.UP, since=now), (*before, Up())


def _lost(state: State, now: float) -> Change:
    if state.phase is not Phase.UP:
        return state, ()
    return replace(state, phase=Phase.LOST, since=now), (Lost(),)


def _over(state: State, now: float, reason: str) -> Change:
    dropped = (Drop(state.building.generation),) if state.building is not None else ()
    state = replace(state, phase=Phase.OVER, since=now, building=None, trouble=False, again=None)
    return state, (*dropped, Over(reason))


def _failed(state: State, now: float) -> Change:
    """The generation that was being made is not going to be; one that still lives is good enough."""
    assert state.building is not None
    alive = state.current is not None and now < state.heard + SILENCE
    effects = (Drop(state.building.generation),)
    return replace(state, building=None, trouble=state.trouble and not alive), effects


def _begin(state: State, now: float) -> Change:
    """A new generation, instead of one that is being made; or the wish for it."""
    dropped = (Drop(state.building.generation),) if state.building is not None else ()
    generation = state.newest + 1
    state = replace(state, building=None, begun=now, awaited=True, trouble=True, again=None)
    if not state.offers:
        return state, (*dropped, Ask(generation))
    building = Building(generation, now, now + UNANSWERED)
    return replace(state, newest=generation, building=building), (*dropped, Make(generation))


def _again(state: State, now: float) -> Change:
    """Begins anew when the network has changed and the time for it has come."""
    if state.again is None or now < state.again:
        return state, ()
    return _begin(state, now) if _within_budget(state, now) else (replace(state, again=None), ())


def _next_beginning(state: State) -> float:
    """What was asked for and has come lets a new wish be paced as offers are; else its answer is awaited."""
    return state.begun + (PAUSE if state.offers or not state.awaited else UNANSWERED)


def _within_budget(state: State, time: float) -> bool:
    return state.phase is Phase.UP or time < state.since + _budget(state)


def _may_end(state: State) -> bool:
    """Whether the budget ends it; once it was up, the last generation may finish."""
    return state.phase is Phase.CONNECTING or (state.phase is Phase.LOST and state.building is None)


def _end(state: State) -> float:
    """When it is given up: what was begun within the budget may still be answered."""
    end = state.since + _budget(state)
    return end if state.offers or state.phase is Phase.CONNECTING else max(end, state.begun + UNANSWERED)


def _budget(state: State) -> float:
    return CONNECT_BUDGET if state.phase is Phase.CONNECTING else state.budget
