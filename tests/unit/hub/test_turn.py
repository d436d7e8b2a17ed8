"""TURN credentials that are good as long as a stream lasts, whatever is done to the machine's clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mediaagent.hub.v1 import hub_pb2
from mediaagentd.hub.service import HubService
from mediaagentd.hub.settings import HubSettings
from mediaagentd.hub.shell import Shell, digest
from mediaagentd.hub.types import Limits, Login

from tests.fakes.hub_store import MemoryStore

TTL = 6 * 3600.0


class Room:
    """A hub whose clock runs evenly, and the machine's, which is set."""

    def __init__(self) -> None:
        self.now = self.wall = 1000.0
        self.shell = Shell(Limits(), MemoryStore(), lambda: self.now)
        settings = HubSettings(
            "unix:/nowhere", 1, ("key",), heartbeat=0.001, turn_urls=("turn:t",), turn_secret="hush"
        )
        self.service = HubService(settings, self.shell, lambda: self.wall)

    def invocation_metadata(self) -> Any:
        return (("authorization", "Bearer secret"),)

    def subscribe(self) -> AsyncIterator[Any]:
        return self.service.Subscribe(hub_pb2.SubscribeRequest(), self)


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    await made.shell.start()
    await made.shell.perform(Login(digest("secret"), "ann", "d"))
    yield made
    await made.shell.close(5)


async def ends(stream: AsyncIterator[Any]) -> bool:
    """Whether it ends by itself within a few heartbeats."""
    for _ in range(5):
        async with asyncio.timeout(10):
            if await anext(stream, None) is None:
                return True
    return False


@pytest.mark.parametrize(("even", "wall"), [(TTL / 2, TTL / 2), (1.0, 86400.0 * 90), (TTL / 2, -86400.0)])
async def test_a_stream_ends_while_they_are_good_by_either_clock(
    room: Room, even: float, wall: float
) -> None:
    """After a power cut a hub may hand out what has expired by the time that NTP sets its clock."""
    stream = room.subscribe()
    welcome = await anext(stream)
    (server,) = welcome.welcome.ice_servers
    assert server.username == f"{int(room.wall + TTL)}:ann"
    assert not await ends(stream)
    room.now, room.wall = room.now + even, room.wall + wall
    assert await ends(stream)


async def test_a_clock_that_is_set_a_little_ends_none(room: Room) -> None:
    stream = room.subscribe()
    await anext(stream)
    room.now, room.wall = room.now + TTL / 4, room.wall + TTL / 4 + 300
    assert not await ends(stream)
    room.wall -= 86400
    assert not await ends(stream)
