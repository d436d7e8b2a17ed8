"""How late the event loop is: measured always, since everything of a call passes through it."""

from __future__ import annotations

import asyncio
from collections import deque

from mediaagentd.lending import LendingLoop

INTERVAL = 0.2
"""Seconds between two looks: each wakes an idle loop, 0.1 ms with cold caches."""

SELDOM = 0.5
"""Seconds between two where the loop wakes for nothing else: others do its work meanwhile (`lending.py`)."""

KEPT = 300
"""Looks that are remembered: a minute, or two and a half."""


class LoopLag:
    """Sets itself a time and sees how late it is called. So it wakes a loop that leaves timers to others."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._late: deque[float] = deque(maxlen=KEPT)
        self._begin(loop.time())

    def close(self) -> None:
        """Ends it."""
        self._timer.cancel()

    @property
    def p99(self) -> float:
        """Seconds that 99 of 100 of the looks that are remembered were not later than; 0 before the first."""
        if not self._late:
            return 0.0
        ordered = sorted(self._late)
        return ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)]

    def _look(self) -> None:
        now = self._loop.time()
        self._late.append(max(0.0, now - self._due))
        self._begin(now)

    def _begin(self, now: float) -> None:
        lends = self._loop if isinstance(self._loop, LendingLoop) else None
        self._due = now + (SELDOM if lends and lends.patient else INTERVAL)
        self._timer = self._loop.call_at(self._due, self._look)
        if lends:
            lends.alarm = self._due
