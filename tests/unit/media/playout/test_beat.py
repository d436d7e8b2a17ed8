"""The beat of the playout beside sound cards whose clocks are not ours, in virtual time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise

import pytest
from mediaagentd.media.playout.beat import LATE, LOOK, PATIENCE, Beat
from mediaagentd.media.playout.delay import SLOT
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

SETTLED = 10.0
"""Seconds after which a card that began empty is filled as it will be."""


@dataclass(slots=True)
class Card:
    """Plays `speed` times as fast as it should; says how much room it has in steps of `step` samples."""

    speed: float = 1.0
    size: int = 3 * AUDIO_FRAME
    step: int = 1
    filled: float = 0.0
    at: float = 0.0
    dropped: int = 0
    dry: int = 0

    def room(self, now: float) -> int:
        """At that time; time passes by it."""
        played = (now - self.at) * AUDIO_CLOCK * self.speed
        self.dry += 0 < self.filled < played
        self.filled, self.at = max(0.0, self.filled - played), now
        return int(self.size - self.filled) // self.step * self.step

    def write(self, now: float) -> None:
        """20 ms, which are dropped without room."""
        if self.room(now) < AUDIO_FRAME:
            self.dropped += 1
        else:
            self.filled += AUDIO_FRAME


def play(card: Card, seconds: float) -> list[float]:
    """The times of its blocks, in a thread that wakes up to 6 ms late; counts from `SETTLED` on."""
    chance, beat, now = random.Random(1), Beat(0.0), 0.0
    times: list[float] = []
    while now < seconds:
        if now < SETTLED:
            card.dropped = card.dry = 0
            times.clear()
        now = max(now, beat.due) + chance.uniform(0, 0.006)
        at = beat.strike(now, card.room(now))
        if at is not None:
            card.write(now)
            times.append(at)
    return times


@pytest.mark.parametrize("step", [1, AUDIO_FRAME], ids=["samples", "blocks"])
@pytest.mark.parametrize("off", [-300e-6, -50e-6, 0.0, 50e-6, 300e-6])
def test_a_card_neither_fills_up_nor_runs_dry(off: float, step: int) -> None:
    card = Card(1 + off, step=step)
    times = play(card, SETTLED + 900)
    assert (card.dropped, card.dry) == (0, 0)
    assert len(times) == pytest.approx(900 / SLOT * (1 + off), abs=5)
    steps = [late - early for early, late in pairwise(times)]
    assert max(steps) < SLOT + 0.012
    assert min(steps) > SLOT - 0.002


def test_by_our_clock_alone_it_would() -> None:
    slow, fast = Card(1 - 300e-6), Card(1 + 300e-6)
    for number in range(900 * 50):
        for card in (slow, fast):
            card.write(number * SLOT)
    assert slow.dropped > 10
    assert fast.dry > 10


def test_a_card_that_stands_still_does_not_stop_time() -> None:
    beat, now = Beat(0.0), 0.0
    times = []
    while now < 5:
        now = beat.due
        at = beat.strike(now, 0)
        if at is not None:
            times.append(at)
    assert times[0] == pytest.approx(PATIENCE, abs=2 * LOOK)
    assert len(times) == pytest.approx((5 - PATIENCE) / SLOT, abs=2)


def test_what_was_missed_for_long_is_left_out() -> None:
    beat = Beat(0.0)
    assert beat.strike(0.0, None) == 0.0
    assert beat.strike(SLOT + 0.1, None) == SLOT  # caught up on
    assert beat.strike(10.0, None) == 10.0
    assert beat.due == pytest.approx(10.0 + SLOT)
    assert LATE > 0.1
