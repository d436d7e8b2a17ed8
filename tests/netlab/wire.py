"""One direction of one link: when a packet arrives, how often, or not at all. Pure and seeded."""

from __future__ import annotations

import random

from tests.netlab.profiles import REORDER_DELAY, Impairment

DRIFT = 0.1
"""Seconds between two turns of the jitter: delay slides from one value to the next, as queues do."""


class Wire:
    """`carry` says when the copies of a packet arrive. Time is whatever `now` says, in seconds."""

    def __init__(self, impairment: Impairment, seed: int) -> None:
        self._impairment = impairment
        self._random = random.Random(seed)
        self._bad = False
        self._free = 0.0
        self._latest = 0.0
        self._turn = float("-inf")
        self._from = self._to = 0.0

    def carry(self, size: int, now: float) -> tuple[float, ...]:
        """The times of arrival of a packet of `size` bytes sent at `now`; none when it is lost."""
        what = self._impairment
        if self._lost():
            return ()
        sent = self._sent(size, now)
        if sent is None:
            return ()
        due = sent + max(0.0, what.delay + self._jitter(now))
        if what.reorder and self._random.random() < what.reorder:
            due += REORDER_DELAY
        elif what.jitter:  # without it what came overtaken from another wire stays so
            due = self._latest = max(self._latest, due)
        if what.duplicate and self._random.random() < what.duplicate:
            return due, due + 0.001
        return (due,)

    def _lost(self) -> bool:
        """Gilbert's two states: runs of `burst` on average, `loss` of all packets."""
        loss, burst = self._impairment.relayed_loss, self._impairment.burst
        if loss <= 0 or loss >= 1:
            return loss >= 1
        chance = 1 - 1 / burst if self._bad else loss / (burst * (1 - loss))
        self._bad = self._random.random() < chance
        return self._bad

    def _sent(self, size: int, now: float) -> float | None:
        """When the last bit has left; None when the queue is full."""
        if not self._impairment.rate:
            return now
        if self._free - now > self._impairment.queue:
            return None
        self._free = max(self._free, now) + size * 8 / self._impairment.rate
        return self._free

    def _jitter(self, now: float) -> float:
        most = self._impairment.jitter
        if not most:
            return 0.0
        if now >= self._turn + DRIFT:
            self._turn, self._from = now, self._to
            self._to = self._random.uniform(-most, most)
        return self._from + (self._to - self._from) * (now - self._turn) / DRIFT
