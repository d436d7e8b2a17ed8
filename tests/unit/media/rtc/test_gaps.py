"""Which packets of sound are asked for again, by arithmetic on `now`."""

from __future__ import annotations

from mediaagentd.media.rtc.gaps import LONGEST_ROUND_TRIP, OLDEST, REORDER, TRIES, Gaps


def gaps(round_trip: float | None = 0.05) -> Gaps:
    made = Gaps()
    made.round_trip = round_trip
    made.note(10, 0.0)
    return made


def test_a_gap_is_asked_for_a_bounded_number_of_times() -> None:
    known = gaps()
    known.note(13, 0.06)
    assert known.deadline() == 0.06 + REORDER
    assert known.due(0.06) == []
    asked = [known.due(0.07 + 0.06 * step) for step in range(4)]
    assert asked == [[11, 12]] * TRIES + [[]] * (4 - TRIES)
    assert known.deadline() is None


def test_what_comes_late_or_inside_a_later_packet_is_not_asked_for() -> None:
    known = gaps()
    known.note(12, 0.04)
    known.note(11, 0.045)
    assert known.due(1.0) == []
    known.note(15, 0.1, covered=(13, 14))
    assert known.due(1.0) == []
    known.note(19, 0.2, covered=(17, 18))
    assert known.due(1.0) == [16]
    known.note(24, 1.1, covered=(16, 20))
    assert known.due(1.2) == [21, 22, 23]


def test_a_long_round_trip_is_not_worth_it() -> None:
    for round_trip in (None, LONGEST_ROUND_TRIP + 0.01):
        known = gaps(round_trip)
        known.note(12, 0.04)
        assert known.deadline() is None
        assert known.due(1.0) == []


def test_an_outage_is_not_asked_for_in_full() -> None:
    known = gaps()
    known.note(1000, 20.0)
    assert len(known.due(21.0)) == OLDEST
    known.note(2000, 40.0, covered=(1998, 1999))
    assert len(known.due(41.0)) <= OLDEST
