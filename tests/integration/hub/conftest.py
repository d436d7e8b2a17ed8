"""A real hub on a unix socket and real clients of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mediaagentd.hub.server import HubServer
from mediaagentd.hub.settings import HubSettings
from mediaagentd.hub.usersig import mint
from mediaagentd.signalling.client import HubClient

from tests.fakes.hub_ears import Device, Ears
from tests.fakes.hub_phone import Phone

# pytest-asyncio asks for "the loop before ours"; Python 3.11 then makes one that nobody closes, and its
# ResourceWarning fails a test that has nothing to do with it.
asyncio.set_event_loop(None)

APP = 1400000000
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"

MakeDevice = Callable[..., Awaitable[Device]]
MakePhone = Callable[..., Awaitable[Phone]]


def sig(user_id: str, key: str = KEY, expire: int = 3600, now: float | None = None) -> str:
    return mint(APP, key, user_id, now=time.time() if now is None else now, expire=expire)


class Bench:
    """One hub after the other on the same socket and database."""

    def __init__(self, settings: HubSettings) -> None:
        self.settings = settings
        self.server: HubServer | None = None

    @property
    def target(self) -> str:
        assert self.server is not None
        return self.server.target

    async def start(self, **changed: Any) -> None:
        self.settings = replace(self.settings, **changed)
        self.server = HubServer(self.settings)
        await self.server.start()

    async def stop(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            await server.stop(0.2)


@pytest.fixture
def settings(tmp_path: Path) -> HubSettings:
    return HubSettings(
        listen=f"unix:{tmp_path / 'hub.sock'}",
        sdk_app_id=APP,
        keys=("a key that is on its way out", KEY),
        database=tmp_path / "hub.sqlite",
        heartbeat=1.0,
    )


@pytest.fixture
async def hub(settings: HubSettings) -> AsyncIterator[Bench]:
    bench = Bench(settings)
    await bench.start()
    yield bench
    await bench.stop()


@pytest.fixture
async def device(settings: HubSettings) -> AsyncIterator[MakeDevice]:
    """Makes a device of a user, logged in unless told otherwise."""
    made: list[Device] = []

    async def make(
        user_id: str, name: str = "", *, target: str = "", login: bool = True, user_sig: str = ""
    ) -> Device:
        ears = Ears()
        client = HubClient(
            target or settings.listen,
            device_id=name or f"device-of-{user_id}",
            sdk_app_id=APP,
            listener=ears,
            heartbeat=settings.heartbeat,
        )
        made.append(Device(client, ears, user_id, user_sig or sig(user_id)))
        if login:
            await made[-1].login()
        return made[-1]

    yield make
    for device in made:
        await device.client.close()


@pytest.fixture
async def phone(settings: HubSettings) -> AsyncIterator[MakePhone]:
    """Makes a device of a user that speaks the bare contract, logged in."""
    made: list[Phone] = []

    async def make(user_id: str, device_id: str = "") -> Phone:
        made.append(Phone(settings.listen, APP, user_id, sig(user_id), device_id))
        await made[-1].login()
        return made[-1]

    yield make
    for one in made:
        await one.close()
        assert one.wrong == []
