"""A hub that dies and comes back under a running call of real daemons."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from mediaagent import Agent, Event
from mediaagent.v1 import call_pb2, session_pb2
from mediaagentd.demo.actor import Actor, having

from tests.integration import processes

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMES = ("alice", "bob")
ONLINE, RECONNECTING = session_pb2.SESSION_STATE_ONLINE, session_pb2.SESSION_STATE_RECONNECTING


class Town:
    """A hub that can be killed, and two users' daemons; the users in a call, with new clients each time."""

    def __init__(self, directory: Path, hub: processes.Hub, agents: list[processes.Agent]) -> None:
        self.directory = directory
        self.hub = hub
        self.agents = dict(zip(NAMES, agents, strict=True))
        self.alice: Actor
        self.bob: Actor
        self.later = AsyncExitStack()
        """What was started again, to be ended with the town."""

    async def kill_hub(self) -> None:
        self.hub.child.signal(signal.SIGKILL)
        await self.hub.child.wait()

    async def start_hub(self) -> None:
        """Its successor, at the same address."""
        port = int(self.hub.target.rpartition(":")[2])
        self.hub = await self.later.enter_async_context(processes.hub(self.directory, port=port))

    async def restart(self, name: str) -> None:
        """That daemon is killed, and another one takes its place."""
        self.agents[name].child.signal(signal.SIGKILL)
        await self.agents[name].child.wait()
        # Elsewhere: gRPC gives a place where nobody answered some time before it looks there again.
        socket = str(self.directory / f"{name}-again.sock")
        again = processes.agent(self.directory, name, self.hub, video_profile="480p", socket=socket)
        self.agents[name] = await self.later.enter_async_context(again)

    async def state(self, actor: Actor, since: int, state: session_pb2.SessionState.ValueType) -> None:
        await actor.expect(Event.SESSION_CHANGED, since, lambda it: it.session.state == state, within=20)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def processes_of_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    directory = tmp_path_factory.mktemp("outage")
    async with processes.house(directory, *NAMES, video_profile="480p") as (hub, agents):
        made = Town(directory, hub, agents)
        async with made.later:
            yield made


@pytest_asyncio.fixture(loop_scope="module")
async def town(processes_of_town: Town) -> AsyncIterator[Town]:
    made = processes_of_town
    async with AsyncExitStack() as stack:
        made.alice, made.bob = [
            await stack.enter_async_context(Actor(name, made.agents[name].socket)) for name in NAMES
        ]
        for actor in (made.alice, made.bob):
            await actor.agent.login(actor.name, made.hub.mint(actor.name))
        await made.alice.agent.call("bob", "audio", timeout=30)
        invited = await made.bob.expect(Event.INVITED, 0)
        await made.bob.agent.accept(invited.invite_id)
        for actor in (made.alice, made.bob):
            await actor.expect(Event.USER_ENTER, 0)
        yield made
        for name in NAMES:
            async with Agent(made.agents[name].socket) as agent:
                await agent.logout()  # Hangs up first.


async def heard(actor: Actor) -> int:
    return (await actor.agent.stats()).peers[0].audio_received.packets


async def test_a_running_call_does_not_notice_and_all_agree_afterwards(town: Town) -> None:
    alice, bob = town.alice, town.bob
    marks = alice.mark, bob.mark
    await town.kill_hub()
    for actor, mark in zip((alice, bob), marks, strict=True):
        await town.state(actor, mark, RECONNECTING)
    before = await heard(alice)
    assert (await alice.agent.set_mic_mute(True)).is_mic_muted  # told to bob once the hub is back
    await town.start_hub()
    for actor, mark in zip((alice, bob), marks, strict=True):
        await town.state(actor, mark, ONLINE)
    muted = having(user_id="alice", is_audio_available=False)
    await bob.expect(Event.USER_AUDIO_AVAILABLE, marks[1], muted)
    assert await heard(alice) > before
    for actor, mark in zip((alice, bob), marks, strict=True):
        seen = [actor._name(event) for event in actor._journal[mark:]]
        assert not {"CALL_END", "USER_LEAVE"} & set(seen), seen
        call = await actor.agent.current_call()
        assert call is not None
        assert call.state == call_pb2.CALL_STATE_ACTIVE
    await alice.agent.switch_to_video_call()
    await bob.expect_call(having(type=call_pb2.CALL_TYPE_VIDEO))


async def test_what_ended_meanwhile_is_over(town: Town) -> None:
    alice, bob = town.alice, town.bob
    marks = alice.mark, bob.mark
    await town.kill_hub()
    await town.state(alice, marks[0], RECONNECTING)
    # Alice's device sleeps until the hub is there: awake, she gives it three seconds to say who hung up.
    town.agents["alice"].child.signal(signal.SIGSTOP)
    try:
        await bob.agent.hangup()
        await bob.expect(Event.CALL_END, marks[1])
        await town.start_hub()
        await town.state(bob, marks[1], ONLINE)
    finally:
        town.agents["alice"].child.signal(signal.SIGCONT)
    end = (await alice.expect(Event.CALL_END, marks[0], within=20)).call
    assert (end.end_reason, end.ended_by) == (call_pb2.END_REASON_HANGUP, "bob")
    # Both are free again, and the hub agrees.
    mark = alice.mark
    for actor, since in zip((alice, bob), marks, strict=True):
        await town.state(actor, since, ONLINE)
    await bob.agent.call("alice", "audio", timeout=10)
    await alice.expect(Event.INVITED, mark)


async def test_a_hub_that_has_forgotten_everything_ends_the_call_on_both_sides(town: Town) -> None:
    marks = town.alice.mark, town.bob.mark
    await town.kill_hub()
    for file in town.directory.glob("hub.sqlite*"):
        file.unlink()
    await town.start_hub()
    for actor, mark in zip((town.alice, town.bob), marks, strict=True):
        await town.state(actor, mark, ONLINE)
        await actor.expect(Event.CALL_END, mark, within=20)
        assert await actor.agent.current_call() is None
    await town.bob.agent.call("alice", "audio", timeout=10)
    await town.alice.expect(Event.INVITED, marks[0])


async def test_an_agent_that_has_forgotten_leaves_the_call(town: Town) -> None:
    """Bob's daemon is killed and started again: what the hub still counts him in is left."""
    alice = town.alice
    mark = alice.mark
    await town.restart("bob")
    async with Actor("bob", town.agents["bob"].socket) as bob:
        await bob.agent.login("bob", town.hub.mint("bob"))
        end = (await alice.expect(Event.CALL_END, mark, within=20)).call
        assert (end.end_reason, end.ended_by) == (call_pb2.END_REASON_DEVICE_LOST, "bob")
        assert await bob.agent.current_call() is None
        await alice.agent.call("bob", "audio", timeout=10)
        await bob.expect(Event.INVITED, 0)
