"""Groups, kept by the hub: every command is one RPC, and the hub decides."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from mediaagent.hub.v1 import group_pb2 as pb

from mediaagentd.call.group import Group, GroupMember, GroupPage, GroupRole

Ask = Callable[[str, Message], Awaitable[Any]]
"""Asks the hub in the present session. Refused: the hub's words, NOT_LOGGED_IN, HUB_UNREACHABLE."""


class Groups:
    """The groups of whoever is logged in. Each method raises Refused as `mediaagent.v1.GroupService` says."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def create(self, group_id: str, name: str, member_ids: Sequence[str], request_id: str) -> Group:
        """Makes a group; an empty id leaves it to the hub."""
        request = pb.CreateGroupRequest(
            group_id=group_id, name=name, member_ids=member_ids, request_id=request_id
        )
        return _group((await self._ask("CreateGroup", request)).group)

    async def delete(self, group_id: str) -> None:
        """Deletes it."""
        await self._ask("DeleteGroup", pb.DeleteGroupRequest(group_id=group_id))

    async def add(self, group_id: str, user_ids: Sequence[str]) -> Group:
        """Adds members."""
        request = pb.AddGroupMembersRequest(group_id=group_id, user_ids=user_ids)
        return _group((await self._ask("AddGroupMembers", request)).group)

    async def remove(self, group_id: str, user_ids: Sequence[str]) -> Group:
        """Removes members."""
        request = pb.RemoveGroupMembersRequest(group_id=group_id, user_ids=user_ids)
        return _group((await self._ask("RemoveGroupMembers", request)).group)

    async def get(self, group_id: str) -> Group:
        """The group with its members."""
        return _group((await self._ask("GetGroup", pb.GetGroupRequest(group_id=group_id))).group)

    async def page(self, size: int, token: str) -> GroupPage:
        """Those that the user is a member of."""
        reply = await self._ask("ListGroups", pb.ListGroupsRequest(page_size=size, page_token=token))
        return GroupPage(tuple(_group(group) for group in reply.groups), reply.next_page_token)


def _group(message: pb.Group) -> Group:
    return Group(
        group_id=message.group_id,
        name=message.name,
        owner=message.owner,
        members=tuple(_member(member) for member in message.members),
        member_count=message.member_count,
        created=_seconds(message.create_time),
        revision=message.revision,
        active_call_id=message.active_call_id,
    )


def _member(message: pb.GroupMember) -> GroupMember:
    # A role of a newer hub is one that this agent gives no more rights than a member's.
    known = message.role == pb.GROUP_ROLE_OWNER
    role = GroupRole.OWNER if known else GroupRole.MEMBER
    return GroupMember(message.user_id, role, _seconds(message.join_time))


def _seconds(stamp: Timestamp) -> float:
    return stamp.ToMicroseconds() / 1e6
