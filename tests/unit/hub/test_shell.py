"""The shell of the hub's core."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import journal
from mediaagentd.hub.shell import Shell
from mediaagentd.hub.types import Limits, Login, RenewLease, SetAvailability

from tests.fakes.hub_store import MemoryStore
from tests.unit.hub.town import LIMITS


class Full(MemoryStore):
    """A disk that is full until there is room."""

    def fill(self) -> None:
        self.failures = 10**9

    def make_room(self) -> None:
        self.failures = 0


class Room:
    def __init__(self, limits: Limits) -> None:
        self.now = 1000.0
        self.store = Full()
        self.shell = Shell(limits, self.store, lambda: self.now)


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(journal, "_RETRY", 0.001)
    monkeypatch.setattr(journal, "MAX_WAITING", 1)
    made = Room(LIMITS)
    await made.shell.start()
    yield made
    made.store.make_room()
    await made.shell.close(5)


async def test_leases_are_renewed_though_the_disk_refuses(room: Room) -> None:
    shell = room.shell
    await shell.perform(Login("t", "ann", "d"))
    room.store.fill()
    async with asyncio.TaskGroup() as waiting:
        waiting.create_task(shell.perform(Login("u", "bob", "d")))
        await asyncio.sleep(0)
        waiting.create_task(shell.perform(Login("v", "eve", "d")))
        await asyncio.sleep(0)
        while True:  # one is with the disk, one waits: no room for a third
            with pytest.raises(Refused) as refused:
                await shell.perform(SetAvailability("t", "c", True, True))
            if refused.value.reason is Reason.LIMIT_EXCEEDED:
                break
            await asyncio.sleep(0)
        for _ in range(10):
            room.now += LIMITS.lease - 1.0
            async with asyncio.timeout(10):
                assert await shell.perform(RenewLease("t")) is None
            shell._tick()
        with pytest.raises(Refused) as refused:
            await shell.subscribe("t", 0)
        assert refused.value.reason is Reason.LIMIT_EXCEEDED
        shell._tick()
        assert shell.outbox("t").session.user_id == "ann"
        room.store.make_room()
    assert (await shell.subscribe("t", 0)).user_id == "ann"
    with pytest.raises(Refused) as refused:
        await shell.perform(RenewLease("nobody"))
    assert refused.value.reason is Reason.SESSION_UNKNOWN


async def test_a_stream_begins_when_what_it_welcomes_with_is_on_the_disk(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_WAITING", 100)
    await room.shell.perform(Login("t", "ann", "d"))
    room.store.fill()
    login = asyncio.create_task(room.shell.perform(Login("u", "bob", "d")))
    await asyncio.sleep(0)
    stream = asyncio.create_task(room.shell.subscribe("t", 0))
    await asyncio.wait([stream], timeout=0.01)
    assert not stream.done()
    room.store.make_room()
    assert (await stream).user_id == "ann"
    assert login.done()


async def test_while_the_disk_refuses_for_days_what_only_looks_at_leases_does_not_pile_up(room: Room) -> None:
    shell = room.shell
    await shell.perform(Login("t", "ann", "d"))
    room.store.fill()
    login = asyncio.create_task(shell.perform(Login("u", "bob", "d")))
    await asyncio.wait([login], timeout=0.01)
    for _ in range(100):
        room.now += LIMITS.lease - 1.0
        await shell.perform(RenewLease("t"))
        shell._tick()
    assert len(shell._journal._waiting) <= 1, "the end of a session, bob's"
    room.store.make_room()
    await login


async def test_a_stream_whose_agent_goes_before_it_begins_leaves_nothing(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "MAX_WAITING", 100)
    await room.shell.perform(Login("t", "ann", "d"))
    room.store.fill()
    login = asyncio.create_task(room.shell.perform(Login("u", "bob", "d")))
    await asyncio.sleep(0)
    stream = asyncio.create_task(room.shell.subscribe("t", 0))
    await asyncio.wait([stream], timeout=0.01)
    stream.cancel()
    await asyncio.wait([stream])
    assert room.shell.outbox("t")._reader is None
    room.store.make_room()
    await login
