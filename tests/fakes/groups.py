"""The hub's groups without a hub: one user's, in memory."""

from __future__ import annotations

from collections.abc import Sequence

from mediaagentd.call.group import Group, GroupMember, GroupPage, GroupRole
from mediaagentd.errors import Reason, Refused


class FakeGroups:
    """The `Groups` port of `api/`, for the user `ann`."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}
        self.request_ids: list[str] = []

    async def create(self, group_id: str, name: str, member_ids: Sequence[str], request_id: str) -> Group:
        self.request_ids.append(request_id)
        if group_id in self.groups:
            raise Refused(Reason.GROUP_EXISTS, f"there is a group {group_id}", {"group_id": group_id})
        members = (
            GroupMember("ann", GroupRole.OWNER, 1000.0),
            *(GroupMember(user, GroupRole.MEMBER, 1000.0) for user in member_ids),
        )
        return self._put(Group(group_id or "g1", name, "ann", members, len(members), 1000.0, 1, "c1"))

    async def delete(self, group_id: str) -> None:
        del self.groups[(await self.get(group_id)).group_id]

    async def add(self, group_id: str, user_ids: Sequence[str]) -> Group:
        old = await self.get(group_id)
        new = tuple(GroupMember(user, GroupRole.MEMBER, 2000.0) for user in user_ids)
        return self._changed(old, (*old.members, *new))

    async def remove(self, group_id: str, user_ids: Sequence[str]) -> Group:
        old = await self.get(group_id)
        return self._changed(old, tuple(m for m in old.members if m.user_id not in user_ids))

    async def get(self, group_id: str) -> Group:
        if group_id not in self.groups:
            raise Refused(Reason.GROUP_UNKNOWN, f"no group {group_id}", {"group_id": group_id})
        return self.groups[group_id]

    async def page(self, size: int, token: str) -> GroupPage:
        return GroupPage(tuple(self.groups.values())[: size or None], "")

    def _changed(self, old: Group, members: tuple[GroupMember, ...]) -> Group:
        return self._put(
            Group(old.group_id, old.name, old.owner, members, len(members), old.created, old.revision + 1)
        )

    def _put(self, group: Group) -> Group:
        self.groups[group.group_id] = group
        return group
