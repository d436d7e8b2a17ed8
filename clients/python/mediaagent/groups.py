"""Groups of users, which the hub keeps."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Iterable

import grpc

from mediaagent.asking import Ask, several
from mediaagent.v1 import group_pb2, group_pb2_grpc

_PAGE = 200


class Groups:
    """The groups of whoever is logged in: `agent.groups`. Every method raises AgentError."""

    def __init__(self, channel: grpc.aio.Channel, ask: Ask) -> None:
        self._stub: group_pb2_grpc.GroupServiceAsyncStub = group_pb2_grpc.GroupServiceStub(channel)
        self._ask = ask

    async def create(
        self, member_ids: Iterable[str] = (), *, group_id: str = "", name: str = "", request_id: str = ""
    ) -> group_pb2.Group:
        """Makes a group whose owner is the user; without a `group_id` the hub chooses one."""
        request = group_pb2.CreateGroupRequest(
            group_id=group_id,
            name=name,
            member_ids=several(member_ids),
            # Without one a retry by the transport could make a second group.
            request_id=request_id or uuid.uuid4().hex,
        )
        return (await self._ask(self._stub.CreateGroup, request)).group

    async def delete(self, group_id: str) -> None:
        """Deletes a group; its owner may."""
        await self._ask(self._stub.DeleteGroup, group_pb2.DeleteGroupRequest(group_id=group_id))

    async def add(self, group_id: str, user_ids: Iterable[str]) -> group_pb2.Group:
        """Adds members; the owner may."""
        request = group_pb2.AddGroupMembersRequest(group_id=group_id, user_ids=several(user_ids))
        return (await self._ask(self._stub.AddGroupMembers, request)).group

    async def remove(self, group_id: str, user_ids: Iterable[str]) -> group_pb2.Group:
        """Removes members; the owner may, and everyone may remove themselves."""
        request = group_pb2.RemoveGroupMembersRequest(group_id=group_id, user_ids=several(user_ids))
        return (await self._ask(self._stub.RemoveGroupMembers, request)).group

    async def get(self, group_id: str) -> group_pb2.Group:
        """The group with its members and its running call."""
        return (await self._ask(self._stub.GetGroup, group_pb2.GetGroupRequest(group_id=group_id))).group

    async def list(self) -> AsyncGenerator[group_pb2.Group, None]:
        """The groups that the user is a member of, without their members."""
        token = ""
        while True:
            request = group_pb2.ListGroupsRequest(page_size=_PAGE, page_token=token)
            page = await self._ask(self._stub.ListGroups, request)
            for group in page.groups:
                yield group
            token = page.next_page_token
            if not token:
                return
