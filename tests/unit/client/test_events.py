"""Events: the stream that reconnects, and on/off on top of it."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import pytest
from mediaagent import Agent, AgentError, AgentUnavailable, Connection, Event
from mediaagent.subscription import backoff
from mediaagent.v1 import call_pb2, event_pb2

from tests.fakes.agent import FakeAgent

REJECT = event_pb2.EVENT_TYPE_REJECT
USER_ENTER = event_pb2.EVENT_TYPE_USER_ENTER


async def publish(fake: FakeAgent, *users: str) -> None:
    for user in users:
        await fake.publish(USER_ENTER, user_entered={"user_id": user})


async def test_snapshot_first_then_events(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events() as events:
        await publish(fake, "bob")
        assert isinstance(await anext(events), event_pb2.Snapshot)
        event = await anext(events)
        assert isinstance(event, event_pb2.Event)
        assert event.user_entered.user_id == "bob"
        assert events.cursor == event.cursor


async def test_a_cut_stream_resumes_and_misses_nothing(agent: Agent, fake: FakeAgent) -> None:
    users = [f"u{number}" for number in range(30)]
    seen: list[str] = []
    async with agent.events([Event.USER_ENTER]) as events:
        await anext(events)
        for number, user in enumerate(users):
            await publish(fake, user)
            if number % 10 == 5:
                await fake.cut()
        while len(seen) < len(users):
            event = await anext(events)
            assert isinstance(event, event_pb2.Event)
            seen.append(event.user_entered.user_id)
    assert seen == users
    assert len(fake.subscriptions) > 1
    assert all(request.cursor for request in fake.subscriptions[1:])


async def test_a_filtered_event_still_moves_the_cursor(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events(["onReject"]) as events:
        await anext(events)
        await publish(fake, "hidden")
        await fake.publish(REJECT, rejected={"user_id": "bob"})
        event = await anext(events)
    assert isinstance(event, event_pb2.Event)
    assert event.rejected.user_id == "bob"


async def test_a_cursor_resumes_in_another_client(agent: Agent, fake: FakeAgent, socket: str) -> None:
    async with agent.events() as events:
        await anext(events)
        cursor = events.cursor
    await publish(fake, "bob", "carol")
    async with Agent(socket) as later, later.events(cursor=cursor) as events:
        heard = [await anext(events) for _ in range(2)]
    assert [e.user_entered.user_id for e in heard if isinstance(e, event_pb2.Event)] == ["bob", "carol"]


async def test_a_cursor_that_cannot_be_sent_is_told_at_once(agent: Agent) -> None:
    with pytest.raises(UnicodeEncodeError):
        async with asyncio.timeout(5), agent.events(cursor="\udcff"):
            pass


async def test_an_agent_that_restarts_is_found_again(fake: FakeAgent, socket: str) -> None:
    states: list[Connection] = []
    heard: asyncio.Queue[str] = asyncio.Queue()
    async with Agent(socket, on_connection=states.append) as agent:
        agent.on("USER_ENTER", lambda entered: heard.put_nowait(entered.user_id))
        await agent.status()
        await fake.stop()
        await fake.start(socket)
        await publish(fake, "bob")
        assert await asyncio.wait_for(heard.get(), 10) == "bob"
    assert states == [Connection.CONNECTED, Connection.LOST, Connection.CONNECTED, Connection.CLOSED]


async def test_after_a_new_life_callbacks_are_told_how_everything_is(fake: FakeAgent, socket: str) -> None:
    changed: asyncio.Queue[str] = asyncio.Queue()
    async with Agent(socket) as agent:
        agent.on("SESSION_CHANGED", lambda body: changed.put_nowait(body.session.user_id))
        agent.on("CALL_CHANGED", lambda body: changed.put_nowait(body.call.call_id))
        await agent.status()
        await publish(fake, "bob")
        async with agent.events(cursor="0") as events:
            await anext(events)  # The callbacks' stream has it too by now, or soon: it is in the log.
        await fake.stop()
        fake.log.clear()
        fake.session.user_id = "alice"
        fake.current = call_pb2.Call(call_id="c9")
        await fake.start(socket)
        heard = {await asyncio.wait_for(changed.get(), 10) for _ in range(2)}
    assert heard == {"alice", "c9"}


async def test_a_first_connection_fails_like_a_call(tmp_path: object) -> None:
    async with Agent(f"{tmp_path}/nothing.sock") as agent:
        with pytest.raises(AgentUnavailable):
            async with agent.events():
                pass
        with pytest.raises(AgentUnavailable):
            await anext(agent.events())


async def test_unless_it_is_told_to_wait(tmp_path: object) -> None:
    path = f"{tmp_path}/late.sock"
    fake = FakeAgent()
    async with Agent(path) as agent:
        events = agent.events(wait_for_agent=True)
        first = asyncio.ensure_future(anext(events))
        await asyncio.wait({first}, timeout=0.1)
        await fake.start(path)
        assert isinstance(await asyncio.wait_for(first, 10), event_pb2.Snapshot)
    await fake.stop()


async def test_a_reader_that_gives_up_waiting_loses_nothing(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events() as events:
        await anext(events)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(events), 0.05)
        await publish(fake, "bob")
        event = await asyncio.wait_for(anext(events), 5)
        assert isinstance(event, event_pb2.Event)
    with pytest.raises(StopAsyncIteration):
        await anext(events)


async def test_on_and_off_in_both_spellings(agent: Agent, fake: FakeAgent) -> None:
    plain: list[str] = []
    done = asyncio.Event()

    async def later(entered: Any) -> None:
        plain.append(f"async {entered.user_id}")
        done.set()

    def first(entered: Any) -> None:
        plain.append(entered.user_id)

    agent.on("USER_ENTER", first)
    agent.on("onUserEnter", later)
    await agent.status()
    await publish(fake, "bob")
    await asyncio.wait_for(done.wait(), 5)
    assert plain == ["bob", "async bob"]
    agent.off(Event.USER_ENTER, first)
    agent.off(Event.USER_ENTER, print)  # Unknown: silent.
    done.clear()
    await publish(fake, "carol")
    await asyncio.wait_for(done.wait(), 5)
    assert plain[2:] == ["async carol"]


async def test_what_a_command_causes_reaches_a_callback_that_was_just_added(
    agent: Agent, fake: FakeAgent
) -> None:
    fake.busy = True
    busy = asyncio.Event()
    agent.on(Event.LINE_BUSY, lambda _: busy.set())
    await agent.call("bob")
    await asyncio.wait_for(busy.wait(), 5)


async def test_once_listens_from_when_it_is_asked(agent: Agent, fake: FakeAgent) -> None:
    fake.busy = True
    busy = agent.once("LINE_BUSY")
    given_up = agent.once(Event.LINE_BUSY)
    carol = agent.once(Event.USER_ENTER, lambda entered: entered.user_id == "carol")
    given_up.cancel()
    await agent.call("bob")
    assert (await asyncio.wait_for(busy, 5)).user_id == "bob"
    await publish(fake, "bob", "carol")
    assert (await asyncio.wait_for(carol, 5)).user_id == "carol"


async def test_closing_leaves_nobody_waiting(fake: FakeAgent, socket: str) -> None:
    async with Agent(socket) as agent:
        never = agent.once(Event.KICKED_OUT)
        await agent.status()
    with pytest.raises(asyncio.CancelledError):
        await never


async def test_a_failing_callback_keeps_nobody_from_the_event(
    agent: Agent, fake: FakeAgent, caplog: pytest.LogCaptureFixture
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    def broken(_: Any) -> None:
        raise RuntimeError("mine")

    async def also_broken(_: Any) -> None:
        raise RuntimeError("later")

    agent.on("USER_ENTER", broken)
    agent.on("USER_ENTER", also_broken)
    agent.on("USER_ENTER", lambda entered: heard.put_nowait(entered.user_id))
    await agent.status()
    with caplog.at_level(logging.ERROR, "mediaagent"):
        await publish(fake, "bob", "carol")
        users = [await asyncio.wait_for(heard.get(), 5) for _ in range(2)]
    assert users == ["bob", "carol"], "others hear, and the stream goes on"
    assert caplog.text.count("USER_ENTER failed") >= 2


def test_names_of_events() -> None:
    assert Event.of("INVITED") is Event.of("onInvited") is Event.INVITED
    assert Event.of("CALLING_END") is Event.CALL_END
    with pytest.raises(ValueError, match="onNothing"):
        Event.of("onNothing")
    assert Event.kind(event_pb2.Event(type=99)) is None  # type: ignore[arg-type]
    fields = {field.name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert {event.field for event in Event} == fields
    assert {event.proto for event in Event} == set(event_pb2.EventType.values()) - {0}


def test_backoff_has_full_jitter_and_a_cap() -> None:
    waits = [backoff(attempt) for attempt in range(1, 2000)]
    assert max(waits) <= 5.0
    assert min(waits[10:]) < 0.5
    assert max(waits[10:]) > 4.5
    assert backoff(1) <= 0.2


async def test_an_unknown_event_name_is_said_at_once(agent: Agent) -> None:
    with pytest.raises(ValueError, match="no event"):
        agent.on("INVITE", print)
    with pytest.raises(ValueError, match="no event"):
        agent.events(["INVITE"])
    assert issubclass(AgentUnavailable, AgentError)


async def test_a_stream_that_the_agent_cancels_is_taken_up_again(agent: Agent, fake: FakeAgent) -> None:
    async with agent.events() as events:
        await anext(events)
        await fake.cut(grpc.StatusCode.CANCELLED)
        await publish(fake, "bob")
        event = await asyncio.wait_for(anext(events), 10)
        assert isinstance(event, event_pb2.Event)
        assert event.user_entered.user_id == "bob"
