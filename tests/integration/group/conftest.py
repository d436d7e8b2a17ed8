"""One hub and five daemons per module, a fresh client of each per story."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from mediaagentd.children import free_port

from tests.integration import processes
from tests.integration.group.crowd import NAMES, Crowd

# pytest-asyncio asks for "the loop before ours"; Python 3.11 then makes one that nobody closes, and its
# ResourceWarning fails a test that has nothing to do with it.
asyncio.set_event_loop(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crowd]:
    """The processes; the hub takes a lost device for lost after three seconds."""
    directory: Path = tmp_path_factory.mktemp("group")
    port = free_port()
    hub = processes.hub(directory, port=port, members="5", lease="3", call_lease="3")
    target = f"127.0.0.1:{port}"
    agents = (processes.agent(directory, name, target, video_profile="480p") for name in NAMES)
    async with processes.household(hub, *agents) as (the_hub, started):
        yield Crowd(the_hub, dict(zip(NAMES, started, strict=True)))


@pytest_asyncio.fixture(loop_scope="module")
async def crowd(house: Crowd) -> AsyncIterator[Crowd]:
    """Everyone logged in and idle; whatever a story leaves behind is cleared away."""
    async with AsyncExitStack() as stack:
        house.actors = [await stack.enter_async_context(house.actor(name)) for name in NAMES]
        for actor in house.actors:
            await actor.agent.login(actor.name, house.hub.mint(actor.name))
        yield house
        for actor in house.actors:
            await actor.agent.logout()  # Hangs up first.
