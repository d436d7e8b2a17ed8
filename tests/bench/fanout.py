"""What a sender costs with eight receivers against one, and how many pictures reach each.

The receivers are engines of ours that are silent and decode nothing, so that the machine is left to the
sender, and what it costs is what sending costs. When that has been measured, the last one decodes what it
gets: the numbers in the pictures are read and they are compared with the originals. Of two codecs the stock
sender is given VP8, which costs it less.
"""

from __future__ import annotations

import asyncio
import base64
import pickle
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mediaagentd.call.signal import AnswerSdp, Offer, Signal

from tests.bench import content
from tests.bench.call import NotRealError
from tests.bench.contenders import OURS, STOCK, route
from tests.bench.figures import Figure
from tests.bench.peers import Peer, Words, peer, python

MANY = 8
WARM_UP = 4.0
SECONDS = 8.0
RUNS = 2
SAMPLES = 8
VP8 = "VP8,H264"
WHY = (
    "One more receiver is, with cold caches, an encryption for every packet, a system call for every picture "
    "and every packet of sound, six datagrams of feedback and checks a second, and some timers: see DESIGN, "
    "what one more receiver costs."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Cores of the sender; pictures a second of the receiver that got fewest; PSNR in dB."""

    cpu: float
    fps: float
    psnr: float


async def _receivers(
    stack: AsyncExitStack, directory: Path, count: int, codecs: str = "H264,VP8"
) -> dict[str, Peer]:
    return {
        name: await stack.enter_async_context(
            peer(python("own_peer", name, "--codecs", codecs), directory / f"{name}.log")
        )
        for name in (f"r{number}" for number in range(count))
    }


async def _check(receiver: Peer) -> float:
    """PSNR in dB of what one of them sees when it looks. Raises: NotRealError."""
    await receiver.ask("watch", user="sender")
    told = await receiver.ask("sample", count=SAMPLES)
    if len(told["psnr"]) < SAMPLES / 2 or told["different"] < SAMPLES / 2:
        raise NotRealError(f"a receiver compared {len(told['psnr'])} pictures")
    values: list[float] = told["psnr"]
    return statistics.mean(values)


@asynccontextmanager
async def _ours(directory: Path, count: int) -> AsyncIterator[tuple[Peer, dict[str, Peer]]]:
    async with AsyncExitStack() as stack:
        command = python("own_peer", "sender", "--pictures", str(content.ensure()), "--sound", "synthetic")
        sender = await stack.enter_async_context(peer(command, directory / "sender.log"))
        receivers = await _receivers(stack, directory, count)
        route(("sender", sender), *receivers.items())
        for name, receiver in receivers.items():
            await sender.ask("open", user=name, offers=False)
            await receiver.ask("open", user="sender", offers=True)
            await receiver.ask("connected", user="sender")
        yield sender, receivers


@asynccontextmanager
async def _stock(directory: Path, count: int) -> AsyncIterator[tuple[Peer, dict[str, Peer]]]:
    """The stock library's sender; it offers to receivers of ours."""
    async with AsyncExitStack() as stack:
        command = python("stock_peer", "--pictures", str(content.ensure()))
        sender = await stack.enter_async_context(peer(command, directory / "sender.log"))
        receivers = await _receivers(stack, directory, count, VP8)
        for receiver in receivers.values():
            await _connect(sender, receiver)
        yield sender, receivers


async def _connect(sender: Peer, receiver: Peer) -> None:
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def hear(words: Words) -> None:
        signal: Signal = pickle.loads(base64.b64decode(words["data"]))
        if isinstance(signal.body, AnswerSdp) and not answered.done():
            answered.set_result(signal.body.sdp)

    receiver.on_signal = hear
    await receiver.ask("open", user="sender", offers=False)
    offer = Signal(2, Offer((await sender.ask("offer"))["sdp"]))
    receiver.tell(**{"from": "sender", "data": base64.b64encode(pickle.dumps(offer)).decode()})
    await sender.ask("accept", sdp=await asyncio.wait_for(answered, 20))
    await receiver.ask("connected", user="sender")


async def _arrived(receivers: dict[str, Peer]) -> list[int]:
    told = await asyncio.gather(*(each.ask("report") for each in receivers.values()))
    return [each["arrived"]["sender"] for each in told]


_MAKE = {OURS: _ours, STOCK: _stock}


async def _run(who: str, directory: Path, count: int) -> Measured:
    async with _MAKE[who](directory, count) as (sender, receivers):
        await asyncio.sleep(WARM_UP)
        before, cpu, begun = await _arrived(receivers), sender.cpu(), time.monotonic()
        await asyncio.sleep(SECONDS)
        after, spent = await _arrived(receivers), time.monotonic() - begun
        used = sender.cpu() - cpu
        quality = await _check(list(receivers.values())[-1])
    fewest = min(late - early for early, late in zip(before, after, strict=True))
    return Measured(used / spent, fewest / spent, quality)


def run_all(directory: Path) -> list[Figure]:
    """Interleaved."""
    found: dict[tuple[str, int], list[Measured]] = {}
    for run in range(RUNS):
        for who in _MAKE:
            for count in (1, MANY):
                place = directory / f"{run}-{who.replace(' ', '-')}-{count}"
                found.setdefault((who, count), []).append(asyncio.run(_run(who, place, count)))

    def cpu(who: str, count: int) -> tuple[float, ...]:
        return tuple(each.cpu for each in found[who, count])

    def times(who: str) -> tuple[float, ...]:
        return tuple(many / one for many, one in zip(cpu(who, MANY), cpu(who, 1), strict=True))

    def fps(who: str) -> tuple[float, ...]:
        return tuple(each.fps for each in found[who, MANY])

    def psnr(who: str) -> tuple[float, ...]:
        return tuple(each.psnr for each in found[who, MANY])

    checked = "whole pictures counted at every receiver"
    return [
        Figure("sender with one receiver", "core", cpu(OURS, 1), checked, {STOCK: cpu(STOCK, 1)}),
        Figure(f"sender with {MANY} receivers", "core", cpu(OURS, MANY), checked, {STOCK: cpu(STOCK, MANY)}),
        Figure("the second over the first", "times", times(OURS), checked, {STOCK: times(STOCK)}, goal=1.15,
               why=WHY),
        Figure(f"pictures at the worst of {MANY} receivers", "1/s", fps(OURS), checked, {STOCK: fps(STOCK)},
               goal=29.5, at_least=True),
        Figure("PSNR of luma at the last receiver", "dB", psnr(OURS), "numbers in the pictures read",
               {STOCK: psnr(STOCK)}),
    ]  # fmt: skip
