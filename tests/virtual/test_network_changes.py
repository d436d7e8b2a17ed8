"""The kernel tells of the network while a connection is being made."""

from __future__ import annotations

import asyncio

import pytest

from tests.netlab.profiles import Impairment
from tests.virtual.end import VirtualEnd
from tests.virtual.trials import connect_while

FAR = Impairment(delay=0.15)
SEED = 1


def test_changes_that_concern_nobody_do_not_delay_a_connection() -> None:
    """A container's interface, a route that is advertised again: twice before it can be up."""

    async def changes(ends: list[VirtualEnd]) -> None:
        while True:
            await asyncio.sleep(0.4)
            for end in ends:
                end.network_changed()

    took, generations = connect_while(FAR, SEED, changes)
    assert took < 1.0
    assert generations == [0, 0]


@pytest.mark.parametrize("mover", [0, 1], ids=["who is offered", "who offers"])
def test_an_address_that_changes_meanwhile_costs_a_pause_and_no_more(mover: int) -> None:
    async def moves(ends: list[VirtualEnd]) -> None:
        await asyncio.sleep(0.5)
        ends[mover].readdressed("10.0.0.9")

    took, generations = connect_while(FAR, SEED, moves)
    assert took < 3.0
    assert generations == [1, 1]
