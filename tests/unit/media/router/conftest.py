"""An engine over fake peers; and no event loop but that of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.media.router.agent import Agent

# pytest-asyncio remembers the thread's loop of before its own by asyncio.get_event_loop(), which makes one
# that nobody closes: a ResourceWarning in whichever test the garbage collector comes by. Without a loop that
# was ever set it raises instead, and nothing is made.
asyncio.set_event_loop(None)


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    one = Agent()
    await one.engine.start()
    yield one
    await one.engine.stop()
