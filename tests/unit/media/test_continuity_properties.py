"""Whatever happens: a timer that does not spin, and two ends that agree."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hypothesis import example, given
from hypothesis import strategies as st
from mediaagentd.media import continuity as c
from mediaagentd.media import continuity_types as t
from mediaagentd.media.continuity_types import Phase

from tests.unit.media.side import Side

_GENERATIONS = st.integers(0, 5)
_HAPPENS = st.one_of(
    st.builds(t.Connected, _GENERATIONS),
    st.builds(t.Closed, _GENERATIONS, st.just("why"), st.booleans()),
    st.builds(t.Offered, _GENERATIONS),
    st.builds(t.Answered, _GENERATIONS),
    st.builds(t.Asked, _GENERATIONS),
    st.builds(t.NetworkChanged, st.booleans(), st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    st.just(t.SignallingBack()),
)
_LIKELY = st.sampled_from(["none", "up", "described", "changed"])
_SECONDS = st.floats(0, 8.0) | st.floats(0, 0.1) | st.sampled_from([0.0, c.PAUSE, c.PROBE, c.SUSPICION])


class Watched:
    """A machine whose timer comes up to `late` seconds late and that hears something until `silent_from`."""

    def __init__(self, *, offers: bool, late: float) -> None:
        self.now, self.late, self.silent_from = 0.0, late, math.inf
        self.state, _ = c.begin(0.0, offers=offers, budget=20.0)

    def give(self, told: t.Input) -> bool:
        """Whether that did anything."""
        before = self.state
        self.state, effects = c.step(before, self.now, told)
        if isinstance(told, t.NetworkChanged | t.Tick) and before.building is not None:
            dropped = t.Drop(before.building.generation) in effects
            over = any(isinstance(effect, t.Over) for effect in effects)
            assert not dropped or over or self.now >= before.building.since + c.PAUSE, "no time to come up"
        return bool(effects) or self.state != before

    def until(self, time: float) -> None:
        """Each time that the timer goes off something is done, so that it cannot spin."""
        while (due := c.deadline(self.state)) is not None and due <= time:
            self.now = max(self.now, due + self.late)
            assert self.give(t.Tick(min(self.now, self.silent_from))), "a deadline for nothing"
        self.now = max(self.now, time)

    def likely(self, what: str) -> t.Input:
        """What moves the machine on, in its present state."""
        match what:
            case "up" if self.state.building is not None:
                return t.Connected(self.state.building.generation)
            case "described" if self.state.offers:
                return t.Answered(self.state.newest)
            case "described":
                return t.Offered(self.state.newest + 1)
            case "changed":
                return t.NetworkChanged()
            case _:
                return t.SignallingBack()


@given(
    offers=st.booleans(),
    late=st.sampled_from([0.0, 0.003, 0.4]),
    happens=st.lists(st.tuples(_SECONDS, _HAPPENS | _LIKELY, st.booleans()), max_size=30),
)
def test_a_timer_never_goes_off_for_nothing(
    offers: bool, late: float, happens: list[tuple[float, t.Input | str, bool]]
) -> None:
    side = Watched(offers=offers, late=late)
    for seconds, what, hears in happens:
        side.until(side.now + seconds)
        side.silent_from = math.inf if hears else min(side.now, side.silent_from)
        side.give(side.likely(what) if isinstance(what, str) else what)
    side.until(side.now + 100.0)


# --- both ends together


@dataclass
class Wire:
    """Two machines whose signals travel `delay` seconds; a connection that both ends know comes up when
    the network is there."""

    delay: float
    path: bool = True
    hub: bool = True
    now: float = 0.0
    sides: list[Side] = field(default_factory=lambda: [Side(offers=True), Side(offers=False)])
    legs: list[set[int]] = field(default_factory=lambda: [set(), set()])
    described: set[int] = field(default_factory=set)
    post: list[tuple[float, int, t.Input]] = field(default_factory=list)
    seen: list[int] = field(default_factory=lambda: [0, 0])

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = round(self.now + 0.01, 2)
            self.round()

    def round(self) -> None:
        for side in self.sides:
            side.silent_from = self.now if self.path else side.silent_from
            side.until(self.now)
        for each in [each for each in self.post if each[0] <= self.now]:
            self.post.remove(each)
            _, at, told = each
            self.sides[at].give(told)
        for index in (0, 1):
            self.collect(index)
        if self.path:
            for generation in sorted(self.described):
                if all(generation in legs for legs in self.legs):
                    for side in self.sides:
                        side.give(t.Connected(generation))

    def collect(self, index: int) -> None:
        side = self.sides[index]
        for _, effect in side.told[self.seen[index] :]:
            match effect:
                case t.Make(generation):
                    self.legs[index].add(generation)
                    self.send(1 - index, t.Offered(generation))
                case t.Take(generation):
                    self.legs[index].add(generation)
                    self.described.add(generation)
                    self.send(1 - index, t.Answered(generation))
                case t.Ask(generation):
                    self.send(1 - index, t.Asked(generation))
                case t.Drop(generation):
                    self.legs[index].discard(generation)
        self.seen[index] = len(side.told)

    def send(self, to: int, told: t.Input) -> None:
        if self.hub:
            self.post.append((self.now + self.delay, to, told))


@example(delay=1.0, outage=56.0, also_hub=True, later=3.0)
@given(delay=st.floats(0.01, 1.0), outage=st.floats(1.0, 58.0), also_hub=st.booleans(), later=st.floats(0, 3))
def test_both_ends_agree_after_an_outage(delay: float, outage: float, also_hub: bool, later: float) -> None:
    wire = Wire(delay)
    wire.run(5.0)
    assert [side.state.phase for side in wire.sides] == [Phase.UP, Phase.UP]
    for side in wire.sides:
        side.fall_silent()
    wire.path, wire.hub = False, not also_hub
    if outage > 30:  # consent has expired
        wire.run(30.0)
        for index, side in enumerate(wire.sides):
            if side.state.current is not None:
                wire.legs[index].discard(side.state.current)
                side.give(t.Closed(side.state.current, "connection lost"))
        wire.run(outage - 30)
    else:
        wire.run(outage)
    wire.path = True
    wire.run(later)
    if also_hub:
        wire.hub = True
        wire.run(0.01)  # what was said at the very instant was not lost
        for side in wire.sides:
            side.give(t.SignallingBack())
    wire.run(4.0 + 6 * delay + c.UNANSWERED)
    assert [side.state.phase for side in wire.sides] == [Phase.UP, Phase.UP]
    assert wire.sides[0].state.current == wire.sides[1].state.current
    made = len(wire.sides[0].when(t.Make))
    wire.run(30.0)
    assert len(wire.sides[0].when(t.Make)) == made, "and then it is quiet"


@given(delay=st.floats(0.01, 1.0), who=st.sampled_from([(0,), (1,), (0, 1)]))
def test_a_change_of_address_at_either_end_or_both_makes_one_new_connection(
    delay: float, who: tuple[int, ...]
) -> None:
    wire = Wire(delay)
    wire.run(5.0)
    for index in who:
        wire.sides[index].give(t.NetworkChanged(broken=True))
    wire.run(3 * delay + 0.5)
    assert [side.state.current for side in wire.sides] == [1, 1]
    wire.run(10.0)
    assert [side.state.current for side in wire.sides] == [1, 1]
    assert all(side.when(t.Lost) == [] for side in wire.sides)


@given(delay=st.floats(0.01, 1.0), every=st.floats(0.1, 2.0))
def test_changes_that_concern_nobody_cost_no_generation(delay: float, every: float) -> None:
    wire = Wire(delay)
    while wire.now < 3 * delay + 0.5:
        wire.run(every)
        for side in wire.sides:
            side.give(t.NetworkChanged())
    assert [side.state.current for side in wire.sides] == [0, 0]
