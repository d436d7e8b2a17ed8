"""Clients come late, agents restart, callbacks fail, somebody closes: nobody waits in vain."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from socket import AF_UNIX
from socket import socket as Socket
from typing import Any

import grpc
import pytest
from mediaagent import Agent, AgentError, AgentUnavailable, Connection, Event
from mediaagent.v1 import call_pb2, event_pb2

from tests.fakes.agent import FakeAgent

USER_ENTER = event_pb2.EVENT_TYPE_USER_ENTER


class Ears:
    """What the callbacks of a client hear, in order: the event's name and its payload."""

    def __init__(self, agent: Agent, *names: str) -> None:
        self.heard: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        for name in names:
            agent.on(name, functools.partial(self._hear, name))

    def _hear(self, name: str, payload: Any) -> None:
        self.heard.put_nowait((name, payload))

    async def next(self) -> tuple[str, Any]:
        async with asyncio.timeout(15):
            return await self.heard.get()


def a_call(call_id: str, state: call_pb2.CallState.ValueType, invite_id: str = "i1") -> call_pb2.Call:
    made = call_pb2.Call(
        call_id=call_id, invite_id=invite_id, state=state, sponsor="bob", room_id=7,
        type=call_pb2.CALL_TYPE_VIDEO, group_id="g", user_data=b"door 3",
    )  # fmt: skip
    for user_id in ("alice", "carol"):
        made.invitees.add(user_id=user_id, state=call_pb2.INVITEE_STATE_PENDING)
    return made


async def tell_change(fake: FakeAgent, call: call_pb2.Call) -> None:
    await fake.publish(event_pb2.EVENT_TYPE_CALL_CHANGED, call_changed={"call": call})


async def restart(fake: FakeAgent, socket: str, call: call_pb2.Call | None) -> None:
    """A new life of the agent, which knows that call."""
    await fake.stop()
    fake.log.clear()
    fake.current = call
    await fake.start(socket)


