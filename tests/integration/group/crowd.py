"""Five users and what they do together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import av
import numpy as np
from mediaagent import Event
from mediaagentd.demo.actor import Actor, having
from mediaagentd.demo.pictures import Luma, luma_of_image, shows_label

from tests.integration import processes

NAMES = ("alice", "bob", "carol", "dave", "eve")
SIZE = 480, 640


@dataclass
class Crowd:
    """The running processes, and a client of each daemon in the order of the names."""

    hub: processes.Hub
    agents: dict[str, processes.Agent]
    actors: list[Actor] = field(default_factory=list)

    def actor(self, name: str) -> Actor:
        """One more client of that user's daemon; not entered."""
        return Actor(name, self.agents[name].socket)

    async def answer(self, actor: Actor, since: int) -> str:
        """Waits for the invitation and accepts it."""
        invited = await actor.expect(Event.INVITED, since)
        await actor.agent.accept(invited.invite_id)
        return str(invited.invite_id)

    async def talk(self, actors: Sequence[Actor], kind: str = "video") -> None:
        """The first calls the others; all are in the call and connected with each other."""
        marks = {actor.name: actor.mark for actor in actors}
        caller, *others = actors
        await caller.agent.group_call([actor.name for actor in others], kind, timeout=30)
        for actor in others:
            await self.answer(actor, marks[actor.name])
        for one, other in pairs(actors):
            await one.expect(Event.USER_ENTER, marks[one.name], having(user_id=other.name), within=30)


async def portrait(viewer: Actor, name: str) -> Luma:
    """A snapshot of that user whose label can be read. On a busy machine many users' pictures are small or
    coarse for a while; each snapshot is of the next picture.
    """
    async with asyncio.timeout(30):
        while True:
            snapshot = await viewer.agent.take_snapshot(name)
            luma = as_made(luma_of_image(snapshot.image))
            if shows_label(luma, name):
                return luma


def as_made(luma: Luma) -> Luma:
    """At the size of the camera, of which a weak path gets a smaller one."""
    if luma.shape == SIZE:
        return luma
    frame = av.VideoFrame.from_ndarray(luma, format="gray").reformat(width=SIZE[1], height=SIZE[0])
    return frame.to_ndarray().astype(np.uint8, copy=False)


def pairs(actors: Sequence[Actor]) -> Iterator[tuple[Actor, Actor]]:
    """Each with each other one."""
    return ((one, other) for one in actors for other in actors if one is not other)
