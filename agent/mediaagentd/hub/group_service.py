"""The RPCs about groups: convert, one call of the shell, convert back."""

from __future__ import annotations

import secrets

from mediaagent.hub.v1 import group_pb2, group_pb2_grpc

from mediaagentd.hub import group_wire as wire
from mediaagentd.hub.credentials import Context, token
from mediaagentd.hub.shell import Shell
from mediaagentd.hub.types import (
    AddGroupMembers,
    CreateGroup,
    DeleteGroup,
    GetGroup,
    GroupInput,
    GroupShown,
    GroupsShown,
    ListGroups,
    RemoveGroupMembers,
)

_PAGE = 50
"""Groups on a page when nothing else is asked for."""


class GroupService(group_pb2_grpc.GroupServiceServicer):
    """`mediaagent.hub.v1.GroupService`. Stands behind `interceptors.server()`, as HubService does."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell

    async def CreateGroup(
        self, request: group_pb2.CreateGroupRequest, context: Context
    ) -> group_pb2.CreateGroupResponse:
        """Makes a group."""
        command = CreateGroup(
            token=token(context),
            group_id=request.group_id or secrets.token_hex(12),
            name=request.name,
            member_ids=tuple(request.member_ids),
            request_id=request.request_id,
        )
        return group_pb2.CreateGroupResponse(group=await self._group(command))

    async def DeleteGroup(
        self, request: group_pb2.DeleteGroupRequest, context: Context
    ) -> group_pb2.DeleteGroupResponse:
        """Deletes a group."""
        await self._shell.perform(DeleteGroup(token(context), request.group_id))
        return group_pb2.DeleteGroupResponse()

    async def AddGroupMembers(
        self, request: group_pb2.AddGroupMembersRequest, context: Context
    ) -> group_pb2.AddGroupMembersResponse:
        """Adds members."""
        command = AddGroupMembers(token(context), request.group_id, tuple(request.user_ids))
        return group_pb2.AddGroupMembersResponse(group=await self._group(command))

    async def RemoveGroupMembers(
        self, request: group_pb2.RemoveGroupMembersRequest, context: Context
    ) -> group_pb2.RemoveGroupMembersResponse:
        """Removes members."""
        command = RemoveGroupMembers(token(context), request.group_id, tuple(request.user_ids))
        return group_pb2.RemoveGroupMembersResponse(group=await self._group(command))

    async def GetGroup(
        self, request: group_pb2.GetGroupRequest, context: Context
    ) -> group_pb2.GetGroupResponse:
        """Shows a group."""
        command = GetGroup(token(context), request.group_id)
        return group_pb2.GetGroupResponse(group=await self._group(command))

    async def ListGroups(
        self, request: group_pb2.ListGroupsRequest, context: Context
    ) -> group_pb2.ListGroupsResponse:
        """Shows the groups of a user."""
        command = ListGroups(token(context), request.page_size or _PAGE, request.page_token)
        shown = await self._shell.perform(command)
        assert isinstance(shown, GroupsShown)
        return wire.page(shown)

    async def _group(self, command: GroupInput) -> group_pb2.Group:
        shown = await self._shell.perform(command)
        assert isinstance(shown, GroupShown)
        return wire.group(shown)
