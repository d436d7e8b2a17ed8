"""How late the event loop is: measured always, since everything of a call passes through it."""

from __future__ import annotations

import asyncio
from collections import deque

from mediaagentd.lending import LendingLoop

INTERVAL = 0.2
"""Seconds between two looks: each wakes an idle loop, 0.1 ms with cold caches."""

KEPT = 300
"""Looks that are remembered: a minute."""


class LoopLag:
    """Sets itself a time and sees how late it is called."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._late: deque[float] = deque(maxlen=KEPT)
        self._begin(loop.time())

    def close(self) -> None:
        """Ends it."""
        self._timer.cancel()

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 looks of the last minute were not later than; 0 before the first."""
        if not self._late:
            return 0.0
        ordered = sorted(self._late)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    def _look(self) -> None:
        now = self._loop.time()
        self._late.append(max(0.0, now - self._due))
        self._begin(now)

    def _begin(self, now: float) -> None:
        self._due = now + INTERVAL
        self._timer = self._loop.call_at(self._due, self._look)
        if isinstance(self._loop, LendingLoop):
            self._loop.alarm = self._due
