"""Networks that the benchmarks make for themselves, and what a call in one of them looks like."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

from tests.bench import content
from tests.bench.contenders import Pair
from tests.bench.peers import Peer
from tests.netlab import Host, Impairment, Lab, probe, unavailable

PROBES = 500
ATTEMPTS = 3
"""A machine that was busy meanwhile delays the probe too."""


class NeedsError(Exception):
    """A scenario cannot run on this machine; says what it needs."""


@asynccontextmanager
async def laboratory(*names: str) -> AsyncIterator[Lab]:
    """See `tests.netlab`. Raises: NeedsError without root, `ip` or `nft`."""
    if why := unavailable():
        raise NeedsError(f"{why}; run as root on a machine with iproute2 and nftables")
    async with Lab(*names) as lab:
        yield lab


async def impair(lab: Lab, host: Host, impairment: Impairment) -> None:
    """Does it, and proves it by a probe. Raises: AssertionError."""
    await lab.impair(host, impairment)
    other = next(each for each in lab.hosts if each is not host)
    for attempt in range(ATTEMPTS):
        try:
            (await probe(host, other, PROBES)).check(impairment)
        except AssertionError:
            if attempt == ATTEMPTS - 1:
                raise
        else:
            return


@dataclass(frozen=True, slots=True)
class Shown:
    """What one end saw: different pictures a second, each with its number read; the longest time without a
    new one, in seconds.
    """

    fps: float
    gap: float


async def shown(pair: Pair, seconds: float) -> list[Shown]:
    """Watches both ends."""
    await asyncio.gather(*(each.ask("take_stamps") for each in pair))
    await asyncio.gather(*(each.ask("stamp", on=True) for each in pair))
    begun = time.monotonic()
    await asyncio.sleep(seconds)
    ended = time.monotonic()
    return [judged((await each.ask("take_stamps"))["decoded"], begun, ended) for each in pair]


def judged(decoded: list[tuple[int | None, float]], begun: float, ended: float) -> Shown:
    """Counts pictures whose number is not that of the picture before."""
    times, last = [], None
    for number, at in decoded:
        if number is not None and number < content.FRAMES and number != last and begun <= at <= ended:
            times.append(at)
            last = number
    gap = max(late - early for early, late in pairwise([begun, *times, ended]))
    return Shown(len(times) / (ended - begun), gap)


async def back(each: Peer, since: float, deadline: float) -> float | None:
    """Seconds from that instant until the next picture was seen; None after `deadline` seconds."""
    while time.monotonic() - since < deadline:
        at = (await each.ask("seen_since", when=since))["at"]
        if at is not None:
            return float(at) - since
        await asyncio.sleep(0.05)
    return None
