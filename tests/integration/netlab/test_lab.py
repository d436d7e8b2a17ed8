"""The laboratory does what it says: measured, before anything is measured in it."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from collections import Counter
from pathlib import Path

import pytest
from mediaagentd.media.rtc.outlet import UDP_SEGMENT

from tests.netlab import (
    INTERNATIONAL,
    LOST,
    MODERATE,
    Impairment,
    Lab,
    probe,
    round_trip,
    unavailable,
)
from tests.netlab.lab import PREFIX, in_thread
from tests.netlab.probe import throughput

PACE = 0.005
"""Seconds between what is handed over: on a busy machine the relay's socket would not hold all of it."""

SO_SNDBUFFORCE = 32
"""Of socket(7): a buffer larger than the machine allows its users."""

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))


async def test_the_profiles_are_what_they_say() -> None:
    """Each in a laboratory of its own, at the same time: nearly all of it is waiting."""
    await asyncio.gather(says(MODERATE), says(round_trip(0.1, 0.2)), rough_with_its_bandwidth())


async def says(impairment: Impairment) -> None:
    async with Lab("ann", "bob") as lab:
        ann, bob = lab.hosts
        await lab.impair(bob, impairment)
        (await probe(ann, bob)).check(impairment)


async def rough_with_its_bandwidth() -> None:
    async with Lab("ann", "bob") as lab:
        ann, bob = lab.hosts
        await lab.impair(bob, INTERNATIONAL)
        found = await probe(ann, bob)
        assert 0.04 < found.there.loss < 0.18, found
        assert found.there.overtaken > 0.01, found
        assert found.there.duplicates > 0.002, found
        got = await throughput(ann, bob, 600_000)
        assert 200_000 < got < 330_000, got


async def test_outage_cable_and_another_address() -> None:
    async with Lab("ann", "bob") as lab:
        ann, bob = lab.hosts
        (await probe(ann, bob, 20)).check(Impairment())
        await lab.impair(bob, LOST)
        assert (await probe(ann, bob, 20)).back.loss == 1
        await lab.impair(bob, Impairment())
        await bob.link(up=False)
        assert (await probe(ann, bob, 20)).there.loss == 1
        await bob.link(up=True)
        before = bob.address
        await bob.readdress()
        assert bob.address != before
        (await probe(ann, bob, 20)).check(Impairment())
        assert in_thread(lambda: _addresses(bob.namespace)) == [bob.address]


async def test_packets_that_are_handed_over_together_are_lost_one_by_one() -> None:
    """Our senders let the system cut them apart: here that is done before the filter looks at them."""
    cut, loop = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("@H", 1200))], asyncio.get_running_loop()
    arrived: Counter[int] = Counter()
    async with Lab("ann", "bob") as lab:
        ann, bob = lab.hosts
        await lab.impair(bob, Impairment(loss=0.5))
        with ann.udp() as here, bob.udp() as there:
            here.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, 1 << 20)
            for run in range(40):
                here.sendmsg([bytes([run]) * 1200] * 5, cut, 0, there.getsockname())
                await asyncio.sleep(PACE)
            async with asyncio.timeout(5):
                while len(arrived) < 30:
                    arrived[(await loop.sock_recv(there, 65536))[0]] += 1
    finished = [count for run, count in arrived.items() if run < max(arrived)]
    assert {1, 2, 3, 4} & set(finished)
    assert 1.5 < sum(finished) / max(arrived) < 3.5


async def test_labs_that_begin_at_once_clear_away_what_a_dead_one_left() -> None:
    left = _namespaces_of_a_dead_lab()

    async def begun() -> None:
        async with Lab("ann"):
            assert not set(left) & _namespaces()

    await asyncio.gather(*(begun() for _ in range(4)))


def _namespaces_of_a_dead_lab() -> list[str]:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    names = [f"{PREFIX}-{dead.pid}-0-{number}" for number in range(10)]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True)
    return names


def _namespaces() -> set[str]:
    return {path.name for path in Path("/run/netns").iterdir()}


def _addresses(namespace: str) -> list[str]:
    text = subprocess.run(
        ["ip", "-n", namespace, "-4", "-o", "address", "show", "eth0"], capture_output=True, text=True
    ).stdout
    return [line.split()[3].partition("/")[0] for line in text.splitlines()]
