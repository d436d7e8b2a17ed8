"""CPU of one end of a two-way 720p30 call with sound, at which quality, and how old a picture is when the
far end has decoded it. Engines in processes of their own, all fed from the same file.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import CONTENDERS, ON_THIS_MACHINE, OURS, MakePair, Pair
from tests.bench.eyes import latencies
from tests.bench.figures import Figure, percentile

WARM_UP = 4.0
SECONDS = 20.0
STAMPED = 4.0
SAMPLES = 12
RUNS = 3


WHY = (
    "Encoding and decoding this picture take 4.5 to 5 ms of CPU, about 0.14 core, by themselves; the rest is "
    "packets, pictures and sound in Python."
)


class NotRealError(Exception):
    """A figure does not count: the picture was frozen, empty or somebody else's."""


@dataclass(frozen=True, slots=True)
class Measured:
    """Of one run, both ends together: cores an end, pictures a second, PSNR in dB, latencies in ms, None
    where they cannot be seen.
    """

    cpu: float
    fps: float
    psnr: float
    p50: float | None
    p95: float | None


async def measure(pair: Pair) -> Measured:
    """Measures a connected pair. Raises: NotRealError, PeerError."""
    await asyncio.sleep(WARM_UP)
    before = [(each.cpu(), (await each.ask("report"))["decoded"]) for each in pair]
    begun = time.monotonic()
    await asyncio.sleep(SECONDS)
    after = [(each.cpu(), (await each.ask("report"))["decoded"]) for each in pair]
    spent = time.monotonic() - begun
    cpu, frames = (
        sum(late[at] - early[at] for early, late in zip(before, after, strict=True)) / spent / len(pair)
        for at in (0, 1)
    )
    ages = await _ages(pair)
    p50, p95 = (percentile(ages, share) if ages else None for share in (0.5, 0.95))
    return Measured(cpu, frames, await quality(pair), p50, p95)


async def _ages(pair: Pair) -> list[float]:
    await asyncio.gather(*(each.ask("stamp", on=True) for each in pair))
    await asyncio.sleep(STAMPED)
    await asyncio.gather(*(each.ask("stamp", on=False) for each in pair))
    ann, ben = await asyncio.gather(*(each.ask("stamps") for each in pair))
    if "unseen" in ann:
        return []
    ages = [
        *latencies(ann["captured"], ben["decoded"]),
        *latencies(ben["captured"], ann["decoded"]),
    ]
    if len(ages) < STAMPED * 30:  # of twice as many
        raise NotRealError(f"only {len(ages)} pictures could be timed")
    return ages


async def quality(pair: Pair) -> float:
    """PSNR of the luma in dB, mean of both ends. Raises: NotRealError."""
    values: list[float] = []
    for each in pair:
        told = await each.ask("sample", count=SAMPLES)
        if len(told["psnr"]) < SAMPLES / 2 or told["different"] < SAMPLES / 3:
            raise NotRealError(f"pictures compared {len(told['psnr'])}, different {told['different']}")
        values += told["psnr"]
    return statistics.mean(values)


async def _run(make: MakePair, directory: Path) -> Measured:
    async with make(directory, ON_THIS_MACHINE) as pair:
        return await measure(pair)


def run_all(
    directory: Path, contenders: Mapping[str, MakePair] = CONTENDERS, runs: int = RUNS
) -> list[Figure]:
    """Interleaved calls of all."""
    found: dict[str, list[Measured]] = {name: [] for name in contenders}
    for number in range(runs):
        for name in contenders:
            place = directory / str(number) / name.replace(" ", "-")
            found[name].append(asyncio.run(_run(contenders[name], place)))

    def row(
        name: str, unit: str, field: str, goal: float, checked: str, *, at_least: bool = False, why: str = ""
    ) -> Figure:
        values = {who: tuple(getattr(each, field) for each in each_run) for who, each_run in found.items()}
        seen = {who: each for who, each in values.items() if None not in each}
        return Figure(name, unit, seen.pop(OURS), checked, seen, goal=goal, at_least=at_least, why=why)

    numbers = "numbers in the pictures read"
    return [
        row(
            "CPU of one end, 720p30 both ways and sound",
            "core",
            "cpu",
            0.26,
            "pictures and PSNR below",
            why=WHY,
        ),
        row("pictures decoded", "1/s", "fps", 29.5, "counted after decoding", at_least=True),
        row("PSNR of luma", "dB", "psnr", 33.4, numbers, at_least=True),
        row("captured to decoded, p50", "ms", "p50", 9, numbers),
        row("captured to decoded, p95", "ms", "p95", 14, numbers),
    ]
