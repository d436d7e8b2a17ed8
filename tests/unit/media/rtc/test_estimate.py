"""The estimate that we tell the far end: a sender, a bottleneck with a queue, and arithmetic on `now`."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from mediaagentd.media.rtc.estimate import Estimator

SIZE = 1200


class Path:
    """Sends what it is told, 30 pictures a second, through a bottleneck; `told` has (time, estimate)."""

    def __init__(self, jitter: float = 0.002, skew: float = 1.0, *, packet_jitter: bool = True) -> None:
        self.estimator = Estimator()
        self.told: list[tuple[float, int]] = []
        self.now = 0.0
        self._free = 0.0
        self.sound = 0
        self._jitter, self._skew = jitter, skew
        self._packet_jitter = packet_jitter
        self._turn, self._slide = 0.0, 0.0
        self._random = random.Random(1)

    def run(self, seconds: float, capacity: float, rate: Callable[[float], float]) -> None:
        """`rate` makes the rate to send at of the estimate so far."""
        arrivals: list[tuple[float, float]] = []
        end = self.now + seconds
        owed = 0.0
        while self.now < end:
            owed += rate(self.told[-1][1] if self.told else 1e9) / 30 / 8
            while owed >= SIZE:
                owed -= SIZE
                if self._free - self.now < 0.3:  # else the queue is full
                    self._free = max(self._free, self.now) + SIZE * 8 / capacity
                    arrivals.append((self._free + 0.025 + self._late(), self.now))
            self._tell(self.estimator.beside(int(self.sound / 30 / 8), self.now), self.now)
            self.now += 1 / 30
            arrivals.sort()
            while arrivals and arrivals[0][0] <= self.now:
                self._arrive(*arrivals.pop(0))

    def _late(self) -> float:
        """From packet to packet, or as queues elsewhere: another value each tenth of a second."""
        if self._packet_jitter or self.now - self._turn >= 0.1:
            self._turn, self._slide = self.now, self._random.uniform(0, self._jitter)
        return self._slide

    def _arrive(self, arrived: float, sent: float) -> None:
        stamp = int((sent * self._skew + 63.5) * (1 << 18)) & 0xFFFFFF  # wraps soon
        self._tell(self.estimator.add(stamp, SIZE, arrived), arrived)

    def _tell(self, estimate: int | None, now: float) -> None:
        if estimate is not None:
            self.told.append((now, estimate))

    @property
    def last(self) -> int:
        return self.told[-1][1]


def capped(estimate: float) -> float:
    return min(1_500_000, estimate)


def test_a_wide_path_is_not_in_the_way() -> None:
    path = Path()
    path.run(10, 10e6, capped)
    assert path.last > 2_000_000
    assert len(path.told) <= 20


@pytest.mark.parametrize("capacity", [300_000, 800_000])
def test_a_bottleneck_is_found_within_seconds_and_kept_to(capacity: int) -> None:
    path = Path()
    path.run(8, 10e6, capped)
    path.run(3, capacity, capped)
    assert min(estimate for time, estimate in path.told if time > 9.5) < capacity
    since = len(path.told)
    path.run(30, capacity, capped)
    later = [estimate for _, estimate in path.told[since:]]
    assert 0.55 * capacity < sum(later) / len(later) < 1.1 * capacity


def test_when_the_bottleneck_is_gone_the_estimate_is_soon_back() -> None:
    path = Path()
    path.run(8, 10e6, capped)
    path.run(10, 300_000, capped)
    began = path.now
    path.run(20, 10e6, capped)
    back = next(time for time, estimate in path.told if time > began and estimate > 1_500_000)
    assert back - began < 12


def test_jitter_and_clocks_that_differ_are_no_queue() -> None:
    path = Path(jitter=0.060, skew=1.0001)
    path.run(120, 10e6, capped)
    assert min(estimate for time, estimate in path.told if time > 5) > 1_400_000


@pytest.mark.parametrize("pause", [5, 20, 40, 60, 70, 100])
def test_a_pause_is_no_bottleneck(pause: float) -> None:
    path = Path()
    path.run(8, 10e6, capped)
    path.run(pause, 10e6, lambda _: 0.0)
    began = path.now
    path.run(4, 10e6, capped)
    assert min(estimate for time, estimate in path.told if time > began) > 1_400_000
    assert path.last > 1_500_000


def test_a_path_that_becomes_narrow_right_after_another_queue_is_believed_at_once() -> None:
    path = Path()
    path.run(8, 2e6, lambda _: 1_500_000)
    path.run(1, 1.3e6, lambda _: 1_500_000)
    path.run(1, 10e6, capped)
    began = path.now
    path.run(1.5, 300_000, capped)
    assert min(estimate for time, estimate in path.told if time > began) < 300_000


def test_the_queue_drains_and_then_all_that_gets_through_is_used() -> None:
    path = Path()
    path.run(8, 10e6, capped)
    path.run(8, 300_000, capped)
    dipped = min(estimate for time, estimate in path.told if 8 < time < 9.5)
    used = [estimate for time, estimate in path.told if time > 11]
    assert dipped < 0.75 * 300_000
    assert min(used) > 0.75 * 300_000


def test_delay_that_varies_all_the_time_is_no_queue() -> None:
    path = Path(jitter=0.1, packet_jitter=False)
    path.run(60, 10e6, capped)
    falls = [b for (_, a), (_, b) in pairwise(path.told) if b < a]
    assert len(falls) <= 2


def test_it_is_told_again_and_again_when_no_packets_come_because_word_of_it_may_be_lost() -> None:
    path = Path()
    path.run(8, 10e6, capped)
    path.run(0.5, 300_000, capped)
    told = [path.estimator.due(path.now + 0.02 * number) for number in range(50)]
    assert len([each for each in told if each is not None]) >= 5


def test_sound_that_comes_over_the_same_path_counts() -> None:
    alone, both = Path(), Path()
    both.sound = 80_000
    for path in (alone, both):
        path.run(8, 10e6, capped)
        path.run(1.5, 300_000, capped)
    assert both.estimator.capacity > alone.estimator.capacity + 50_000
