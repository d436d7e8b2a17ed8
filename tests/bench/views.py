"""What one more view of a remote user adds to a daemon that shows the user already: a page (`webrtc`), a
recording. In turn with nothing more, many times, since a view is a hundredth of what the call itself costs.

The daemon only receives, so that its own encoder's ups and downs are not in the way. The pages are receivers
in processes of their own: WebRTC connections of the stock library, which decode what they get.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import mediaagent
from mediaagent import Event

from tests.bench import content
from tests.bench.call import NotRealError
from tests.bench.daemon import check_recording
from tests.bench.daemons import PATIENCE, End, in_call, two
from tests.bench.figures import Figure
from tests.bench.peers import Peer, peer, python

WARM_UP = 4.0
SETTLE = 1.0
SECONDS = 4.0
ROUNDS = 7
LEAST_FPS = 25.0
GOAL = 0.01
WHY = (
    "From round to round it is 0.002 to 0.02: the machine's own changes are as large. Each picture and packet"
    " of sound is written by a thread of the recording's."
)


@dataclass(slots=True)
class Found:
    """Cores of the daemon, a value a round: with the first page, with one page more, with a recording more;
    pictures a second that the second page decoded.
    """

    before: list[float] = field(default_factory=list)
    page: list[float] = field(default_factory=list)
    recording: list[float] = field(default_factory=list)
    fps: list[float] = field(default_factory=list)

    def added(self, what: list[float]) -> tuple[float, ...]:
        """Over the mean of what it was before that round and after it."""
        without = [(early + late) / 2 for early, late in pairwise(self.before)]
        return tuple(more - less for more, less in zip(what, without, strict=True))


def process_time(pid: int) -> float:
    """Seconds of CPU of a process, its threads that have ended too. `/proc` would round it to 10 ms.
    The clock's number is made as clock_getcpuclockid(3) does.
    """
    return time.clock_gettime((~pid << 3) | 2)


async def _cores(end: End) -> float:
    await asyncio.sleep(SETTLE)
    used, begun = process_time(end.process.child.pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    return (process_time(end.process.child.pid) - used) / (time.monotonic() - begun)


@asynccontextmanager
async def _page(end: End, name: str, log: Path) -> AsyncIterator[Peer]:
    """A page that shows Ben, until the end."""
    async with peer(python("stock_peer"), log) as page:
        offer = await page.ask("look")
        view = mediaagent.v1.view_pb2.WebrtcView(offer_sdp=offer["sdp"])
        answer = await end.agent.start_remote_view("ben", name, view)
        await page.ask("accept", sdp=answer.answer_sdp)
        async with asyncio.timeout(PATIENCE):
            while (await page.ask("report"))["decoded"] < 1:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        yield page
        await end.agent.stop_remote_view(name)


async def _round(ann: End, directory: Path, number: int, found: Found) -> None:
    found.before.append(await _cores(ann))
    async with _page(ann, "more", directory / f"page-{number}.log") as page:
        early, begun = (await page.ask("report"))["decoded"], time.monotonic()
        found.page.append(await _cores(ann))
        found.fps.append(((await page.ask("report"))["decoded"] - early) / (time.monotonic() - begun))
        told = await page.ask("sample", count=4)
        if len(told["psnr"]) < 2 or told["different"] < 2 or found.fps[-1] < LEAST_FPS:
            raise NotRealError(f"the page shows {found.fps[-1]:.1f} pictures a second, compared {told}")
    path = directory / f"recorded-{number}.mkv"
    await ann.agent.start_remote_view("ben", "file", mediaagent.v1.view_pb2.FileView(path=str(path)))
    found.recording.append(await _cores(ann))
    await ann.agent.stop_remote_view("file")
    await check_recording(path, SECONDS * LEAST_FPS)


async def _run(directory: Path, film: Path) -> Found:
    found = Found()
    async with two(directory, camera=f"file:{film}") as (ann, ben, _), in_call(ann, ben):
        closed = ben.agent.once(Event.USER_VIDEO_AVAILABLE)
        await ann.agent.close_camera()
        await asyncio.wait_for(closed, PATIENCE)
        async with _page(ann, "first", directory / "first.log"):
            await asyncio.sleep(WARM_UP)
            for number in range(ROUNDS):
                await _round(ann, directory, number, found)
            found.before.append(await _cores(ann))
    return found


def run_all(directory: Path) -> list[Figure]:
    """A value a round; what counts is the median."""
    found = asyncio.run(_run(directory, content.ensure()))
    shown = f"its numbers read, {statistics.median(found.fps):.1f} pictures/s decoded by the page"
    return [
        Figure("daemon that receives 720p30 and shows it to one page", "core", tuple(found.before), shown),
        Figure("one more `webrtc` view of a remote user", "core", found.added(found.page), shown, goal=GOAL),
        Figure("one more recording of a remote user", "core", found.added(found.recording),
               "pictures in the files counted", goal=GOAL, why=WHY),
    ]  # fmt: skip
