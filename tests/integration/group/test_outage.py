"""A hub that dies and comes back under a running call of real daemons."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from mediaagent import Event
from mediaagent.v1 import call_pb2, session_pb2
from mediaagentd.children import free_port
from mediaagentd.demo.actor import Actor, having

from tests.integration import processes

ONLINE, RECONNECTING = session_pb2.SESSION_STATE_ONLINE, session_pb2.SESSION_STATE_RECONNECTING


class Town:
    """Two users in a call, and a hub that can be killed."""

    def __init__(self, directory: Path, port: int, stack: AsyncExitStack) -> None:
        self._directory, self._port, self._stack = directory, port, stack
        self.hub: processes.Hub
        self.alice: Actor
        self.bob: Actor
        self.bobs: processes.Agent

    async def start_hub(self) -> None:
        context = processes.hub(self._directory, port=self._port)
        self.hub = await self._stack.enter_async_context(context)

    async def kill_hub(self) -> None:
        self.hub.child.signal(signal.SIGKILL)
        await self.hub.child.wait()

    async def state(self, actor: Actor, since: int, state: session_pb2.SessionState.ValueType) -> None:
        await actor.expect(Event.SESSION_CHANGED, since, lambda it: it.session.state == state, within=20)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with AsyncExitStack() as stack:
        made = Town(tmp_path, free_port(), stack)
        await made.start_hub()
        agents = await asyncio.gather(
            *(
                stack.enter_async_context(
                    processes.agent(tmp_path, name, made.hub, device_id=name, video_profile="480p")
                )
                for name in ("alice", "bob")
            )
        )
        made.bobs = agents[1]
        made.alice, made.bob = [
            await stack.enter_async_context(Actor(name, agent.socket))
            for name, agent in zip(("alice", "bob"), agents, strict=True)
        ]
        for actor in (made.alice, made.bob):
            await actor.agent.login(actor.name, made.hub.mint(actor.name))
        await made.alice.agent.call("bob", "audio", timeout=30)
        invited = await made.bob.expect(Event.INVITED, 0)
        await made.bob.agent.accept(invited.invite_id)
        for actor in (made.alice, made.bob):
            await actor.expect(Event.USER_ENTER, 0)
        yield made


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
    await bob.agent.hangup()
    await bob.expect(Event.CALL_END, marks[1])
    await town.start_hub()
    end = (await alice.expect(Event.CALL_END, marks[0], within=20)).call
    assert (end.end_reason, end.ended_by) == (call_pb2.END_REASON_HANGUP, "bob")
    # Both are free again, and the hub agrees.
    mark = alice.mark
    for actor, since in zip((alice, bob), marks, strict=True):
        await town.state(actor, since, ONLINE)
    await bob.agent.call("alice", "audio", timeout=10)
    await alice.expect(Event.INVITED, mark)


async def test_a_hub_that_has_forgotten_everything_ends_the_call_on_both_sides(
    town: Town, tmp_path: Path
) -> None:
    marks = town.alice.mark, town.bob.mark
    await town.kill_hub()
    for file in tmp_path.glob("hub.sqlite*"):  # noqa: ASYNC240 - a test's own directory
        file.unlink()
    await town.start_hub()
    for actor, mark in zip((town.alice, town.bob), marks, strict=True):
        await town.state(actor, mark, ONLINE)
        await actor.expect(Event.CALL_END, mark, within=20)
        assert await actor.agent.current_call() is None
    await town.bob.agent.call("alice", "audio", timeout=10)
    await town.alice.expect(Event.INVITED, marks[0])


async def test_an_agent_that_has_forgotten_leaves_the_call(town: Town, tmp_path: Path) -> None:
    """Bob's daemon is killed and started again: what the hub still counts him in is left."""
    alice = town.alice
    mark = alice.mark
    town.bobs.child.signal(signal.SIGKILL)
    await town.bobs.child.wait()
    bobs = processes.agent(tmp_path, "bob", town.hub, device_id="bob", socket=str(tmp_path / "b.sock"))
    async with bobs, Actor("bob", tmp_path / "b.sock") as bob:
        await bob.agent.login("bob", town.hub.mint("bob"))
        end = (await alice.expect(Event.CALL_END, mark, within=20)).call
        assert (end.end_reason, end.ended_by) == (call_pb2.END_REASON_DEVICE_LOST, "bob")
        assert await bob.agent.current_call() is None
        await alice.agent.call("bob", "audio", timeout=10)
        await bob.expect(Event.INVITED, 0)
