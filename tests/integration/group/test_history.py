"""What is left of calls: records of talks, of what was missed while away, and after a daemon was killed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from mediaagent import Event
from mediaagent.v1 import call_pb2
from mediaagentd.demo.actor import Actor, having

from tests.integration import processes
from tests.integration.group.crowd import Crowd

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_talk_leaves_a_record_on_each_device(crowd: Crowd) -> None:
    alice, bob, *_ = crowd.actors
    mark = bob.mark
    await crowd.talk([alice, bob], "audio")
    await alice.agent.hangup()
    changed = await bob.expect(Event.HISTORY_CHANGED, mark, lambda it: it.HasField("record"))
    mine = (await alice.agent.history.page(size=1)).records[0]
    theirs = (await bob.agent.history.page(size=1)).records[0]
    assert theirs == changed.record
    assert (mine.direction, theirs.direction) == (
        call_pb2.CALL_DIRECTION_OUTGOING,
        call_pb2.CALL_DIRECTION_INCOMING,
    )
    for record in (mine, theirs):
        assert (record.end_reason, record.ended_by) == (call_pb2.END_REASON_HANGUP, "alice")
        assert record.HasField("answer_time")
        assert record.duration.ToMicroseconds() > 0
    assert await bob.agent.history.delete([theirs.record_id]) == 1
    await bob.expect(Event.HISTORY_CHANGED, mark, having(deleted_record_ids=[theirs.record_id]))


def _ended(reason: call_pb2.EndReason.ValueType) -> Callable[[Any], bool]:
    return lambda payload: payload.record.end_reason == reason


async def test_who_comes_back_in_time_is_rung_and_who_comes_late_has_missed_it_once(crowd: Crowd) -> None:
    alice, bob, *_ = crowd.actors
    await bob.agent.logout()
    await alice.agent.call("bob", "audio", timeout=10)
    mark = bob.mark
    await bob.agent.login("bob", crowd.hub.mint("bob"))
    invited = await bob.expect(Event.INVITED, mark)
    assert 0 < invited.call.timeout.ToMilliseconds() < 10_000
    await bob.agent.logout()
    await alice.agent.hangup()
    silent = call_pb2.END_REASON_NO_RESPONSE
    for _ in range(2):
        mark = alice.mark
        await alice.agent.call("bob", "audio", timeout=1)
        await alice.expect(Event.CALL_END, mark, lambda it: it.call.end_reason == silent)
    mark = bob.mark
    await bob.agent.login("bob", crowd.hub.mint("bob"))
    records = []
    for reason in (call_pb2.END_REASON_CANCELLED, silent):
        where = _ended(reason)
        records.append((await bob.expect(Event.MISSED_CALL, mark, where)).record)
    assert [record.sponsor for record in records] == ["alice", "alice"]
    page = await bob.agent.history.page()
    assert [record.is_missed for record in page.records[:3]] == [True] * 3
    total = page.total
    # The hub has forgotten them by now: nothing comes twice.
    await bob.agent.logout()
    mark = bob.mark
    await bob.agent.login("bob", crowd.hub.mint("bob"))
    await bob.expect(Event.SESSION_CHANGED, mark)
    await alice.agent.call("bob", "audio", timeout=5)
    await bob.expect(Event.INVITED, mark)
    assert "MISSED_CALL" not in [bob._name(event) for event in bob._journal[mark:]]
    assert (await bob.agent.history.page()).total == total


async def test_a_call_that_came_while_busy_is_missed_at_once(crowd: Crowd) -> None:
    alice, bob, carol, *_ = crowd.actors
    marks = {actor.name: actor.mark for actor in crowd.actors}
    await alice.agent.call("bob", "audio", timeout=20)
    await bob.expect(Event.INVITED, marks["bob"])
    await carol.agent.call("bob", "video", timeout=20)
    await carol.expect(Event.LINE_BUSY, marks["carol"], having(user_id="bob"))
    record = (await bob.expect(Event.MISSED_CALL, marks["bob"])).record
    assert (record.sponsor, record.end_reason) == ("carol", call_pb2.END_REASON_BUSY)
    assert [invitee.state for invitee in record.invitees] == [call_pb2.INVITEE_STATE_BUSY]
    rings = await bob.agent.current_call()
    assert rings is not None
    assert rings.sponsor == "alice"
    await alice.agent.hangup()


async def test_a_daemon_that_is_killed_in_a_call_keeps_its_history(crowd: Crowd) -> None:
    alice, bob, carol, dave, _ = crowd.actors
    await crowd.talk([alice, bob, dave], "audio")
    call = await dave.agent.current_call()
    assert call is not None
    mark = alice.mark
    killed = crowd.agents["dave"]
    killed.child.signal(signal.SIGKILL)
    await killed.child.wait()
    # Its lease runs out, and the others learn it.
    left = await alice.expect(Event.USER_LEAVE, mark, having(user_id="dave"), within=15)
    assert left.reason == call_pb2.END_REASON_DEVICE_LOST
    directory = killed.directory.parent
    socket = directory / "d.sock"
    daemon = processes.agent(directory, "dave", crowd.hub, socket=str(socket))
    async with daemon as again, Actor("dave", socket) as reborn:
        assert again.child.pid != killed.child.pid
        record = (await reborn.agent.history.page(size=1)).records[0]
        assert record.call_id == call.call_id
        assert record.end_reason == call_pb2.END_REASON_LOGGED_OUT
        assert record.HasField("answer_time")
    assert (await bob.agent.current_call()) is not None
    crowd.actors.remove(dave)
    assert carol in crowd.actors
