"""When a connection counts as lost, is made anew and is given up: by arithmetic on `now`."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.media import continuity as c
from mediaagentd.media import continuity_types as t
from mediaagentd.media.continuity_types import Phase


class Side:
    """One machine and a clock; `alive` tells until when something is heard of the current connection."""

    def __init__(self, *, offers: bool, budget: float = 60.0) -> None:
        self.now = 0.0
        self.state, effects = c.begin(0.0, offers=offers, budget=budget)
        self.told: list[tuple[float, t.Effect]] = [(0.0, effect) for effect in effects]
        self.silent_from = float("inf")

    def give(self, told: t.Input) -> list[t.Effect]:
        self.state, effects = c.step(self.state, self.now, told)
        self.told += [(self.now, effect) for effect in effects]
        return list(effects)

    def until(self, time: float) -> list[t.Effect]:
        """Lets time pass; what was decided meanwhile, without questions."""
        before = len(self.told)
        while (due := c.deadline(self.state)) is not None and due <= time:
            assert due > self.now - 1e-9, "a deadline in the past"
            self.now = max(self.now, due)
            self.give(t.Tick(min(self.now - 0.01, self.silent_from)))
        self.now = time
        return [effect for _, effect in self.told[before:] if not isinstance(effect, t.Probe)]

    def fall_silent(self) -> None:
        self.silent_from = self.now

    def when(self, kind: type[t.Effect]) -> list[float]:
        return [round(time, 2) for time, effect in self.told if isinstance(effect, kind)]


def up(*, offers: bool, budget: float = 60.0) -> Side:
    side = Side(offers=offers, budget=budget)
    if not offers:
        assert side.give(t.Offered(0)) == [t.Take(0)]
    assert side.give(t.Connected(0)) == [t.Adopt(0, None), t.Up()]
    return side


def test_the_first_connection() -> None:
    assert [effect for _, effect in Side(offers=True).told] == [t.Make(0)]
    assert Side(offers=False).told == []
    assert up(offers=True).until(1000.0) == [], "nothing is decided while there is life"


def test_a_short_silence_is_lost_and_regained_on_the_same_connection() -> None:
    side = up(offers=True)
    side.until(10.0)
    side.fall_silent()
    assert side.until(11.9) == []
    assert side.when(t.Probe)[:2] == [10.7, 11.0], "asked for a sign of life first"
    assert side.until(14.0) == [t.Lost()]
    assert side.state.phase is Phase.LOST
    side.silent_from = float("inf")
    assert side.until(14.5) == [t.Up()], "seen within one pause"
    assert side.until(60.0) == []


def test_a_long_silence_makes_it_anew_beside_the_old_one() -> None:
    side = up(offers=True)
    side.fall_silent()
    assert side.until(5.4) == [t.Lost(), t.Make(1)]
    side.give(t.Answered(1))
    assert side.give(t.Connected(1)) == [t.Adopt(1, 0), t.Up()], "the old one may linger"
    assert side.give(t.Closed(0, "late")) == [], "and its end says nothing"


def test_the_other_side_asks_until_it_is_offered() -> None:
    side = up(offers=False)
    side.fall_silent()
    assert side.until(16.0) == [t.Lost(), t.Ask(1), t.Ask(1)]
    assert side.give(t.Offered(1)) == [t.Take(1)]
    assert side.until(30.0) == []
    assert side.give(t.Connected(1)) == [t.Adopt(1, 0), t.Up()]


def test_what_lives_again_meanwhile_stays_until_the_new_one_is_up() -> None:
    side = up(offers=True)
    side.fall_silent()
    side.until(6.0)
    side.silent_from = float("inf")
    assert side.until(7.0) == [t.Up()]
    assert side.give(t.Closed(1, "failed")) == [t.Drop(1)]
    assert side.until(100.0) == [], "no need for another one"


def test_a_failed_connection_is_made_anew_at_once() -> None:
    for offers, answer in ((True, t.Make(1)), (False, t.Ask(1))):
        side = up(offers=offers)
        side.until(30.0)
        assert side.give(t.Closed(0, "connection lost")) == [t.Drop(0), t.Lost(), answer]


def test_generations_that_fail_at_once_are_paced() -> None:
    side = up(offers=True)
    side.until(30.0)
    side.give(t.Closed(0, "lost"))
    for _ in range(100):
        building = side.state.building
        if building is not None:
            side.give(t.Closed(building.generation, "failed"))
        side.until(side.now + 0.1)
    assert len(side.when(t.Make)) <= 2 + 10 / c.PAUSE


def test_a_connection_that_is_lost_soon_is_asked_for_anew_at_once() -> None:
    side = up(offers=False)
    side.now = 2.0
    assert side.give(t.Closed(0, "failed")) == [t.Drop(0), t.Lost(), t.Ask(1)], "no answer was awaited"
    side.give(t.Offered(1))
    side.give(t.Connected(1))
    assert side.give(t.Closed(1, "failed")) == [t.Drop(1), t.Lost()]
    assert side.until(4.0) == [t.Ask(2)], "but not in a loop"


def test_it_is_given_up_when_the_budget_is_spent() -> None:
    side = up(offers=False, budget=10.0)
    side.until(30.0)
    side.fall_silent()
    effects = side.until(100.0)
    assert effects[-1] == t.Over("connection lost")
    assert side.when(t.Ask) == [35.0, 41.0]
    assert side.when(t.Over) == [47.0], "what was asked within the budget may still be answered"
    assert c.deadline(side.state) is None
    assert side.give(t.Offered(9)) == []


def test_the_last_attempt_may_finish_though_the_budget_is_spent() -> None:
    side = up(offers=False, budget=10.0)
    side.fall_silent()
    side.until(11.0)
    side.give(t.Offered(1))
    assert side.until(20.0) == []
    assert side.give(t.Connected(1)) == [t.Adopt(1, 0), t.Up()]


def test_a_connection_that_never_comes_is_given_up() -> None:
    side = Side(offers=False)
    assert side.until(100.0)[-1] == t.Over("not connected in time")
    assert side.when(t.Over) == [c.CONNECT_BUDGET]
    side = Side(offers=True)
    side.give(t.Answered(0))
    effects = side.until(100.0)
    assert isinstance(effects[-1], t.Over)
    side = Side(offers=True)
    assert side.until(7.0) == [t.Drop(0), t.Make(1)], "an offer that nobody answers is repeated"


def test_a_far_end_that_says_goodbye_is_gone() -> None:
    side = up(offers=True)
    assert side.give(t.Closed(0, "closed by the far end", final=True)) == [
        t.Drop(0),
        t.Over("closed by the far end"),
    ]
    side = up(offers=False)
    side.give(t.Offered(1))
    assert side.give(t.Closed(0, "closed by the far end", final=True)) == [t.Drop(0), t.Lost()]


def test_a_bad_first_description_is_final() -> None:
    side = Side(offers=False)
    side.give(t.Offered(0))
    assert side.give(t.Closed(0, "sdp: bad", final=True)) == [t.Over("sdp: bad")]
    side = up(offers=False)
    side.give(t.Offered(1))
    assert side.give(t.Closed(1, "sdp: bad", final=True)) == [t.Drop(1)], "a later one costs no call"
    assert side.state.phase is Phase.UP


def test_an_address_that_has_gone_is_not_waited_for() -> None:
    for offers, answer in ((True, t.Make(1)), (False, t.Ask(1))):
        side = up(offers=offers)
        side.until(30.0)
        assert side.give(t.NetworkChanged(broken=True)) == [answer]
        assert side.state.phase is Phase.UP, "the old path may still carry what is on its way"


def test_another_change_begins_anew() -> None:
    side = up(offers=True)
    side.give(t.NetworkChanged(broken=True))
    assert side.give(t.NetworkChanged(broken=True)) == [t.Drop(1), t.Make(2)]
    assert side.give(t.Connected(1)) == []


def test_a_change_that_breaks_nothing_costs_a_question() -> None:
    side = up(offers=True)
    side.until(30.0)
    assert side.give(t.NetworkChanged(broken=False)) == [t.Probe()]
    assert side.until(40.0) == []
    side.give(t.NetworkChanged(broken=False))
    side.fall_silent()
    assert side.until(41.1) == [t.Make(1)], "unproved for a second"


def test_a_better_way_is_tried_beside_the_one_that_works() -> None:
    side = up(offers=True)
    side.until(30.0)
    assert side.give(t.NetworkChanged(broken=False, better=True)) == [t.Make(1)]
    assert side.until(36.1) == [t.Drop(1)], "there is none: the old one goes on, and nothing is tried again"
    assert side.until(100.0) == []
    asking = up(offers=False)
    asking.until(30.0)
    assert asking.give(t.NetworkChanged(broken=False, better=True)) == [t.Ask(1)]
    assert asking.until(100.0) == []


def test_what_was_lost_with_the_hub_is_said_anew() -> None:
    side = up(offers=True)
    side.until(30.0)
    side.give(t.Closed(0, "lost"))
    side.until(30.5)
    assert side.give(t.SignallingBack()) == [t.Drop(1), t.Make(2)]
    side.give(t.Answered(2))
    assert side.give(t.SignallingBack()) == [], "what is answered was not lost"
    side = up(offers=True)
    assert side.give(t.SignallingBack()) == []


def test_a_wish_that_crossed_with_the_offer_changes_nothing() -> None:
    side = up(offers=True)
    side.until(30.0)
    side.give(t.Closed(0, "lost"))
    side.until(30.5)
    assert side.give(t.Asked(1)) == []
    side.until(33.0)
    assert side.give(t.Asked(1)) == [t.Drop(1), t.Make(2)], "that offer did not arrive"
    assert up(offers=False).give(t.Asked(5)) == []


def test_a_wish_of_one_that_came_back_is_fulfilled() -> None:
    side = up(offers=True)
    side.until(30.0)
    assert side.give(t.Asked(1)) == [t.Make(1)]
    assert side.give(t.Asked(7)) == [t.Drop(1), t.Make(7)]


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
