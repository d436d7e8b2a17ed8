"""A fake agent on a socket, and a client of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mediaagent import Agent

from tests.fakes.agent import FakeAgent

# pytest-asyncio asks for "the loop before ours"; Python 3.11 then makes one that nobody closes, and its
# ResourceWarning fails a test that has nothing to do with it.
asyncio.set_event_loop(None)


@pytest.fixture
def socket(tmp_path: Path) -> str:
    return str(tmp_path / "agent.sock")


@pytest.fixture
async def fake(socket: str) -> AsyncIterator[FakeAgent]:
    agent = FakeAgent()
    await agent.start(socket)
    yield agent
    await agent.stop()


@pytest.fixture
async def agent(fake: FakeAgent, socket: str) -> AsyncIterator[Agent]:
    async with Agent(socket, timeout=5) as client:
        yield client
