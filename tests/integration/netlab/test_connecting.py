"""Connections through networks that lose much are up within seconds."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from mediaagentd.media.rtc.peer import Peer

from tests.fakes.rtc import Recorder, peer
from tests.netlab import Lab, probe, round_trip, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

CONNECTIONS = 12
"""Enough that a step which is lost and waited for shows: before, one of ten took nearly 15 s."""

SECONDS = 10.0
"""Of 240 connections the slowest took 5 s, half of them 0.6 s, nine of ten 1 s."""


async def test_a_dozen_connections_through_thirty_percent_of_loss() -> None:
    lossy = round_trip(0.1, 0.3)
    async with Lab("ann", "bob") as lab:
        await lab.impair(lab["bob"], lossy)
        (await probe(lab["ann"], lab["bob"], 300)).check(lossy)
        ends: list[tuple[Peer, Recorder]] = []
        try:
            for _ in range(CONNECTIONS):
                ends += await _called(lab)
            await asyncio.gather(*(seen.until(partial(_is_connected, seen), SECONDS) for _, seen in ends))
        finally:
            await asyncio.gather(*(one.close() for one, _ in ends))


def _is_connected(seen: Recorder) -> bool:
    return seen.connected > 0


async def _called(lab: Lab) -> list[tuple[Peer, Recorder]]:
    """Two peers that have each other's descriptions, as by the hub, which loses nothing.

    Both live in this process. Their sockets are made while nothing else runs that would make one.
    """
    seen = Recorder(), Recorder()
    with lab["ann"].inside():
        alice = peer(seen[0], loopback=False)
        offer = await alice.create_offer()
    with lab["bob"].inside():
        bob = peer(seen[1], loopback=False)
        answer = await bob.accept_offer(offer)
    await alice.accept_answer(answer)
    return [(alice, seen[0]), (bob, seen[1])]
