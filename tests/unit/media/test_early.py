"""Signals that come before their attempt is open."""

from __future__ import annotations

from mediaagentd.call.signal import Candidate, Offer, Signal
from mediaagentd.media.early import EARLY_SIGNALS, EarlySignals, LinkKey


def key(user_id: str = "bob", attempt: int = 2, call_id: str = "call") -> LinkKey:
    return LinkKey(call_id, user_id, attempt)


def test_those_of_an_attempt_are_taken_once_and_in_order() -> None:
    early, signals = EarlySignals(), [Signal(2, Offer("offer")), Signal(2, Candidate("one", "0"))]
    for signal in signals:
        early.keep(key(), signal)
    assert early.take(key()) == signals
    assert early.take(key()) == []
    assert len(early) == 0


def test_only_later_attempts_and_those_of_others_are_still_kept() -> None:
    early = EarlySignals()
    kept = [key(attempt=3), key("carol", 1), key("carol", 2, "other")]
    for each in (key(attempt=1), *kept, key(attempt=2), key(attempt=9, call_id="before")):
        early.keep(each, Signal(each.attempt, Offer(repr(each))))
    assert early.take(key(attempt=2)) == [Signal(2, Offer(repr(key(attempt=2))))]
    assert len(early) == len(kept)
    assert early.take(key(attempt=1)) == [], "forgotten with the later one"
    assert early.take(key(attempt=9, call_id="before")) == [], "of a call that is over"


def test_what_is_taken_one_by_one_is_all_that_was_kept() -> None:
    early = EarlySignals()
    kept = [key(attempt=3), key("carol", 1), key("dave", 2, "other")]
    for each in kept:
        early.keep(each, Signal(each.attempt, Offer(each.user_id)))
    early.take(key(attempt=2))
    for each in kept:
        assert early.take(each) == [Signal(each.attempt, Offer(each.user_id))]
    assert len(early) == 0


def test_a_flood_pushes_the_oldest_out() -> None:
    early = EarlySignals()
    for number in range(EARLY_SIGNALS + 1):
        early.keep(key(attempt=number), Signal(number, Offer("")))
    assert len(early) == EARLY_SIGNALS
    assert early.take(key(attempt=0)) == []
    assert early.take(key(attempt=EARLY_SIGNALS)) == [Signal(EARLY_SIGNALS, Offer(""))]
