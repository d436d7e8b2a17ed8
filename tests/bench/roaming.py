"""A device whose address changes in a call: when is the sound back?

Ours are whole daemons with a hub, which must be reached anew too. The stock library has no part that would
notice, and nobody who would make a new offer; it gets `PATIENCE` seconds.
"""

from __future__ import annotations

import asyncio
import time
import wave
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
from mediaagent import Agent

from tests.bench import ears
from tests.bench.contenders import STOCK, Setting, stock
from tests.bench.daemons import End, in_call
from tests.bench.figures import Figure
from tests.bench.networks import laboratory
from tests.bench.peers import Peer
from tests.integration import processes
from tests.netlab import Lab

GOAL = 3.0
PATIENCE = 30.0
WARM_UP = 3.0
BLIND = 0.3
"""Seconds in which sound from before may still arrive."""

ENOUGH = 10
"""Slots of sound that say that it is back."""

Count = Callable[[], Awaitable[int]]


async def _sound_back(count: Count, since: float) -> float:
    """Seconds from that instant until `ENOUGH` more slots have come; `PATIENCE` when they do not."""
    first: int | None = None
    while (spent := time.monotonic() - since) < PATIENCE:
        if spent >= BLIND:
            now = await count()
            first = now if first is None else first
            if now >= first + ENOUGH:
                return time.monotonic() - since
        await asyncio.sleep(0.02)
    return PATIENCE


def _packets_of(end: End) -> Count:
    async def count() -> int:
        return int((await end.agent.stats()).peers[0].audio_received.packets)

    return count


def _slots_of(each: Peer) -> Count:
    async def count() -> int:
        return int((await each.ask("report"))["audio"])

    return count


async def _move(lab: Lab, mover: str, counts: list[Count]) -> list[float]:
    await asyncio.sleep(WARM_UP)
    moved = time.monotonic()
    await lab[mover].readdress()
    return list(await asyncio.gather(*(_sound_back(count, moved) for count in counts)))


def _heard_at_the_end(path: Path) -> int:
    """Of the last fifty slots of a recording, those that are not silent."""
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    blocks = samples[: len(samples) // ears.SLOT * ears.SLOT].reshape(-1, ears.SLOT)[-50:]
    return sum(ears.loud(block) for block in blocks)


async def _ours(mover: str, directory: Path) -> list[float]:
    async with AsyncExitStack() as stack:
        lab = await stack.enter_async_context(laboratory("hub", "ann", "ben"))
        home = lab["hub"]
        hub = await stack.enter_async_context(
            processes.hub(directory, address=home.address, prefix=home.prefix)
        )
        ends = []
        for name in ("ann", "ben"):
            agent = await stack.enter_async_context(
                processes.agent(
                    directory, name, hub, prefix=lab[name].prefix, video_profile="480p",
                    microphone=f"file:{ears.ensure()}", speaker=f"wav:{directory / name}.wav",
                )
            )  # fmt: skip
            client = await stack.enter_async_context(Agent(agent.socket))
            await client.login(name, hub.mint(name))
            ends.append(End(agent, client))

        async with in_call(ends[0], ends[1]):
            took = await _move(lab, mover, [_packets_of(end) for end in ends])
            await asyncio.sleep(1.5)
            for name in ("ann", "ben"):
                assert _heard_at_the_end(directory / f"{name}.wav") > 40, f"{name} plays no sound"
            return took


async def _stock(mover: str, directory: Path) -> list[float]:
    async with (
        laboratory("ann", "ben") as lab,
        stock(directory, Setting(None, prefixes=(lab["ann"].prefix, lab["ben"].prefix))) as pair,
    ):
        return await _move(lab, mover, [_slots_of(each) for each in pair])


def run_all(directory: Path) -> list[Figure]:
    """Each of the two moves once; both ends count, of the stock library the one that hears less."""
    own = [value for mover in ("ann", "ben") for value in asyncio.run(_ours(mover, directory / mover))]
    others = max(asyncio.run(_stock("ben", directory / "stock")))
    note = f"stock: not within {PATIENCE:.0f} s" if others >= PATIENCE else ""
    return [
        Figure("address changed in a call: sound back after", "s", tuple(own),
               "packets counted, sound in what was played", {STOCK: (others,)}, GOAL, note=note)
    ]  # fmt: skip
