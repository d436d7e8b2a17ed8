"""Clients own nothing: any may come, go, or be killed, and none misses anything."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator

import pytest
from mediaagent import Agent, Event
from mediaagent.v1 import call_pb2, event_pb2
from mediaagentd.demo.actor import Actor, having
from mediaagentd.demo.watching import watching

from tests.integration.processes import REPOSITORY
from tests.integration.story.scenes import invite, talk
from tests.integration.story.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def until(events: AsyncIterator[object], kind: Event) -> list[event_pb2.Event]:
    """Everything up to the first event of that kind."""
    heard: list[event_pb2.Event] = []
    async with asyncio.timeout(15):
        async for message in events:
            if isinstance(message, event_pb2.Event):
                heard.append(message)
                if message.type == kind.proto:
                    return heard
    raise AssertionError("the events ended")


async def test_a_client_that_comes_back_with_its_cursor_misses_nothing(
    stage: Stage, alice: Actor, bob: Actor
) -> None:
    socket = stage.agents["bob"].socket
    async with Agent(socket) as whole, whole.events() as everything:
        await anext(everything)
        async with Agent(socket) as first, first.events() as events:
            await anext(events)
            invite_id = await invite(alice, bob)
            before = await until(events, Event.INVITED)
            cursor = events.cursor
        # The client is gone; the call goes on without it.
        await bob.agent.accept(invite_id)
        await bob.expect_call(having(state=call_pb2.CALL_STATE_ACTIVE))
        await alice.agent.hangup()
        async with Agent(socket) as second, second.events(cursor=cursor) as events:
            after = await until(events, Event.CALL_END)
        expected = await until(everything, Event.CALL_END)
    assert [event.cursor for event in before + after] == [event.cursor for event in expected]


async def test_a_cursor_of_another_life_gives_a_snapshot(stage: Stage, alice: Actor, bob: Actor) -> None:
    async with Agent(stage.agents["alice"].socket) as agent, agent.events(cursor="long.ago-7") as events:
        snapshot = await asyncio.wait_for(anext(events), 10)
        assert isinstance(snapshot, event_pb2.Snapshot)
        assert snapshot.session.user_id == "alice"


async def test_many_clients_hear_the_same(stage: Stage, alice: Actor, bob: Actor) -> None:
    socket = stage.agents["bob"].socket
    async with contextlib.AsyncExitStack() as stack:
        streams = []
        for _ in range(5):
            agent = await stack.enter_async_context(Agent(socket))
            streams.append(await stack.enter_async_context(agent.events()))
        for stream in streams:
            await anext(stream)
        invite_id = await invite(alice, bob)
        await bob.agent.reject(invite_id)
        heard = await asyncio.gather(*(until(stream, Event.CALL_END) for stream in streams))
    cursors = [[event.cursor for event in events] for events in heard]
    assert all(one == cursors[0] for one in cursors)


async def test_a_client_that_is_killed_takes_no_call_with_it(stage: Stage, alice: Actor, bob: Actor) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "clients" / "python")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mediaagent", "call", "bob", "--wait", "--json",
        "--socket", str(stage.agents["alice"].socket),
        stdout=asyncio.subprocess.PIPE, env=environment,
    )  # fmt: skip
    try:
        invited = await bob.expect(Event.INVITED, 0, having(sponsor="alice"), within=20)
        process.kill()
        await process.wait()
        await bob.agent.accept(invited.invite_id)
        await alice.expect_call(having(state=call_pb2.CALL_STATE_ACTIVE))
        async with watching(alice, "bob") as watch, asyncio.timeout(15):
            await watch.more_numbers(10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    call = await alice.agent.current_call()
    assert call is not None
    assert call.state == call_pb2.CALL_STATE_ACTIVE


async def test_the_command_line_drives_a_whole_call(stage: Stage, alice: Actor, bob: Actor) -> None:
    async def command(name: str, *arguments: str) -> tuple[int, list[dict[str, object]]]:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "mediaagent", *arguments, "--json",
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "clients" / "python"),
                 "MEDIAAGENT_SOCKET": str(stage.agents[name].socket)},
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 30)
        return process.returncode or 0, [json.loads(line) for line in out.splitlines()]

    (called, made), (answered, _) = await asyncio.gather(
        command("alice", "call", "bob", "--wait"), command("bob", "answer", "--timeout", "20")
    )
    assert (called, answered) == (0, 0)
    assert made[-1]["state"] == "CALL_STATE_ACTIVE"
    assert (await command("bob", "status"))[1][0]["session"]["userId"] == "bob"  # type: ignore[index]
    assert (await command("alice", "hangup"))[1][0]["endReason"] == "END_REASON_HANGUP"
    code, outcome = await command("alice", "call", "bob", "--audio", "--timeout", "1", "--wait")
    assert (code, outcome[-1]["endReason"]) == (4, "END_REASON_NO_RESPONSE")


async def test_a_call_made_by_one_client_is_ended_by_another(stage: Stage, alice: Actor, bob: Actor) -> None:
    await talk(alice, bob, "audio")
    async with Agent(stage.agents["alice"].socket) as other:
        ended = await other.hangup()
        assert ended is not None
        assert ended.end_reason == call_pb2.END_REASON_HANGUP
