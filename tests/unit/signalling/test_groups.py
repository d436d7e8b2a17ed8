"""Groups on their way to the hub and back, and what a session that is not there says."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message
from mediaagent.hub.v1 import group_pb2
from mediaagentd.call.group import Group, GroupMember, GroupRole
from mediaagentd.errors import Reason, Refused
from mediaagentd.interceptors import check
from mediaagentd.signalling.client import HubClient
from mediaagentd.signalling.groups import Groups

from tests.fakes.hub_ears import Ears

TOLD = group_pb2.Group(
    group_id="team", name="Team", owner="ann", member_count=2, revision=3, active_call_id="c1"
)
TOLD.create_time.FromSeconds(1000)
for user, role in (("ann", group_pb2.GROUP_ROLE_OWNER), ("bob", group_pb2.GROUP_ROLE_MEMBER)):
    TOLD.members.add(user_id=user, role=role).join_time.FromSeconds(1001)
TEAM = Group(
    "team",
    "Team",
    "ann",
    (GroupMember("ann", GroupRole.OWNER, 1001.0), GroupMember("bob", GroupRole.MEMBER, 1001.0)),
    2,
    1000.0,
    3,
    "c1",
)


class FakeHub:
    """Answers each RPC with the group; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Message]] = []

    async def ask(self, name: str, request: Message) -> Any:
        check(request)
        method = group_pb2.DESCRIPTOR.services_by_name["GroupService"].methods_by_name[name]
        assert method.input_type is request.DESCRIPTOR
        self.asked.append((name, request))
        if name == "ListGroups":
            return group_pb2.ListGroupsResponse(groups=[TOLD], next_page_token="more")
        made = getattr(group_pb2, f"{name}Response")()
        if name != "DeleteGroup":
            made.group.CopyFrom(TOLD)
        return made


async def test_each_command_is_an_rpc() -> None:
    hub = FakeHub()
    groups = Groups(hub.ask)
    assert await groups.create("team", "Team", ("bob",), "r1") == TEAM
    assert await groups.add("team", ("cid",)) == TEAM
    assert await groups.remove("team", ("cid",)) == TEAM
    assert await groups.get("team") == TEAM
    page = await groups.page(10, "t")
    assert (page.groups, page.token) == ((TEAM,), "more")
    await groups.delete("team")
    assert [name for name, _ in hub.asked] == [
        "CreateGroup", "AddGroupMembers", "RemoveGroupMembers", "GetGroup", "ListGroups", "DeleteGroup",
    ]  # fmt: skip


async def test_without_a_session_there_are_no_groups() -> None:
    client = HubClient("nowhere", device_id="d", sdk_app_id=1, listener=Ears())
    with pytest.raises(Refused) as refused:
        await client.groups.get("team")
    assert refused.value.reason is Reason.NOT_LOGGED_IN
    client.acknowledge_missed(["i1"])
    await client.close()
