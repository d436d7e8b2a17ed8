"""HistoryService and GroupService over a real socket, with fakes behind them."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest
from mediaagent.v1 import call_pb2, group_pb2, group_pb2_grpc, history_pb2, history_pb2_grpc
from mediaagentd.api import convert_history
from mediaagentd.call.words import CallType
from mediaagentd.errors import Refused
from mediaagentd.history.types import Filter

from tests.unit.api.test_server import Daemon, daemon, refusal
from tests.unit.history.samples import CALL, MISSED

__all__ = ["daemon"]


@pytest.fixture
def history(daemon: Daemon) -> history_pb2_grpc.HistoryServiceAsyncStub:
    daemon.records.records = [replace(CALL, record_id=1), replace(MISSED, record_id=2)]
    stub: history_pb2_grpc.HistoryServiceAsyncStub = history_pb2_grpc.HistoryServiceStub(daemon.channel)
    return stub


@pytest.fixture
def groups(daemon: Daemon) -> group_pb2_grpc.GroupServiceAsyncStub:
    stub: group_pb2_grpc.GroupServiceAsyncStub = group_pb2_grpc.GroupServiceStub(daemon.channel)
    return stub


def test_a_record_fills_every_field() -> None:
    whole = replace(CALL, missed=True, other_device_id="kitchen", record_id=5)
    made = convert_history.record(whole)
    assert {field.name for field, _ in made.ListFields()} == {f.name for f in made.DESCRIPTOR.fields}
    assert made.duration.ToTimedelta().total_seconds() == 57.75
    assert [invitee.state for invitee in made.invitees] == [
        call_pb2.INVITEE_STATE_ACCEPTED,
        call_pb2.INVITEE_STATE_REJECTED,
    ]
    bare = convert_history.record(replace(MISSED, ended=None))
    assert not bare.HasField("answer_time")
    assert not bare.HasField("end_time")


def test_filters_arrive_whole() -> None:
    message = history_pb2.RecordFilter(
        user_id="bob",
        owner_id="ann",
        direction=call_pb2.CALL_DIRECTION_INCOMING,
        type=call_pb2.CALL_TYPE_VIDEO,
        is_missed=False,
    )
    message.from_time.FromMilliseconds(1500)
    message.to_time.FromMilliseconds(2500)
    assert convert_history.chosen(message) == Filter("bob", "ann", False, CallType.VIDEO, False, 1.5, 2.5)
    assert convert_history.chosen(history_pb2.RecordFilter()) == Filter()
    message.from_time.seconds = 2**62
    with pytest.raises(Refused, match="years"):
        convert_history.chosen(message)


async def test_listing(daemon: Daemon, history: history_pb2_grpc.HistoryServiceAsyncStub) -> None:
    page = await history.ListRecords(history_pb2.ListRecordsRequest())
    assert [record.record_id for record in page.records] == ["1", "2"]
    assert (page.total, page.next_page_token) == (2, "")
    request = history_pb2.ListRecordsRequest(page_size=1, page_token="t")
    assert (await history.ListRecords(request)).next_page_token == "more"
    assert daemon.records.asked == [(Filter(), 50, ""), (Filter(), 1, "t")]
    record = (await history.GetRecord(history_pb2.GetRecordRequest(record_id="2"))).record
    assert record.is_missed


@pytest.mark.parametrize("name", ["3", "x", "-1", "1" * 19, "\u0663"])
async def test_an_unknown_record(history: history_pb2_grpc.HistoryServiceAsyncStub, name: str) -> None:
    code, reason, _ = await refusal(history.GetRecord(history_pb2.GetRecordRequest(record_id=name)))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "RECORD_UNKNOWN")


async def test_deleting(daemon: Daemon, history: history_pb2_grpc.HistoryServiceAsyncStub) -> None:
    ids = history_pb2.RecordIds(record_ids=["1", "x", "77"])
    assert (await history.DeleteRecords(history_pb2.DeleteRecordsRequest(ids=ids))).deleted == 1
    assert (await history.DeleteRecords(history_pb2.DeleteRecordsRequest(all=False))).deleted == 0
    others = history_pb2.DeleteRecordsRequest(all=True, owner_id="eve")
    assert (await history.DeleteRecords(others)).deleted == 0
    assert (await history.DeleteRecords(history_pb2.DeleteRecordsRequest(all=True))).deleted == 1
    code, reason, _ = await refusal(history.DeleteRecords(history_pb2.DeleteRecordsRequest()))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_groups(daemon: Daemon, groups: group_pb2_grpc.GroupServiceAsyncStub) -> None:
    made = await groups.CreateGroup(group_pb2.CreateGroupRequest(name="Team", member_ids=["bob"]))
    assert {f.name for f, _ in made.group.ListFields()} == {f.name for f in made.group.DESCRIPTOR.fields}
    assert daemon.groups.request_ids[0]
    assert [member.role for member in made.group.members] == [
        group_pb2.GROUP_ROLE_OWNER,
        group_pb2.GROUP_ROLE_MEMBER,
    ]
    added = await groups.AddGroupMembers(group_pb2.AddGroupMembersRequest(group_id="g1", user_ids=["cid"]))
    assert added.group.member_count == 3
    removed = await groups.RemoveGroupMembers(
        group_pb2.RemoveGroupMembersRequest(group_id="g1", user_ids=["bob"])
    )
    assert [member.user_id for member in removed.group.members] == ["ann", "cid"]
    assert (await groups.GetGroup(group_pb2.GetGroupRequest(group_id="g1"))).group == removed.group
    assert len((await groups.ListGroups(group_pb2.ListGroupsRequest())).groups) == 1
    await groups.DeleteGroup(group_pb2.DeleteGroupRequest(group_id="g1"))
    code, reason, _ = await refusal(groups.GetGroup(group_pb2.GetGroupRequest(group_id="g1")))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "GROUP_UNKNOWN")
    code, reason, _ = await refusal(groups.GetGroup(group_pb2.GetGroupRequest(group_id="no spaces")))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_inviting_and_joining_need_a_call_and_a_name(daemon: Daemon) -> None:
    await daemon.login()
    more = call_pb2.InviteUsersRequest(user_ids=["bob"])
    code, reason, _ = await refusal(daemon.call.InviteUsers(more))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_CALL")
    code, reason, _ = await refusal(daemon.call.JoinGroupCall(call_pb2.JoinGroupCallRequest()))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
