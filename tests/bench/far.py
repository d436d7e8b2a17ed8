"""Half an hour over a path of 1,200 ms there and back that loses a fifth each way: does the call stay up?

    python -m tests.bench far

Not among the default scenarios: it takes 31 minutes, and a twentieth of a core, since the picture is small.
The stock library tries the same path first, for a minute.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.bench import content
from tests.bench.contenders import STOCK, Setting, ours, stock
from tests.bench.figures import Figure
from tests.bench.networks import laboratory
from tests.bench.peers import Peer
from tests.netlab import Lab, probe, round_trip

SECONDS = 1800.0
STOCK_SECONDS = 60.0
STEP = 30.0
"""Seconds between two looks; what was seen and heard is fetched then."""

PATH = round_trip(1.2, 0.2)


@dataclass(frozen=True, slots=True)
class End:
    """What one end made of it: seconds of it, pictures, longest gap between two in seconds, slots of sound,
    those of them that were real or recovered, connections lost for a while and for good.
    """

    seconds: float
    pictures: int
    gap: float
    slots: int
    real: int
    lost: int
    ended: int


async def _hold(each: Peer, seconds: float) -> End:
    """Stays in the call; every loss of the connection is told by the engine itself."""
    first, begun = await each.ask("report"), time.monotonic()
    times: list[float] = []
    while (left := begun + seconds - time.monotonic()) > 0:
        await each.ask("stamp", on=True)
        await asyncio.sleep(min(STEP, left))
        times += [at for number, at in (await each.ask("take_stamps"))["decoded"] if number is not None]
    last, spent = await each.ask("report"), time.monotonic() - begun
    played, concealed = (last[name] - first[name] for name in ("played", "concealed"))
    gap = max((late - early for early, late in pairwise([begun, *times, begun + spent])), default=spent)
    downs = last["downs"]
    return End(
        spent, len(times), gap, played + concealed, played,
        lost=len(downs), ended=sum(down["final"] for down in downs),
    )  # fmt: skip


async def _stock(lab: Lab, directory: Path) -> float:
    """Seconds from its first connection until it gave up; 0 when it never connected."""
    async with stock(
        directory, Setting(content.TINY, prefixes=(lab["ann"].prefix, lab["ben"].prefix))
    ) as pair:
        begun = time.monotonic()
        await asyncio.sleep(STOCK_SECONDS)
        states = [await each.ask("report") for each in pair]
    times = [dict(told["states"]) for told in states]
    ends = [
        min(each.get("failed", begun + STOCK_SECONDS), each.get("closed", begun + STOCK_SECONDS))
        for each in times
    ]
    return min(
        end - each["connected"] if "connected" in each else 0.0 for each, end in zip(times, ends, strict=True)
    )


async def _ours(lab: Lab, directory: Path, seconds: float) -> list[End]:
    how = Setting(content.TINY, numbered=True, prefixes=(lab["ann"].prefix, lab["ben"].prefix))
    async with ours(directory, how) as pair:
        return list(await asyncio.gather(*(_hold(each, seconds) for each in pair)))


async def measure(directory: Path, seconds: float) -> tuple[list[End], float]:
    """Ours, and how long the stock library held."""
    async with laboratory("ann", "ben") as lab:
        await lab.impair(lab["ben"], PATH)
        (await probe(lab["ann"], lab["ben"], 1000)).check(PATH)
        held = await _stock(lab, directory / "stock")
        return await _ours(lab, directory / "ours", seconds), held


def run_all(directory: Path, seconds: float = SECONDS) -> list[Figure]:
    """Both ends count."""
    ends, held = asyncio.run(measure(directory, seconds))
    checked = "numbers in the pictures read, slots with sound counted"
    path = "1,200 ms, 20 % lost each way"
    return [
        Figure(f"{path}: the call was up", "s",
               tuple(0.0 if end.ended else end.seconds for end in ends), checked,
               {STOCK: (held,)}, goal=seconds - 1, at_least=True, note="PeerDown reports of the engine"),
        Figure("connections made anew meanwhile", "times", tuple(float(end.lost) for end in ends), checked),
        Figure("pictures seen (320x240, small on purpose)", "1/s",
               tuple(end.pictures / end.seconds for end in ends), checked),
        Figure("longest gap between two pictures", "s", tuple(end.gap for end in ends), checked),
        Figure("slots with real or recovered sound", "%",
               tuple(100 * end.real / end.slots for end in ends), checked),
        Figure("slots that were played", "%", tuple(2 * end.slots / end.seconds for end in ends), checked),
    ]  # fmt: skip
