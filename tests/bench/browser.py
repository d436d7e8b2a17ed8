"""A headless Chromium as the far end of ours: pictures a second each way in both codecs, and how soon the
browser sends at the full rate. 720p30 and sound both ways.
"""

from __future__ import annotations

import asyncio
import base64
import pickle
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mediaagentd.call.signal import AnswerSdp, Offer, Signal

from tests.bench import baselines
from tests.bench.call import NotRealError, quality
from tests.bench.contenders import OURS, STOCK, Pair, Setting, own_command, stock_command
from tests.bench.figures import Figure
from tests.bench.peers import Peer, Words, peer, python

RUNS = 2
FULL = 1_400_000
"""Bits a second of video that count as the full rate: 1.5 Mbit/s with its headers."""

WHY = "Where the browser's first probe finds too little, it adds 7 % a second; why it does is not known."
"""Of the ramp."""

WINDOW = 1.0
RAMP = 25.0
SECONDS = 10.0
ATTEMPT = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one call: pictures a second that each has decoded of the other, seconds until the browser sent at
    the full rate (`RAMP` when it did not), mean PSNR in dB.
    """

    ours: float
    browsers: float
    ramp: float
    psnr: float


@asynccontextmanager
async def _with_ours(directory: Path, codec: str) -> AsyncIterator[Pair]:
    async with _pair([*own_command("ann", Setting()), "--codecs", codec], directory, codec) as (ann, page):
        answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def answer(signal: Signal) -> None:
            assert isinstance(signal.body, Offer)
            sdp = (await page.ask("answer", sdp=signal.body.sdp))["sdp"]
            reply = Signal(ATTEMPT, AnswerSdp(sdp), signal.generation)
            ann.tell(**{"from": "page", "data": base64.b64encode(pickle.dumps(reply)).decode()})
            answered.set_result(None)

        def on_signal(words: Words) -> None:
            signal: Signal = pickle.loads(base64.b64decode(words["data"]))
            if isinstance(signal.body, Offer):  # candidates that come later are not needed here
                tasks.append(asyncio.create_task(answer(signal)))

        tasks: list[asyncio.Task[None]] = []
        ann.on_signal = on_signal
        await ann.ask("open", user="page", offers=True)
        await answered
        await ann.ask("connected", user="page")
        yield ann, page


@asynccontextmanager
async def _with_stock(directory: Path, codec: str) -> AsyncIterator[Pair]:
    async with _pair(stock_command(Setting()), directory, codec) as (ann, page):
        offer = await ann.ask("offer")
        answer = await page.ask("answer", sdp=offer["sdp"])
        await ann.ask("accept", sdp=answer["sdp"])
        yield ann, page


@asynccontextmanager
async def _pair(command: list[str], directory: Path, codec: str) -> AsyncIterator[Pair]:
    film = str(baselines.chromium_film())
    async with (
        peer(command, directory / "ann.log") as ann,
        peer(python("chromium_peer", film, codec), directory / "page.log") as page,
    ):
        yield ann, page


MakePair = Callable[[Path, str], AbstractAsyncContextManager[Pair]]

CONTENDERS: dict[str, dict[str, MakePair]] = {
    "H264": {OURS: _with_ours},
    "VP8": {OURS: _with_ours, STOCK: _with_stock},
}
"""By the codec of both ways. The library offers VP8 first, and the browser sends what is offered first,
whatever it answers.
"""


async def _until_full(page: Peer) -> float:
    """Seconds from now until the browser has sent `FULL` for a second; `RAMP` when it does not."""
    begun = time.monotonic()
    sent: deque[tuple[float, int]] = deque()
    while (passed := time.monotonic() - begun) < RAMP:
        told = await page.ask("sending")
        sent.append((told["at"], told["bytes"]))
        while sent[-1][0] - sent[0][0] > WINDOW + 0.2:
            sent.popleft()
        seconds = sent[-1][0] - sent[0][0]
        if seconds >= WINDOW and 8 * (sent[-1][1] - sent[0][1]) / seconds >= FULL:
            return passed
        await asyncio.sleep(0.1)  # the page has no event for its figures
    return RAMP


async def _measure(pair: Pair, codec: str) -> Measured:
    page = pair[1]
    ramp = await _until_full(page)
    before = [(await each.ask("report"))["decoded"] for each in pair]
    begun = time.monotonic()
    await asyncio.sleep(SECONDS)
    after = [(await each.ask("report"))["decoded"] for each in pair]
    spent = time.monotonic() - begun
    told = await page.ask("sending")
    if told["codec"] != f"video/{codec}":
        raise NotRealError(f"the browser sends {told['codec']}")
    ours, browsers = ((late - early) / spent for early, late in zip(before, after, strict=True))
    return Measured(ours, browsers, ramp, await quality(pair))


async def _run(make: MakePair, directory: Path, codec: str) -> Measured:
    async with make(directory, codec) as pair:
        return await _measure(pair, codec)


def run_all(directory: Path) -> list[Figure]:
    """Interleaved. Raises: NeedsError."""
    baselines.chromium_film()
    found: dict[tuple[str, str], list[Measured]] = {}
    for number in range(RUNS):
        for codec, contenders in CONTENDERS.items():
            for who, make in contenders.items():
                place = directory / f"{number}-{codec}-{who.replace(' ', '-')}"
                found.setdefault((codec, who), []).append(asyncio.run(_run(make, place, codec)))
    return [figure for codec in CONTENDERS for figure in _figures(codec, found)]


def _figures(codec: str, found: dict[tuple[str, str], list[Measured]]) -> list[Figure]:
    def values(field: str) -> tuple[tuple[float, ...], dict[str, tuple[float, ...]]]:
        each = {who: tuple(getattr(run, field) for run in found[codec, who]) for who in CONTENDERS[codec]}
        return each.pop(OURS), each

    pictures, numbers = "counted after decoding, PSNR below", "numbers in the pictures read"
    rows = (
        ("pictures from Chromium", "1/s", "ours", pictures, 29.0, True),
        ("pictures to Chromium", "1/s", "browsers", pictures, 29.0, True),
        (
            "until Chromium has sent 1.4 Mbit/s for a second",
            "s",
            "ramp",
            "bytes that it sent",
            5.0,
            False,
        ),
        ("PSNR of luma, both ways, smaller pictures enlarged", "dB", "psnr", numbers, None, False),
    )
    figures = []
    for name, unit, field, checked, goal, at_least in rows:
        ours, others = values(field)
        why = WHY if field == "ramp" else ""
        figures.append(Figure(f"{codec}: {name}", unit, ours, checked, others, goal, at_least, why=why))
    return figures
