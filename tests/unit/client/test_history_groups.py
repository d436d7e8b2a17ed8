"""History and groups: the library and its command line."""

from __future__ import annotations

import datetime
import json

import pytest
from mediaagent import Agent, AgentError, records_where
from mediaagent.v1 import call_pb2, history_pb2

from tests.fakes.agent import FakeAgent
from tests.unit.client.test_cli import command

RECORD = history_pb2.Record(
    record_id="1",
    call_id="c1",
    owner_id="alice",
    direction=call_pb2.CALL_DIRECTION_OUTGOING,
    type=call_pb2.CALL_TYPE_VIDEO,
    sponsor="alice",
    end_reason=call_pb2.END_REASON_HANGUP,
    ended_by="bob",
    group_id="team",
)
RECORD.invitees.add(user_id="bob")
RECORD.invite_time.FromSeconds(1_700_000_000)
RECORD.answer_time.FromSeconds(1_700_000_005)
RECORD.duration.FromSeconds(65)
MISSED = history_pb2.Record(
    record_id="2",
    call_id="c2",
    owner_id="alice",
    direction=call_pb2.CALL_DIRECTION_INCOMING,
    type=call_pb2.CALL_TYPE_AUDIO,
    sponsor="carol",
    end_reason=call_pb2.END_REASON_NO_RESPONSE,
    is_missed=True,
)
MISSED.invitees.add(user_id="alice")
ELSEWHERE = history_pb2.Record(
    record_id="3",
    call_id="c3",
    owner_id="alice",
    direction=call_pb2.CALL_DIRECTION_INCOMING,
    sponsor="dan",
    end_reason=call_pb2.END_REASON_ANSWERED_ELSEWHERE,
    other_device_id="kitchen",
    ended_by="alice",
)


@pytest.fixture
def kept(fake: FakeAgent) -> FakeAgent:
    fake.history.records = [ELSEWHERE, MISSED, RECORD]
    return fake


async def test_all_pages_are_one_list(agent: Agent, kept: FakeAgent) -> None:
    chosen = records_where(
        user_id="bob",
        direction="incoming",
        type="audio",
        missed=False,
        since=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        until=datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC),
    )
    assert [record.record_id async for record in agent.history.list(chosen)] == ["3", "2", "1"]
    asked = kept.requests[-1].filter
    assert (asked.direction, asked.type) == (call_pb2.CALL_DIRECTION_INCOMING, call_pb2.CALL_TYPE_AUDIO)
    assert asked.HasField("is_missed")
    assert (asked.from_time.seconds, asked.to_time.seconds) == (1767225600, 1769904000)
    assert not records_where().ListFields()


async def test_one_record_and_deleting(agent: Agent, kept: FakeAgent) -> None:
    assert (await agent.history.get("2")).sponsor == "carol"
    with pytest.raises(AgentError, match="RECORD_UNKNOWN"):
        await agent.history.get("9")
    assert await agent.history.delete(["2", "9"]) == 1
    assert await agent.history.delete_all() == 2
    assert (await agent.history.page(size=5)).total == 0


async def test_groups(agent: Agent, fake: FakeAgent) -> None:
    made = await agent.groups.create(["bob"], group_id="team", name="Team")
    assert [member.user_id for member in made.members] == ["alice", "bob"]
    assert fake.requests[-1].request_id
    await agent.groups.create(group_id="band")
    assert (await agent.groups.add("team", ["carol"])).member_count == 3
    assert len((await agent.groups.remove("team", ["bob"])).members) == 2
    assert (await agent.groups.get("team")).name == "Team"
    assert [group.group_id async for group in agent.groups.list()] == ["band", "team"]
    await agent.groups.delete("team")
    with pytest.raises(AgentError, match="GROUP_UNKNOWN"):
        await agent.groups.delete("team")


async def test_calling_a_group_asking_in_and_joining(agent: Agent, fake: FakeAgent) -> None:
    with pytest.raises(AgentError, match="NO_CALL"):
        await agent.invite_users(["dan"])
    await agent.group_call(group_id="team", user_data=b"hi")
    assert (fake.requests[-1].group_id, list(fake.requests[-1].user_ids)) == ("team", [])
    assert fake.requests[-1].user_data == b"hi"
    grown = await agent.invite_users(["dan"], timeout=3)
    assert [invitee.user_id for invitee in grown.invitees] == ["dan"]
    assert fake.requests[-1].timeout.seconds == 3
    assert (await agent.join_group_call(call_id="c9")).call_id == "c9"
    assert (await agent.join_group_call(group_id="team")).group_id == "team"
    for names in ({}, {"call_id": "c", "group_id": "g"}):
        with pytest.raises(ValueError, match="one of them"):
            await agent.join_group_call(**names)


async def test_the_history_is_a_table_or_lines(kept: FakeAgent, socket: str) -> None:
    ended = await command(socket, "history", "--missed", "--user", "carol", COLUMNS="200")
    assert ended.code == 0
    for shown in ("carol", "missed", "no response", "0:01:05", "bob (team)", "kitchen", "hangup (bob)"):
        assert shown in ended.out
    assert kept.requests[-1].filter.is_missed
    lines = await command(socket, "history", "list", "--json", "--limit", "2")
    assert [line["recordId"] for line in lines.json] == ["3", "2"]
    deleted = await command(socket, "history", "delete", "1", "2", "--json")
    assert deleted.json == [{"deleted": 2}]
    assert "1 deleted" in (await command(socket, "history", "delete", "--all")).out
    assert (await command(socket, "history", "delete")).code == 2
    assert (await command(socket, "history", "delete", "1", "--all")).code == 2
    assert "no calls" in (await command(socket, "history")).out


async def test_groups_on_the_command_line(fake: FakeAgent, socket: str) -> None:
    assert "no groups" in (await command(socket, "group", "list")).out
    made = await command(socket, "group", "create", "bob", "carol", "--id", "team", "--name", "Team")
    assert made.out.strip() == "team Team: alice (owner), bob (member), carol (member)"
    fake.groups.groups["team"].active_call_id = "c7"
    assert "in a call: c7" in (await command(socket, "group", "show", "team")).out
    assert "dan" in (await command(socket, "group", "add", "team", "dan")).out
    assert "dan" not in (await command(socket, "group", "remove", "team", "dan")).out
    assert "team" in (await command(socket, "group", "list")).out
    lines = await command(socket, "group", "list", "--json")
    assert [json.loads(line)["groupId"] for line in lines.out.splitlines()] == ["team"]
    assert (await command(socket, "group", "delete", "team")).code == 0
    assert (await command(socket, "group", "delete", "team")).code == 1


async def test_group_calls_on_the_command_line(fake: FakeAgent, socket: str) -> None:
    assert (await command(socket, "call")).code == 2
    assert (await command(socket, "call", "--group", "team")).code == 0
    assert list(fake.requests[-1].user_ids) == []
    assert (await command(socket, "call", "bob", "carol")).code == 0
    assert (await command(socket, "invite", "dan")).code == 0
    assert (await command(socket, "join", "--group", "team")).code == 0
    assert (await command(socket, "join", "c5")).code == 0
    assert (await command(socket, "join")).code == 2


async def test_a_pipe_gets_whole_ids_in_one_line(fake: FakeAgent, socket: str) -> None:
    ids = ["a" * 48, "b" * 48]
    for group_id in ids:
        await command(socket, "group", "create", "bob", "--id", group_id, "--name", f"Name of {group_id}")
    listed = (await command(socket, "group", "list")).out.splitlines()
    for group_id in ids:
        assert sum(f" {group_id} " in line and f" Name of {group_id} " in line for line in listed) == 1
