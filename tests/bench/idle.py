"""What a daemon costs that has nothing to show: logged in and idle, and in an audio call."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tests.bench.daemons import End, in_call, two
from tests.bench.figures import Figure
from tests.bench.peers import tree_cpu

SETTLE = 3.0
SECONDS = 12.0
RUNS = 2


async def _cores(ends: tuple[End, End]) -> list[float]:
    await asyncio.sleep(SETTLE)
    before, begun = [tree_cpu(end.process.child.pid) for end in ends], time.monotonic()
    await asyncio.sleep(SECONDS)
    spent = time.monotonic() - begun
    after = [tree_cpu(end.process.child.pid) for end in ends]
    return [100 * (late - early) / spent for early, late in zip(before, after, strict=True)]


async def _run(directory: Path) -> tuple[list[float], list[float]]:
    async with two(directory) as (ann, ben, _):
        idle = await _cores((ann, ben))
        async with in_call(ann, ben, "audio"):
            before = (await ann.agent.stats()).peers[0].audio_received.frames
            call = await _cores((ann, ben))
            after = (await ann.agent.stats()).peers[0].audio_received.frames
        assert after - before >= 45 * SECONDS, f"only {after - before} packets of sound came"
    return idle, call


def run_all(directory: Path) -> list[Figure]:
    """Both ends of each run count."""
    runs = [asyncio.run(_run(directory / str(number))) for number in range(RUNS)]
    idle = tuple(value for run, _ in runs for value in run)
    call = tuple(value for _, run in runs for value in run)
    return [
        Figure("idle daemon, logged in", "% of a core", idle, "session is open", goal=1),
        Figure(
            "daemon in an audio call",
            "% of a core",
            call,
            "packets of sound counted",
            goal=4,
            why="Packets, microphone and playout wake Python 50 times a second each, and packets both ways.",
        ),
    ]
