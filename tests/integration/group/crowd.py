"""Five users and what they do together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from mediaagent import Event
from mediaagentd.demo.actor import Actor, having

from tests.integration import processes

NAMES = ("alice", "bob", "carol", "dave", "eve")


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


def pairs(actors: Sequence[Actor]) -> Iterator[tuple[Actor, Actor]]:
    """Each with each other one."""
    return ((one, other) for one in actors for other in actors if one is not other)
