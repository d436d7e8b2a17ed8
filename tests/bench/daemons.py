"""Whole daemons with a hub between them, in a call; everything through the public API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import mediaagent
from mediaagent import Agent, Event

from tests.integration import processes

PATIENCE = 20.0

VIEW = "bench"


@dataclass(slots=True)
class End:
    """One daemon and a client of it."""

    process: processes.Agent
    agent: Agent
    pictures: int = 0


@asynccontextmanager
async def two(directory: Path, **settings: str) -> AsyncIterator[tuple[End, End, processes.Hub]]:
    """Two daemons, logged in as ann and ben."""
    async with (
        processes.hub(directory) as hub,
        processes.agent(directory, "ann", hub, **settings) as ann,
        processes.agent(directory, "ben", hub, **settings) as ben,
        Agent(ann.socket) as ann_client,
        Agent(ben.socket) as ben_client,
    ):
        await ann_client.login("ann", hub.mint("ann"))
        await ben_client.login("ben", hub.mint("ben"))
        yield End(ann, ann_client), End(ben, ben_client), hub


async def invite(ann: End, ben: End, kind: str) -> str:
    """Ann calls Ben; the invitation that has arrived at him."""
    invited = ben.agent.once(Event.INVITED)
    await ben.agent.status()  # he listens before he is called: this waits for his stream
    await ann.agent.call("ben", kind)
    event = await asyncio.wait_for(invited, PATIENCE)
    return str(event.invite_id)


@asynccontextmanager
async def in_call(ann: End, ben: End, kind: str = "video") -> AsyncIterator[None]:
    """A call between them, both up."""
    entered = [each.agent.once(Event.USER_ENTER) for each in (ann, ben)]
    await ben.agent.accept(await invite(ann, ben, kind))
    await asyncio.wait_for(asyncio.gather(*entered), PATIENCE)
    yield
    ended = ben.agent.once(Event.CALL_END)
    await ann.agent.hangup()
    await asyncio.wait_for(ended, PATIENCE)


@asynccontextmanager
async def watched(end: End, other: str) -> AsyncIterator[None]:
    """A view of the far end that makes the daemon decode all, and costs next to nothing beyond that."""
    view = mediaagent.frames("i420", max_fps=1, max_width=64, max_height=64)
    await end.agent.start_remote_view(other, VIEW, view)

    async def read() -> None:
        async for _ in end.agent.watch_view(VIEW):
            end.pictures += 1

    reading = asyncio.create_task(read())
    try:
        yield
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
