"""What a daemon costs that has nothing to show: logged in and idle, and in an audio call. Beside it, in
turn, a call of sound alone with the WebRTC library as it ships, which decodes what it hears by itself.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.bench.contenders import STOCK, Setting, stock
from tests.bench.daemons import in_call, two
from tests.bench.figures import Figure
from tests.bench.peers import tree_cpu

SETTLE = 3.0
CALM = 12.0
"""Seconds until a call of sound has settled: nothing was lost for long enough to spend nothing on loss, and
to wait for no packet any more (`rtc/polling.py`).
"""

SECONDS = 12.0
RUNS = 2


async def _cores(*processes: int, settle: float) -> list[float]:
    """Percent of a core that each of these uses."""
    await asyncio.sleep(settle)
    before, begun = [tree_cpu(each) for each in processes], time.monotonic()
    await asyncio.sleep(SECONDS)
    spent = time.monotonic() - begun
    after = [tree_cpu(each) for each in processes]
    return [100 * (late - early) / spent for early, late in zip(before, after, strict=True)]


async def _run(directory: Path) -> tuple[list[float], list[float]]:
    async with two(directory) as (ann, ben, _):
        daemons = (ann.process.child.pid, ben.process.child.pid)
        idle = await _cores(*daemons, settle=SETTLE)
        async with in_call(ann, ben, "audio"):
            before = (await ann.agent.stats()).peers[0].audio_received.frames
            call = await _cores(*daemons, settle=CALM)
            after = (await ann.agent.stats()).peers[0].audio_received.frames
        assert after - before >= 45 * SECONDS, f"only {after - before} packets of sound came"
    return idle, call


async def _stock(directory: Path) -> list[float]:
    async with stock(directory, Setting(film=None)) as (ann, ben):
        before = (await ann.ask("report"))["audio"]
        call = await _cores(ann.pid, ben.pid, settle=CALM)
        after = (await ann.ask("report"))["audio"]
    assert after - before >= 45 * SECONDS, f"only {after - before} packets of sound came"
    return call


def run_all(directory: Path) -> list[Figure]:
    """Both ends of each run count."""
    idle: list[float] = []
    call: list[float] = []
    others: list[float] = []
    for number in range(RUNS):
        own_idle, own_call = asyncio.run(_run(directory / str(number)))
        idle += own_idle
        call += own_call
        others += asyncio.run(_stock(directory / f"stock {number}"))
    return [
        Figure("idle daemon, logged in", "% of a core", tuple(idle), "session is open", goal=1),
        Figure(
            "daemon in an audio call",
            "% of a core",
            tuple(call),
            "packets of sound counted",
            goal=4,
            others={STOCK: tuple(others)},
            why="Sound wakes Python 50 times a second; where a core slept it is ten times slower.",
        ),
    ]
