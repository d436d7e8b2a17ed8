"""GroupService: groups, which the hub keeps. The contract is in group.proto."""

from __future__ import annotations

import secrets

from mediaagent.v1 import group_pb2 as pb
from mediaagent.v1.group_pb2_grpc import GroupServiceServicer

from mediaagentd.api import convert
from mediaagentd.api.house import Context, House
from mediaagentd.call.group import Group


class GroupService(GroupServiceServicer):
    """Each RPC is one of the hub's."""

    def __init__(self, house: House) -> None:
        self._groups = house.groups

    async def CreateGroup(self, request: pb.CreateGroupRequest, _context: Context) -> pb.CreateGroupResponse:
        """Makes a group."""
        request_id = request.request_id or secrets.token_hex(16)
        made = await self._groups.create(
            request.group_id, request.name, tuple(request.member_ids), request_id
        )
        return pb.CreateGroupResponse(group=_group(made))

    async def DeleteGroup(self, request: pb.DeleteGroupRequest, _context: Context) -> pb.DeleteGroupResponse:
        """Deletes it."""
        await self._groups.delete(request.group_id)
        return pb.DeleteGroupResponse()

    async def AddGroupMembers(
        self, request: pb.AddGroupMembersRequest, _context: Context
    ) -> pb.AddGroupMembersResponse:
        """Adds members."""
        changed = await self._groups.add(request.group_id, tuple(request.user_ids))
        return pb.AddGroupMembersResponse(group=_group(changed))

    async def RemoveGroupMembers(
        self, request: pb.RemoveGroupMembersRequest, _context: Context
    ) -> pb.RemoveGroupMembersResponse:
        """Removes members."""
        changed = await self._groups.remove(request.group_id, tuple(request.user_ids))
        return pb.RemoveGroupMembersResponse(group=_group(changed))

    async def GetGroup(self, request: pb.GetGroupRequest, _context: Context) -> pb.GetGroupResponse:
        """The group with its members."""
        return pb.GetGroupResponse(group=_group(await self._groups.get(request.group_id)))

    async def ListGroups(self, request: pb.ListGroupsRequest, _context: Context) -> pb.ListGroupsResponse:
        """The user's groups."""
        page = await self._groups.page(request.page_size, request.page_token)
        groups = [_group(group) for group in page.groups]
        return pb.ListGroupsResponse(groups=groups, next_page_token=page.token)


def _group(group: Group) -> pb.Group:
    return pb.Group(
        group_id=group.group_id,
        name=group.name,
        owner=group.owner,
        members=[
            pb.GroupMember(
                user_id=member.user_id,
                role=pb.GroupRole.ValueType(member.role.value),
                join_time=convert.epoch(member.joined),
            )
            for member in group.members
        ],
        member_count=group.member_count,
        create_time=convert.epoch(group.created),
        revision=group.revision,
        active_call_id=group.active_call_id,
    )
