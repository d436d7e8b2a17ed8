"""What a change of the network does to a connection that is up, and to one that is being made."""

from __future__ import annotations

import pytest
from mediaagentd.media import continuity as c
from mediaagentd.media import continuity_types as t
from mediaagentd.media.continuity_types import Phase

from tests.unit.media.side import Side, up


def test_an_address_that_has_gone_is_not_waited_for() -> None:
    for offers, answer in ((True, t.Make(1)), (False, t.Ask(1))):
        side = up(offers=offers)
        side.until(30.0)
        assert side.give(t.NetworkChanged(broken=True)) == [answer]
        assert side.state.phase is Phase.UP, "the old path may still carry what is on its way"


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


def test_a_suspicion_that_was_proved_wrong_is_forgotten() -> None:
    side = up(offers=True)
    side.until(30.0)
    side.give(t.Tick(29.999))
    side.give(t.NetworkChanged())
    side.now, side.silent_from = 30.702, 30.001
    assert side.give(t.Tick(30.001)) == [t.Probe()], "the timer was 3 ms late"
    assert side.until(34.0) == [t.Lost()]
    assert side.until(35.1) == [t.Make(1)], "by its silence"


# --- while one is being made

STALE = (t.NetworkChanged(told=True), t.NetworkChanged(broken=True, unfit=True, lacks=True))
"""After which what is being made is no good."""

UNRELATED = (t.NetworkChanged(), t.NetworkChanged(broken=True), t.NetworkChanged(better=True))
"""That it is no good is not said of what is being made."""


@pytest.mark.parametrize("change", STALE)
@pytest.mark.parametrize("offers", [True, False])
def test_what_is_being_made_begins_anew_when_it_is_no_good_after_a_pause(
    change: t.NetworkChanged, offers: bool
) -> None:
    side = Side(offers=offers)
    side.give(t.Answered(0) if offers else t.Offered(0))
    begun = [t.Drop(0), t.Make(1) if offers else t.Ask(1)]
    side.until(0.9)
    assert side.give(change) == []
    assert side.give(change) == []
    assert side.until(c.PAUSE - 0.01) == []
    assert side.until(c.PAUSE) == begun
    assert side.until(5.0) == []
    side = Side(offers=offers)
    side.give(t.Answered(0) if offers else t.Offered(0))
    side.until(c.PAUSE + 1.0)
    assert side.give(change) == begun, "at once, when it was begun long ago"
    assert side.give(t.Connected(0)) == []


@pytest.mark.parametrize("change", [t.NetworkChanged(told=True), t.NetworkChanged(broken=True)])
def test_one_that_has_just_come_up_is_made_anew_at_once(change: t.NetworkChanged) -> None:
    for offers, answer in ((True, t.Make(1)), (False, t.Ask(1))):
        side = up(offers=offers)
        side.until(0.3)
        assert side.give(change) == [answer]


@pytest.mark.parametrize("change", STALE)
def test_what_was_just_offered_beside_one_that_is_up_has_its_pause_too(change: t.NetworkChanged) -> None:
    side = up(offers=False)
    side.until(30.0)
    side.give(t.Offered(1))
    side.until(30.5)
    assert side.give(change) == []
    assert side.until(30.0 + c.PAUSE) == [t.Drop(1), t.Ask(2)]


@pytest.mark.parametrize("change", STALE)
def test_what_comes_up_or_is_offered_before_the_pause_is_over_is_good(change: t.NetworkChanged) -> None:
    side = Side(offers=True)
    side.give(change)
    side.give(t.Connected(0))
    assert side.until(60.0) == []
    side = Side(offers=False)
    side.give(t.Offered(0))
    side.give(change)
    assert side.give(t.Offered(1)) == [t.Drop(0), t.Take(1)]
    assert side.until(6.0) == []


@pytest.mark.parametrize("offers", [True, False])
def test_a_change_that_concerns_nothing_here_leaves_what_is_being_made(offers: bool) -> None:
    for lost in (False, True):
        side = up(offers=offers) if lost else Side(offers=offers)
        if lost:
            side.until(30.0)
            assert side.give(t.Closed(0, "lost"))[-1] == (t.Make(1) if offers else t.Ask(1))
        generation = int(lost)
        side.give(t.Answered(generation) if offers else t.Offered(generation))
        for number in range(30):
            assert side.give(UNRELATED[number % 3]) == []
            assert side.until(side.now + 0.6) == []
        assert t.Up() in side.give(t.Connected(generation))


@pytest.mark.parametrize("offers", [True, False])
def test_changes_without_end_do_not_keep_it_from_being_given_up(offers: bool) -> None:
    side = Side(offers=offers)
    while side.now < 25.0:
        side.give(STALE[0])
        side.until(side.now + 0.3)
        if not offers and side.state.building is None:
            side.give(t.Offered(side.state.newest + 1))
    assert side.when(t.Over) == [c.CONNECT_BUDGET]
    assert len(side.when(t.Make) or side.when(t.Ask)) <= 1 + c.CONNECT_BUDGET / c.PAUSE


def test_a_lost_one_begins_nothing_for_a_change_beyond_its_budget() -> None:
    side = up(offers=True, budget=10.0)
    side.give(t.Closed(0, "lost"))
    side.until(8.0)
    side.give(t.Answered(side.state.newest))
    side.until(10.5)
    assert side.give(STALE[0]) == []
    assert side.until(25.0) == [], "the last one may finish"
    assert t.Up() in side.give(t.Connected(side.state.newest))


def test_who_waits_for_an_offer_says_so_again_from_a_new_address() -> None:
    side = up(offers=False)
    side.until(30.0)
    assert side.give(t.Closed(0, "lost"))[-1] == t.Ask(1)
    assert side.give(t.NetworkChanged()) == []
    assert side.until(34.0) == [], "nothing is known to be better now"
    side = up(offers=False)
    side.until(30.0)
    side.give(t.Closed(0, "lost"))
    assert side.give(t.NetworkChanged(lacks=True)) == []
    assert side.until(30.0 + c.PAUSE) == [t.Ask(1)]
    assert side.until(30.0 + c.PAUSE + c.UNANSWERED - 0.1) == []


def test_a_broken_one_whose_successor_fails_is_not_made_anew_by_each_change() -> None:
    side = up(offers=True)
    side.until(30.0)
    for _ in range(50):
        side.give(t.NetworkChanged(broken=True))
        if side.state.building is not None:
            side.give(t.Closed(side.state.building.generation, "failed"))
        side.until(side.now + 0.1)
    assert len(side.when(t.Make)) <= 2 + 5 / c.PAUSE


def test_what_lacks_a_new_address_has_some_more_seconds() -> None:
    side = Side(offers=True)
    side.give(t.Answered(0))
    side.until(1.0)
    assert side.give(t.NetworkChanged(lacks=True)) == []
    side.until(3.0)
    assert side.give(t.NetworkChanged(lacks=True)) == []
    assert side.until(1.0 + c.LACKING - 0.01) == []
    assert side.until(1.0 + c.LACKING) == [t.Drop(0), t.Make(1)]