async def until(holds: Callable[[], bool]) -> None:
    """A client learns of a heartbeat by a packet that nothing here can await."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


# --- closing ----------------------------------------------------------------------------------------


async def read(events: Any) -> str:
    async for _ in events:
        pass
    return "ended"


async def test_closing_the_client_ends_the_wait_of_every_reader(fake: FakeAgent, socket: str) -> None:
    agent = Agent(socket)
    events = agent.events()
    await anext(events)
    readers = [asyncio.create_task(read(events)) for _ in range(2)]
    await asyncio.wait(readers, timeout=0.05)
    await agent.close()
    async with asyncio.timeout(5):
        assert await asyncio.gather(*readers) == ["ended", "ended"]


async def test_closing_the_client_ends_the_wait_for_an_agent(tmp_path: Path) -> None:
    agent = Agent(str(tmp_path / "nothing.sock"))
    agent.on("INVITED", print)
    events = agent.events(wait_for_agent=True)

    async def enter() -> str:
        async with events:
            return await read(events)

    entering, asking = asyncio.create_task(enter()), asyncio.create_task(events.ready())
    await asyncio.wait({entering, asking}, timeout=0.05)
    await agent.close()
    async with asyncio.timeout(5):
        assert await entering == "ended"
        with pytest.raises(AgentUnavailable):
            await asking
        async with events:
            assert await read(events) == "ended"


async def test_closing_a_subscription_ends_the_wait_of_its_reader(agent: Agent) -> None:
    events = agent.events()
    await anext(events)
    reader = asyncio.create_task(read(events))
    await asyncio.wait({reader}, timeout=0.05)
    await events.aclose()
    await events.aclose()
    async with asyncio.timeout(5):
        assert await reader == "ended"


async def test_what_ends_a_stream_for_good_is_told_to_every_reader(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events() as events:
        await anext(events)
        readers = [asyncio.create_task(read(events)) for _ in range(2)]
        await asyncio.wait(readers, timeout=0.05)
        await fake.cut(grpc.StatusCode.PERMISSION_DENIED)
        async with asyncio.timeout(10):
            for outcome in await asyncio.gather(*readers, return_exceptions=True):
                assert isinstance(outcome, AgentError)
                assert outcome.status is grpc.StatusCode.PERMISSION_DENIED


async def test_a_stream_that_failed_is_not_kept(agent: Agent, fake: FakeAgent) -> None:
    """A program that tries again and again while no agent is there would grow by 12 kB each time."""
    await fake.stop()
    for _ in range(3):
        with pytest.raises(AgentUnavailable):
            await anext(agent.events())
        with pytest.raises(AgentUnavailable):
            async with agent.events():
                pass
    await until(lambda: not agent._subscriptions)


async def test_whoever_awaits_an_event_hears_that_the_stream_has_ended_for_good(
    fake: FakeAgent, socket: str
) -> None:
    states: list[Connection] = []
    async with Agent(socket, on_connection=states.append) as agent:
        entered = agent.once("USER_ENTER")
        await agent.status()
        await fake.cut(grpc.StatusCode.PERMISSION_DENIED)
        async with asyncio.timeout(10):
            with pytest.raises(AgentError):
                await entered
        assert states == [Connection.CONNECTED, Connection.CLOSED]
        ears = Ears(agent, "USER_ENTER")
        await agent.status()
        await fake.publish(USER_ENTER, user_entered={"user_id": "bob"})
        assert (await ears.next())[1].user_id == "bob"


@pytest.mark.parametrize("in_a_task", [False, True])
async def test_a_callback_may_close_the_client(fake: FakeAgent, socket: str, in_a_task: bool) -> None:
    agent = Agent(socket)
    ended: asyncio.Queue[BaseException | None] = asyncio.Queue()

    async def close(_: Any) -> None:
        try:
            # In a task of its own, the callback is cancelled by what it waits for.
            await (asyncio.create_task(agent.close()) if in_a_task else agent.close())
        except asyncio.CancelledError as error:
            ended.put_nowait(error)
            raise
        ended.put_nowait(None)

    agent.on("USER_ENTER", close)
    await agent.status()
    await fake.publish(USER_ENTER, user_entered={"user_id": "bob"})
    async with asyncio.timeout(10):
        assert (await ended.get() is None) is not in_a_task
        await agent.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("mediaagent-")]
    assert agent._channel.get_state() is grpc.ChannelConnectivity.SHUTDOWN


# --- calls that came or went unheard ----------------------------------------------------------------


async def test_a_call_that_an_agents_new_life_does_not_know_is_told_as_over(
    fake: FakeAgent, socket: str
) -> None:
    async with Agent(socket) as agent:
        ears = Ears(agent, "CALL_CHANGED", "CALL_END", "SESSION_CHANGED", "INVITED")
        await agent.status()
        await tell_change(fake, a_call("c1", call_pb2.CALL_STATE_ACTIVE))
        assert (await ears.next())[1].call.state == call_pb2.CALL_STATE_ACTIVE
        await restart(fake, socket, None)
        told = [await ears.next() for _ in range(3)]
    assert [name for name, _ in told] == ["SESSION_CHANGED", "CALL_CHANGED", "CALL_END"]
    for _, payload in told[1:]:
        assert payload.call.call_id == "c1"
        assert payload.call.state == call_pb2.CALL_STATE_ENDED
        assert payload.call.end_reason == call_pb2.END_REASON_UNSPECIFIED


async def test_so_is_one_that_only_the_first_snapshot_told(fake: FakeAgent, socket: str) -> None:
    fake.current = a_call("c1", call_pb2.CALL_STATE_ACTIVE)
    async with Agent(socket) as agent:
        ears = Ears(agent, "CALL_END", "USER_ENTER")
        await agent.status()
        await fake.publish(USER_ENTER, user_entered={"user_id": "bob"})
        assert (await ears.next())[0] == "USER_ENTER"
        await restart(fake, socket, None)
        name, payload = await ears.next()
    assert (name, payload.call.call_id) == ("CALL_END", "c1")


async def test_a_call_whose_end_was_heard_is_not_told_again(fake: FakeAgent, socket: str) -> None:
    async with Agent(socket) as agent:
        ears = Ears(agent, "CALL_END", "LOCAL_MEDIA_CHANGED")
        await agent.call("bob")
        await fake.end(call_pb2.END_REASON_HANGUP)
        assert (await ears.next())[1].call.end_reason == call_pb2.END_REASON_HANGUP
        await restart(fake, socket, None)
        assert (await ears.next())[0] == "LOCAL_MEDIA_CHANGED"


async def test_a_client_that_comes_while_it_rings_is_invited(fake: FakeAgent, socket: str) -> None:
    fake.current = a_call("c1", call_pb2.CALL_STATE_RINGING)
    async with Agent(socket) as agent:
        ears = Ears(agent, "INVITED", "SESSION_CHANGED", "CALL_CHANGED", "USER_ENTER")
        name, invited = await ears.next()
        await fake.publish(USER_ENTER, user_entered={"user_id": "bob"})
        assert (await ears.next())[0] == "USER_ENTER", "once, and nothing else"
    assert name == "INVITED"
    assert invited == event_pb2.Invited(
        sponsor="bob", user_id_list=["alice", "carol"], is_from_group=True, invite_id="i1",
        invite_data=event_pb2.InviteData(version=1, call_type=call_pb2.CALL_TYPE_VIDEO, room_id=7),
        call=fake.current, user_data=b"door 3",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("before", "after", "names"),
    [
        # The gap was in the stream alone.
        (("c1", "RINGING", "i1"), ("c1", "RINGING", "i1"), ["CALL_CHANGED"]),
        (("c1", "RINGING", "i1"), ("c1", "ACTIVE", "i1"), ["CALL_CHANGED"]),
        # Another one meanwhile.
        (("c1", "ACTIVE", "i1"), ("c2", "RINGING", "i2"), ["CALL_END", "INVITED", "CALL_CHANGED"]),
        # Left, and asked in again.
        (("c1", "ACTIVE", "i1"), ("c1", "RINGING", "i2"), ["CALL_END", "INVITED", "CALL_CHANGED"]),
        (("c1", "RINGING", "i1"), ("c1", "RINGING", "i2"), ["CALL_END", "INVITED", "CALL_CHANGED"]),
    ],
)
async def test_what_a_gap_hid(
    fake: FakeAgent,
    socket: str,
    before: tuple[str, str, str],
    after: tuple[str, str, str],
    names: list[str],
) -> None:
    calls = [
        a_call(call_id, call_pb2.CallState.Value(f"CALL_STATE_{state}"), invite_id)
        for call_id, state, invite_id in (before, after)
    ]
    async with Agent(socket) as agent:
        entered = agent.once("USER_ENTER")
        await agent.status()
        await tell_change(fake, calls[0])
        await fake.publish(USER_ENTER, user_entered={"user_id": "bob", "call": calls[0]})
        await asyncio.wait_for(entered, 10)
        ears = Ears(agent, "INVITED", "CALL_END", "SESSION_CHANGED", "LOCAL_MEDIA_CHANGED")
        agent.on("CALL_CHANGED", lambda body: ears.heard.put_nowait((str(body.call.state), body)))
        await restart(fake, socket, calls[1])
        heard = [await ears.next()]
        while heard[-1][0] != str(calls[1].state):
            heard.append(await ears.next())
    ended = str(int(call_pb2.CALL_STATE_ENDED))
    told = [name for name, _ in heard[:-1] if name not in ("SESSION_CHANGED", "LOCAL_MEDIA_CHANGED", ended)]
    assert [*told, "CALL_CHANGED"] == names
    assert (ended in dict(heard)) is ("CALL_END" in names)


# --- callbacks that fail, cursors, patience ---------------------------------------------------------


async def test_a_connection_callback_that_fails_ends_no_stream(
    fake: FakeAgent, socket: str, caplog: pytest.LogCaptureFixture
) -> None:
    states: list[Connection] = []

    def failing(connection: Connection) -> None:
        states.append(connection)
        raise RuntimeError("mine")

    with caplog.at_level(logging.ERROR, "mediaagent"):
        async with Agent(socket, on_connection=failing) as agent:
            ears = Ears(agent, "USER_ENTER")
            await agent.status()
            await fake.cut()
            await fake.publish(USER_ENTER, user_entered={"user_id": "bob"})
            assert (await ears.next())[1].user_id == "bob"
    assert states == [Connection.CONNECTED, Connection.LOST, Connection.CONNECTED, Connection.CLOSED]
    assert caplog.text.count("the callback of the connection failed") == 4


async def test_a_command_without_an_agent_fails_at_once_whoever_listens(fake: FakeAgent, socket: str) -> None:
    """It waited for the stream of the callbacks until its own deadline."""
    await fake.stop()
    async with Agent(socket, timeout=60) as agent:
        ears = Ears(agent, "USER_ENTER")
        async with asyncio.timeout(10):
            for _ in range(10):
                with pytest.raises(AgentUnavailable, match="no agent answers at"):
                    await agent.status()
        await fake.start(socket)
        async with asyncio.timeout(30), agent.events(wait_for_agent=True):
            await agent.status()
        await fake.publish(USER_ENTER, user_entered={"user_id": "bob"})
        assert (await ears.next())[1].user_id == "bob"


async def test_a_command_has_one_deadline_whoever_listens(socket: str) -> None:
    """An agent that hangs was waited for twice: for the stream of the callbacks, and for the reply."""
    with Socket(AF_UNIX) as hanging:
        hanging.bind(socket)
        hanging.listen()
        async with Agent(socket, timeout=1.0) as agent:
            agent.on("INVITED", print)
            began = time.monotonic()
            with pytest.raises(AgentUnavailable):
                await agent.status()
            assert 0.9 <= time.monotonic() - began < 1.9


async def test_the_cursor_moves_past_what_the_filter_hides(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events([Event.REJECT]) as events:
        await anext(events)
        await fake.publish(USER_ENTER, user_entered={"user_id": "hidden"})
        await until(lambda: events.cursor == "1")


async def test_but_not_past_what_the_reader_has_not_had(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events([Event.REJECT]) as events:
        await anext(events)
        await fake.publish(event_pb2.EVENT_TYPE_REJECT, rejected={"user_id": "bob"})
        await fake.publish(USER_ENTER, user_entered={"user_id": "hidden"})
        await until(lambda: events._received == "2")
        assert events.cursor == "0"
        await anext(events)
        assert events.cursor == "1"


async def test_an_agent_that_does_not_come_back_ends_the_patience(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events(patience=0.1) as events:
        await anext(events)
        await fake.stop()
        with pytest.raises(AgentUnavailable):
            await asyncio.wait_for(anext(events), 15)
        with pytest.raises(AgentUnavailable):
            await asyncio.wait_for(anext(events), 15)


async def test_patience_is_for_an_agent_that_is_away_not_for_a_stream_that_breaks(
    agent: Agent, fake: FakeAgent
) -> None:
    async with agent.events(patience=0) as events:
        await anext(events)
        await fake.heard(event_pb2.SubscribeRequest)
        for _ in range(3):
            await fake.cut()
            await fake.heard(event_pb2.SubscribeRequest)
        await fake.publish(USER_ENTER, user_entered={"user_id": "bob"})
        assert isinstance(await asyncio.wait_for(anext(events), 10), event_pb2.Event)
