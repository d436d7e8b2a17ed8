"""When a connection counts as lost, is made anew and is given up: by arithmetic on `now`."""

from __future__ import annotations

from mediaagentd.media import continuity as c
from mediaagentd.media import continuity_types as t
from mediaagentd.media.continuity_types import Phase

from tests.unit.media.side import Side, up


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
    side.until(15.0)
    side.give(t.Answered(2))
    assert side.until(100.0) == [t.Drop(2), t.Over("not connected in time")], "whatever is being made then"
    assert side.when(t.Over) == [c.CONNECT_BUDGET]
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
    assert side.give(t.Closed(0, "sdp: bad", final=True)) == [t.Drop(0), t.Over("sdp: bad")]
    side = up(offers=False)
    side.give(t.Offered(1))
    assert side.give(t.Closed(1, "sdp: bad", final=True)) == [t.Drop(1)], "a later one costs no call"
    assert side.state.phase is Phase.UP


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
