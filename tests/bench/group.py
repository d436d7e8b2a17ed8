"""A group call of whole daemons: what one of them costs against the number of its peers.

Twice at each size: the others' cameras off (what one more receiver costs the one that sends), and on (a full
mesh, in which one more peer also sends). Nobody looks, so nothing is decoded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from mediaagent import Agent, Event

from tests.bench import content
from tests.bench.daemons import PATIENCE, End
from tests.bench.figures import Figure
from tests.bench.peers import tree_cpu
from tests.integration import processes

NAMES = ("ann", "ben", "cid", "dan", "eve")
SIZES = (1, 2, 4)
"""Peers of the first one."""

WARM_UP = 2.0
SECONDS = 6.0
RUNS = 2


@dataclass(frozen=True, slots=True)
class Measured:
    """Cores of the first daemon; pictures a second that arrive where fewest do."""

    cpu: float
    fps: float


async def _enter(caller: End, name: str, callee: End, first: bool) -> None:
    """One more is in the call, and connected with the caller."""
    invited, entered = callee.agent.once(Event.INVITED), caller.agent.once(Event.USER_ENTER)
    await callee.agent.status()  # it listens before it is called: this waits for its stream
    await (caller.agent.group_call([name], timeout=30) if first else caller.agent.invite_users([name], 30))
    await callee.agent.accept((await asyncio.wait_for(invited, PATIENCE)).invite_id)
    await asyncio.wait_for(entered, PATIENCE)


async def _cameras(ends: Sequence[End], on: bool) -> None:
    for end in ends:
        await (end.agent.open_camera() if on else end.agent.close_camera())


async def _arrived(ends: Sequence[End], everyone: bool) -> list[int]:
    """Pictures that each has received from each who sends, the first of `ends` or everyone."""
    senders = NAMES if everyone else NAMES[:1]
    stats = [await end.agent.stats() for end in ends]
    return [peer.video_received.frames for each in stats for peer in each.peers if peer.user_id in senders]


async def _measure(ends: Sequence[End], everyone: bool) -> Measured:
    await _cameras(ends[1:], everyone)
    await asyncio.sleep(WARM_UP)
    pid = ends[0].process.child.pid
    before, cpu, begun = await _arrived(ends, everyone), tree_cpu(pid), time.monotonic()
    await asyncio.sleep(SECONDS)
    used, spent = tree_cpu(pid) - cpu, time.monotonic() - begun
    after = await _arrived(ends, everyone)
    assert len(after) == (len(ends) * (len(ends) - 1) if everyone else len(ends) - 1)
    fewest = min(late - early for early, late in zip(before, after, strict=True))
    return Measured(used / spent, fewest / spent)


async def _run(directory: Path, film: Path) -> dict[tuple[int, bool], Measured]:
    found = {}
    async with AsyncExitStack() as stack:
        hub = await stack.enter_async_context(processes.hub(directory))
        ends = []
        for name in NAMES:
            settings = {"camera": f"file:{film}", "video_profile": "480p"}
            agent = await stack.enter_async_context(processes.agent(directory, name, hub, **settings))
            client = await stack.enter_async_context(Agent(agent.socket))
            await client.login(name, hub.mint(name))
            ends.append(End(agent, client))
        for count in range(1, len(NAMES)):
            await _enter(ends[0], NAMES[count], ends[count], count == 1)
            if count not in SIZES:
                continue
            for everyone in (False, True):
                found[count, everyone] = await _measure(ends[: count + 1], everyone)
    return found


def run_all(directory: Path) -> list[Figure]:
    """Some calls that grow, one after the other."""
    film = content.ensure()
    runs = [asyncio.run(_run(directory / str(number), film)) for number in range(RUNS)]
    figures = [
        Figure(f"CPU of a daemon, {what}, peers: {count}", "core",
               tuple(run[count, everyone].cpu for run in runs),
               f"at least {min(run[count, everyone].fps for run in runs):.1f} pictures/s reach everyone")
        for everyone, what in ((False, "it alone sends video"), (True, "all send video"))
        for count in SIZES
    ]  # fmt: skip
    first = tuple(run[1, False].cpu for run in runs)
    more = tuple((run[SIZES[-1], False].cpu - run[1, False].cpu) / (SIZES[-1] - 1) for run in runs)
    return [
        *figures,
        Figure("one more receiver", "core", more, "as above", goal=0.02,
               others={"camera, encoder, sound and the first receiver": first}),
    ]  # fmt: skip
