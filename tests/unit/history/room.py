"""A history with somebody who hears what it tells."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from mediaagentd.call import types as t
from mediaagentd.history.history import History
from mediaagentd.history.types import Event, Retention

from tests.unit.call.stage import call, joined, pending

RINGING = t.Call(call(joined("bob"), pending("ann")), t.Phase.RINGING, False, (), 5.0)
CANCELLED = replace(RINGING, phase=t.Phase.ENDED, ended=9.0, end_reason=t.EndReason.CANCELLED)
TALKED = replace(CANCELLED, answered=6.0, end_reason=t.EndReason.HANGUP)


KEEPS = Retention()


class Room:
    """A history, what it published and what it acknowledged."""

    def __init__(self, path: Path, retention: Retention) -> None:
        self.events: list[Event] = []
        self.acknowledged: list[str] = []
        self.wall = 1_000_000.0
        self.history = History(
            path,
            retention,
            monotonic=lambda: 10.0,
            wall=lambda: self.wall,
            publish=self._publish,
            acknowledge=self._acknowledge,
        )
        self._news = asyncio.Event()

    def _publish(self, event: Event) -> None:
        self.events.append(event)
        self._news.set()

    def _acknowledge(self, invite_ids: Sequence[str]) -> None:
        self.acknowledged += invite_ids
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._news.clear()
                await self._news.wait()
