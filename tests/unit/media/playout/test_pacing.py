"""When pictures are shown, by arithmetic on `now`."""

from __future__ import annotations

import random
from itertools import pairwise

from mediaagentd.media.playout.delay import PICTURES
from mediaagentd.media.playout.pacing import EVEN, Pacing
from mediaagentd.media.types import VIDEO_CLOCK

FRAME = VIDEO_CLOCK // 30


def shown(pacing: Pacing, arrivals: list[float], first: int = 0) -> list[float]:
    return [pacing.show((first + index) * FRAME, now) for index, now in enumerate(arrivals)]


def repaired(count: int, loss: float, seed: int = 3) -> list[float]:
    """Pictures some of which wait for a repair of 130 ms, and all behind them too."""
    generator, latest, arrivals = random.Random(seed), 0.0, []
    for number in range(count):
        late = 0.0
        while generator.random() < loss:
            late += 0.13
        latest = max(latest, number / 30 + late + generator.uniform(0, 0.004))
        arrivals.append(latest)
    return arrivals


def test_pictures_that_come_evenly_are_shown_as_they_come() -> None:
    pacing = Pacing()
    arrivals = [number / 30 + 0.015 * (number % 3 == 0) for number in range(200)]
    assert shown(pacing, arrivals) == arrivals
    assert pacing.wanted == 0.0 < EVEN


def test_bursts_are_spread_and_nothing_waits_longer_than_it_must() -> None:
    arrivals = repaired(900, 0.15)
    times = shown(pacing := Pacing(), arrivals)
    assert times == sorted(times)
    steps = [after - before for before, after in pairwise(times[300:])]
    assert sum(step > 0.06 for step in steps) < 0.03 * len(steps)
    assert sum(step < 0.01 for step in steps) < 0.05 * len(steps)
    assert max(due - now for due, now in zip(times, arrivals, strict=True)) <= PICTURES.most + 0.001
    assert 0.1 < pacing.wanted <= PICTURES.most


def test_when_it_is_calm_again_the_wait_is_given_back_slowly() -> None:
    pacing = Pacing()
    shown(pacing, repaired(600, 0.15))
    calm = [number / 30 for number in range(600, 1500)]
    times = shown(pacing, calm, 600)
    assert min(after - before for before, after in pairwise(times)) > 1 / 30 - 0.0025
    assert times[-1] == calm[-1]


def test_pictures_wait_for_the_sound() -> None:
    pacing = Pacing()
    calm = [number / 30 for number in range(100)]
    shown(pacing, calm)
    pacing.sound = 0.08
    (due,) = shown(pacing, [100 / 30], 100)
    assert abs(due - 100 / 30 - 0.08) < 1e-6


def test_a_stream_that_restarts_is_not_held_for_it() -> None:
    pacing = Pacing()
    shown(pacing, repaired(300, 0.15))
    (due,) = shown(pacing, [20.0], 1_000_000)
    assert due == 20.0
