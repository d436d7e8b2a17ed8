"""Sound through a network that loses packets: how many slots of 20 ms are filled, and with what.

Ours and the stock library talk at the same time over the same links, all losses at once in networks of their
own: sound costs so little that none disturbs another. The sound says the number of every slot (`ears`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.call import NotRealError
from tests.bench.contenders import OURS, STOCK, Pair, Setting, ours, stock
from tests.bench.figures import Figure
from tests.bench.networks import impair, laboratory
from tests.netlab import round_trip

ROUND_TRIP = 0.1
GOALS = {0.05: 99.7, 0.10: 99.4, 0.20: 97.0, 0.30: 90.0}
"""Percent of the slots, by the share of packets that is lost each way."""

LEARNING = 6.0
"""Seconds until both ends know of the loss."""

SECONDS = 20.0
RUNS = 3
ALL = 99.7
"""Percent that is all: a slot at either end of the time may be cut, and a busy machine is late with one."""

READABLE = 0.10
"""Share of the slots whose number may not be read although their sound came; see `ears`."""


@dataclass(frozen=True, slots=True)
class Filled:
    """Of the slots of one end in percent: with real or recovered sound, with any sound, with the number that
    was due.
    """

    real: float
    any: float
    numbered: float


async def _measure(pair: Pair, who: str) -> list[Filled]:
    await asyncio.sleep(LEARNING)
    await asyncio.gather(*(each.ask("listen") for each in pair))
    before = await asyncio.gather(*(each.ask("report") for each in pair))
    begun = time.monotonic()
    await asyncio.sleep(SECONDS)
    after = await asyncio.gather(*(each.ask("report") for each in pair))
    slots = 50 * (time.monotonic() - begun)
    heard = await asyncio.gather(*(each.ask("heard") for each in pair))
    found = []
    for early, late, each in zip(before, after, heard, strict=True):
        real = late["played"] - early["played"] if who == OURS else each["loud"]  # stock conceals nothing
        found.append(
            Filled(*(100 * min(1.0, count / slots) for count in (real, each["loud"], each["numbered"])))
        )
    return found


def _check(filled: Filled, loss: float) -> None:
    """What the engine says of itself is held against what was read of the sound."""
    if filled.numbered < filled.real - 100 * READABLE:
        raise NotRealError(f"at {loss:.0%}: {filled.real:.1f} % said, {filled.numbered:.1f} % read")


async def _one(who: str, prefixes: tuple[tuple[str, ...], tuple[str, ...]], directory: Path) -> list[Filled]:
    make = {OURS: ours, STOCK: stock}[who]
    async with make(directory, Setting(None, numbered=True, prefixes=prefixes)) as pair:
        return await _measure(pair, who)


async def _at(loss: float, directory: Path) -> dict[str, list[Filled]]:
    async with laboratory("ann", "ben") as lab:
        await impair(lab, lab["ben"], round_trip(ROUND_TRIP, loss))
        prefixes = (lab["ann"].prefix, lab["ben"].prefix)
        found = await asyncio.gather(
            *(_one(who, prefixes, directory / who.replace(" ", "-")) for who in (OURS, STOCK))
        )
    for filled in found[0]:
        _check(filled, loss)
    return dict(zip((OURS, STOCK), found, strict=True))


async def _run(directory: Path) -> list[dict[str, list[Filled]]]:
    return list(await asyncio.gather(*(_at(loss, directory / f"{loss:g}") for loss in GOALS)))


def run_all(directory: Path) -> list[Figure]:
    """Both ends of each run count."""
    runs = [asyncio.run(_run(directory / str(number))) for number in range(RUNS)]

    def values(place: int, who: str, field: str) -> tuple[float, ...]:
        return tuple(getattr(end, field) for run in runs for end in run[place][who])

    figures = []
    for place, (loss, goal) in enumerate(GOALS.items()):
        read = min(values(place, OURS, "numbered"))
        checked = f"loss probed; at least {read:.1f} % of all slots say the number that is due"
        name = f"slots of sound at {loss:.0%} loss, {ROUND_TRIP * 1000:.0f} ms"
        stocks = {STOCK: values(place, STOCK, "real")}
        figures += [
            Figure(f"{name}: real or recovered", "%", values(place, OURS, "real"), checked, stocks,
                   goal, True),
            Figure(f"{name}: any sound", "%", values(place, OURS, "any"), "slots that are not silent", stocks,
                   ALL, True),
        ]  # fmt: skip
    return figures
