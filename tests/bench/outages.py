"""Networks that go away under a call and come back: when is the picture there again?

Ours and the stock library are in calls at the same time over the same links, so that the outage is the same.
Only the path between the ends is away; signals go round it, as with a hub that can be reached.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench import content
from tests.bench.contenders import STOCK, Pair, Setting, ours, stock
from tests.bench.figures import Figure
from tests.bench.networks import back, impair, laboratory
from tests.bench.peers import Peer
from tests.netlab import CLEAN, LOST

GOALS = {5.0: 1.0, 20.0: 1.5, 60.0: 4.0}
"""Seconds away, and in which the picture is to be back."""

PATIENCE = 30.0
"""Seconds after which a picture counts as gone for ever."""

WARM_UP = 4.0


async def _back(pair: Pair, since: float) -> list[float]:
    found = await asyncio.gather(*(back(each, since, PATIENCE) for each in pair))
    return [PATIENCE if seconds is None else seconds for seconds in found]


async def _outage(seconds: float, directory: Path) -> tuple[list[float], list[float]]:
    """Seconds until the picture was back at either end, ours and the stock library's."""
    async with laboratory("ann", "ben") as lab:
        await impair(lab, lab["ben"], CLEAN)
        how = Setting(content.SMALL, prefixes=(lab["ann"].prefix, lab["ben"].prefix))
        async with ours(directory / "ours", how) as own, stock(directory / "stock", how) as others:
            for each in (*own, *others):
                await each.ask("stamp", on=True)
            begun = time.monotonic()
            for pair in (own, others):
                await _seen(pair, begun)
            await asyncio.sleep(WARM_UP)
            await lab.impair(lab["ben"], LOST)
            went = time.monotonic()
            await asyncio.sleep(seconds)
            await _dark((*own, *others), went + 1.0)
            came = time.monotonic()
            await lab.impair(lab["ben"], CLEAN)
            own_back, others_back = await asyncio.gather(_back(own, came), _back(others, came))
            return own_back, others_back


async def _seen(pair: Pair, since: float) -> None:
    for each in pair:
        assert await back(each, since, PATIENCE) is not None, "no picture before the outage"


async def _dark(ends: Sequence[Peer], since: float) -> None:
    """The outage was one: nobody has seen anything since."""
    for each in ends:
        seen = (await each.ask("seen_since", when=since))["at"]
        assert seen is None, "pictures came through the outage"


def run_all(directory: Path) -> list[Figure]:
    """One after the other."""
    figures = []
    for seconds, goal in GOALS.items():
        own, others = asyncio.run(_outage(seconds, directory / f"{seconds:g}"))
        never = any(value >= PATIENCE for value in others)
        figures.append(
            Figure(f"{seconds:.0f} s without a network: picture back after", "s", tuple(own),
                   "darkness checked, numbers in the pictures read", {STOCK: tuple(others)}, goal,
                   note=f"stock: not within {PATIENCE:.0f} s" if never else "")
        )  # fmt: skip
    return figures
