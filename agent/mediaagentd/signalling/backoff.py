"""How long to wait before the next attempt: full jitter, so that the agents of a hub that comes back do
not come all at once (AWS Architecture Blog, "Exponential Backoff And Jitter").
"""

from __future__ import annotations

import asyncio
import random


class Backoff:
    """Delays up to a bound that doubles from `first` to `cap` seconds, not below `floor` (0 to 1) of it."""

    def __init__(self, first: float, cap: float, floor: float = 0.0) -> None:
        self._first = first
        self._floor = floor
        self._cap = cap
        self._bound = first

    def reset(self) -> None:
        """It worked: begin anew."""
        self._bound = self._first

    def next(self) -> float:
        """The next delay, seconds."""
        bound, self._bound = self._bound, min(self._cap, self._bound * 2)
        return random.uniform(self._floor * bound, bound)  # noqa: S311 - spreads load, keeps no secret

    async def pause(self, sooner: asyncio.Event | None = None) -> None:
        """Waits for the next delay, or until `sooner` is set anew."""
        delay = self.next()
        if sooner is None:
            await asyncio.sleep(delay)
            return
        sooner.clear()
        try:
            async with asyncio.timeout(delay):
                await sooner.wait()
        except TimeoutError:
            pass
        else:
            self.reset()
