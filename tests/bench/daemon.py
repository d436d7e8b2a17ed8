"""Two whole daemons in a video call: what one costs, and how soon commands are answered meanwhile."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import av
import mediaagent
import numpy as np

from tests.bench import commands, content
from tests.bench.call import WHY
from tests.bench.daemons import End, in_call, two, watched
from tests.bench.eyes import compare
from tests.bench.figures import Figure
from tests.bench.peers import tree_cpu

WARM_UP = 5.0
SECONDS = 12.0
SAMPLES = 8
RUNS = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one call: cores of a daemon, pictures a second decoded, PSNR in dB, how many milliseconds late the
    loop was (99th percentile).
    """

    cpu: float
    fps: float
    psnr: float
    lag: float


async def _cores(end: End, seconds: float) -> float:
    before, begun = tree_cpu(end.process.child.pid), time.monotonic()
    await asyncio.sleep(seconds)
    return (tree_cpu(end.process.child.pid) - before) / (time.monotonic() - begun)


async def _decoded(end: End) -> int:
    return int((await end.agent.stats()).peers[0].frames_decoded)


async def check_recording(path: Path, pictures: float) -> None:
    """Waits until a recording that was stopped has so many. Raises: AssertionError."""

    def count() -> int:
        with av.open(str(path)) as container:
            return sum(1 for packet in container.demux(video=0) if packet.size)

    for _ in range(50):
        await asyncio.sleep(0.1)
        try:
            if await asyncio.to_thread(count) >= pictures:
                return
        except (OSError, av.FFmpegError):
            continue
    raise AssertionError("the recording has too few pictures")


async def _quality(end: End, other: str) -> float:
    """PSNR of pictures in full size, as a client gets them."""
    await end.agent.start_remote_view(other, "full", mediaagent.frames("i420"))
    kept: list[content.Luma] = []
    pictures = end.agent.watch_view("full")
    async for picture in pictures:
        pixels = content.WIDTH * content.HEIGHT
        kept.append(np.frombuffer(picture.data, np.uint8)[:pixels].reshape(content.HEIGHT, content.WIDTH))
        if len(kept) == SAMPLES:
            break
    await pictures.aclose()
    await end.agent.stop_remote_view("full")
    values = compare(kept)["psnr"]
    assert len(values) >= SAMPLES / 2, f"only {len(values)} pictures could be read"
    return statistics.mean(values)


async def _run(directory: Path, film: Path) -> tuple[Measured, list[Figure]]:
    async with (
        two(directory, camera=f"file:{film}") as (ann, ben, _),
        in_call(ann, ben),
        watched(ann, "ben"),
        watched(ben, "ann"),
    ):
        await asyncio.sleep(WARM_UP)
        before, begun = await asyncio.gather(_decoded(ann), _decoded(ben)), time.monotonic()
        cpu = statistics.mean(await asyncio.gather(_cores(ann, SECONDS), _cores(ben, SECONDS)))
        after, spent = await asyncio.gather(_decoded(ann), _decoded(ben)), time.monotonic() - begun
        lag = (await ann.agent.status()).loop_lag.ToTimedelta().total_seconds() * 1000
        latency = await commands.measure(directory, ann.process, "in a call")
        psnr = await _quality(ann, "ben")
    fps = (sum(after) - sum(before)) / 2 / spent
    return Measured(cpu, fps, psnr, lag), latency


def run_all(directory: Path) -> list[Figure]:
    """Some calls, one after the other."""
    film = content.ensure()
    runs: list[Measured] = []
    latency: list[Figure] = []
    for number in range(RUNS):
        measured, latency = asyncio.run(_run(directory / str(number), film))
        runs.append(measured)
    return [
        Figure("CPU of a daemon in a call, 720p30 both ways and sound", "core", tuple(r.cpu for r in runs),
               "pictures and PSNR below", goal=0.26, why=WHY),
        Figure("pictures decoded for a view", "1/s", tuple(r.fps for r in runs),
               "counted after decoding", goal=29.5, at_least=True),
        Figure("PSNR of luma, as a client gets it", "dB", tuple(r.psnr for r in runs),
               "numbers in the pictures read", goal=33.4, at_least=True),
        Figure("lateness of the event loop in a call, p99", "ms", tuple(r.lag for r in runs),
               "told by GetStatus, five looks a second", goal=20),
        *latency,
    ]  # fmt: skip
