"""From a client's Accept until the first picture of the far end has been decoded and reached the client."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import mediaagent
from mediaagent import AgentError, Event

from tests.bench import content
from tests.bench.daemons import PATIENCE, VIEW, End, invite, two
from tests.bench.figures import Figure, percentile

CALLS = 15


async def _once(ann: End, ben: End) -> float:
    """Milliseconds."""
    invitation = await invite(ann, ben, "video")
    entered = ben.agent.once(Event.USER_ENTER)
    begun = time.monotonic()
    await ben.agent.accept(invitation)
    view = mediaagent.frames("i420", max_width=64, max_height=64)
    try:
        await ben.agent.start_remote_view("ann", VIEW, view)
    except AgentError:  # not told yet that she is there
        await asyncio.wait_for(entered, PATIENCE)
        await ben.agent.start_remote_view("ann", VIEW, view)
    pictures = ben.agent.watch_view(VIEW)
    picture = await asyncio.wait_for(anext(pictures), PATIENCE)
    spent = time.monotonic() - begun
    assert len(picture.data) > 1000
    await pictures.aclose()
    entered.cancel()
    ended = ben.agent.once(Event.CALL_END)
    await ann.agent.hangup()
    await asyncio.wait_for(ended, PATIENCE)
    return spent * 1000


async def _run(directory: Path, film: Path) -> list[float]:
    async with two(directory, camera=f"file:{film}") as (ann, ben, _):
        return [await _once(ann, ben) for _ in range(CALLS)]


def run_all(directory: Path) -> list[Figure]:
    """Calls one after the other, between the same two daemons; the first one counts too."""
    times = asyncio.run(_run(directory, content.ensure()))
    checked = f"{CALLS} calls, each with a picture"
    return [
        Figure("accept to first picture, p50", "ms", (percentile(times, 0.5),), checked),
        Figure("accept to first picture, p95", "ms", (percentile(times, 0.95),), checked, goal=250),
    ]
