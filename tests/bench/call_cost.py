"""CPU of one end of a two-way 720p30 call with sound, against the WebRTC library as it ships.

Both ends read the same raw pictures from the same file. Ours are two daemons with a hub between them, each
watching the other through a view (so that, as in the baseline, everything that arrives is decoded).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import mediaagent
from mediaagent import Agent, Event

from tests.bench import commands
from tests.bench.content import ensure
from tests.bench.figures import Figure
from tests.integration import processes

WARM_UP = 5.0
SECONDS = 15.0
RUNS = 3


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one end: share of a core, pictures a second decoded, kilobits a second sent."""

    cpu: float
    fps: float
    kbps: float


# --- ours -------------------------------------------------------------------------------------------


async def _watch(agent: Agent, other: str, counted: list[float]) -> None:
    """Counts the decoded pictures that reach a client which asks for small ones."""
    await agent.start_remote_view(other, "bench", mediaagent.frames("i420", max_width=64, max_height=64))
    async for _ in agent.watch_view("bench"):
        counted.append(time.monotonic())


async def _reading(agent: Agent) -> tuple[float, float, float, float]:
    """CPU seconds, time, frames decoded, bytes of video sent."""
    status, stats = await agent.status(), await agent.stats()
    peer = stats.peers[0]
    cpu = status.cpu_time.ToTimedelta().total_seconds()
    return cpu, time.monotonic(), peer.frames_decoded, peer.video_sent.bytes


@asynccontextmanager
async def call(directory: Path, content: Path) -> AsyncIterator[tuple[processes.Agent, Agent]]:
    """Two daemons in a video call, each watching the other."""
    camera = f"file:{content}"
    async with (
        processes.hub(directory) as hub,
        processes.agent(directory, "ann", hub, camera=camera) as ann_process,
        processes.agent(directory, "ben", hub, camera=camera) as ben_process,
        Agent(ann_process.socket) as ann,
        Agent(ben_process.socket) as ben,
    ):
        await ann.login("ann", hub.mint("ann"))
        await ben.login("ben", hub.mint("ben"))
        invited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        entered: asyncio.Event = asyncio.Event()
        ben.on(Event.INVITED, lambda event: invited.set_result(event.invite_id))
        ann.on(Event.USER_ENTER, lambda _: entered.set())
        await ann.call("ben", "video")
        await ben.accept(await asyncio.wait_for(invited, 10))
        await asyncio.wait_for(entered.wait(), 10)
        watchers = [
            asyncio.ensure_future(_watch(ann, "ben", [])),
            asyncio.ensure_future(_watch(ben, "ann", [])),
        ]
        yield ann_process, ann
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        await ann.hangup()


async def _ours(directory: Path, content: Path) -> tuple[Cost, list[Figure]]:
    async with call(directory, content) as (process, agent):
        await asyncio.sleep(WARM_UP)
        before = await _reading(agent)
        await asyncio.sleep(SECONDS)
        after = await _reading(agent)
        latency = await commands.measure(directory, process, "in a call")
    cpu, spent, frames, sent = (late - early for early, late in zip(before, after, strict=True))
    return Cost(cpu / spent, frames / spent, sent * 8 / spent / 1000), latency


# --- the baseline -----------------------------------------------------------------------------------


@asynccontextmanager
async def _peer(role: str, content: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-W", "ignore", "-m", "tests.bench.stock_peer", role, str(content),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        cwd=processes.REPOSITORY,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        await process.wait()


async def _hear(process: asyncio.subprocess.Process) -> dict[str, float]:
    assert process.stdout is not None
    value: dict[str, float] = json.loads(await asyncio.wait_for(process.stdout.readline(), 30))
    return value


def _tell(process: asyncio.subprocess.Process, value: object) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(value).encode() + b"\n")


async def _stock(content: Path) -> Cost:
    async with _peer("offer", content) as offerer, _peer("answer", content) as answerer:
        _tell(answerer, await _hear(offerer))
        _tell(offerer, await _hear(answerer))
        await asyncio.sleep(WARM_UP)
        _tell(offerer, {"ask": "report"})
        before = await _hear(offerer)
        await asyncio.sleep(SECONDS)
        _tell(offerer, {"ask": "report"})
        after = await _hear(offerer)
    spent = after["time"] - before["time"]
    return Cost((after["cpu"] - before["cpu"]) / spent, (after["video"] - before["video"]) / spent, 0.0)


def run_all(directory: Path) -> list[Figure]:
    """Interleaved calls of both."""
    content = ensure(processes.REPOSITORY / "build" / "bench" / "content.nut")
    pairs = []
    latency: list[Figure] = []
    for number in range(RUNS):
        ours, latency = asyncio.run(_ours(directory / str(number), content))
        pairs.append((ours, asyncio.run(_stock(content))))
    against = "the library's defaults (VP8)"
    return [
        Figure("CPU of one end, 720p30 both ways", "core", tuple(o.cpu for o, _ in pairs),
               tuple(s.cpu for _, s in pairs), against, "pictures decoded, see below"),
        Figure("pictures decoded", "1/s", tuple(o.fps for o, _ in pairs),
               tuple(s.fps for _, s in pairs), against, "counted at the client"),
        Figure("video sent", "kbit/s", tuple(o.kbps for o, _ in pairs), (), "-", "RTP payload bytes"),
        *latency,
    ]  # fmt: skip
