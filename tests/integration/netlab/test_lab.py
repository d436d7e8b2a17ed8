"""The laboratory does what it says: measured, before anything is measured in it."""

from __future__ import annotations

import subprocess

import pytest

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
from tests.netlab.lab import in_thread
from tests.netlab.probe import throughput

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))


@pytest.mark.parametrize("impairment", [MODERATE, round_trip(0.1, 0.2)], ids=["moderate", "20 percent"])
async def test_a_profile_is_what_it_says(impairment: Impairment) -> None:
    async with Lab("ann", "bob") as lab:
        ann, bob = lab.hosts
        await lab.impair(bob, impairment)
        (await probe(ann, bob)).check(impairment)


async def test_the_rough_profile_with_its_bandwidth() -> None:
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


def _addresses(namespace: str) -> list[str]:
    text = subprocess.run(
        ["ip", "-n", namespace, "-4", "-o", "address", "show", "eth0"], capture_output=True, text=True
    ).stdout
    return [line.split()[3].partition("/")[0] for line in text.splitlines()]
