"""The groups: who is in which, and what their members ask to be done with them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import groups
from mediaagentd.hub.ledger import Ledger
from mediaagentd.hub.rights import Role, Verb, check
from mediaagentd.hub.sessions import Sessions
from mediaagentd.hub.types import (
    AddGroupMembers,
    CreateGroup,
    DeleteGroup,
    DropGroup,
    Effect,
    GetGroup,
    Group,
    GroupInput,
    GroupShown,
    GroupsShown,
    Limits,
    ListGroups,
    PutGroup,
    RemoveGroupMembers,
    Reply,
    Session,
)


class Registry:
    """Groups by id, by member, and by the request that made them."""

    def __init__(self, limits: Limits, sessions: Sessions, ledger: Ledger) -> None:
        self._limits = limits
        self._sessions = sessions
        self._ledger = ledger
        self._groups: dict[str, Group] = {}
        self._of: dict[str, set[str]] = {}
        self._by_request: dict[tuple[str, str], str] = {}
        self._owned: dict[str, int] = {}

    def restore(self, stored: Iterable[Group]) -> None:
        """Takes over what was stored."""
        for group in stored:
            self._put(group)

    def check(self, user_id: str, verb: Verb, group_id: str) -> Group:
        """The group, when the user may do that with it. Refused: GROUP_UNKNOWN, and as `rights.check`."""
        group = self._groups.get(group_id)
        if group is None:
            raise Refused(Reason.GROUP_UNKNOWN, f"no group {group_id}", {"group_id": group_id})
        check(self._role(group, user_id), verb, group_id, user_id, self._call_id(group_id))
        return group

    def check_members(self, group_id: str, user_ids: Iterable[str]) -> None:
        """Refused(NOT_A_GROUP_MEMBER) with the first who is none."""
        for user_id in user_ids:
            if group_id not in self._of.get(user_id, ()):
                message = f"{user_id} is not a member of group {group_id}"
                metadata = {"group_id": group_id, "user_id": user_id}
                raise Refused(Reason.NOT_A_GROUP_MEMBER, message, metadata)

    def step(self, now: float, session: Session, command: GroupInput) -> tuple[Effect, ...]:
        """Does what a user asks; Refused before anything changed."""
        user_id = session.user_id
        match command:
            case CreateGroup():
                return self._create(now, session, command)
            case DeleteGroup(_, group_id):
                return self._delete(self.check(user_id, Verb.DELETE, group_id))
            case AddGroupMembers(_, group_id, user_ids):
                group = self.check(user_id, Verb.ADD, group_id)
                return self._changed(group, self._grown(groups.added(group, user_ids, now), user_ids))
            case RemoveGroupMembers(_, group_id, user_ids):
                if user_id in user_ids:
                    group = self.check(user_id, Verb.LEAVE, group_id)
                if user_ids != (user_id,):
                    group = self.check(user_id, Verb.REMOVE, group_id)
                return self._changed(group, groups.removed(group, user_ids))
            case GetGroup(_, group_id):
                return (Reply(self._shown(self.check(user_id, Verb.SEE, group_id))),)
            case ListGroups(_, size, after):
                return (Reply(self._page(user_id, size, after)),)
            case _:
                assert_never(command)

    def _create(self, now: float, session: Session, command: CreateGroup) -> tuple[Effect, ...]:
        user_id = session.user_id
        again = self._by_request.get((user_id, session.named(command.request_id)))
        if again is not None and command.request_id:
            return (Reply(self._shown(self._groups[again])),)
        if command.group_id in self._groups:
            message = f"there is a group {command.group_id} already"
            raise Refused(Reason.GROUP_EXISTS, message, {"group_id": command.group_id})
        if self._owned.get(user_id, 0) >= self._limits.groups:
            raise _beyond("groups", self._limits.groups, "one user has")
        group = self._grown(groups.made(command, session, now), command.member_ids)
        return self._changed(None, group)

    def _grown(self, group: Group, new: Iterable[str]) -> Group:
        """The group, when it may be like that. Refused: LIMIT_EXCEEDED, USER_UNKNOWN."""
        if len(group.members) > self._limits.group_members:
            raise _beyond("group_members", self._limits.group_members, "a group has")
        for user_id in new:
            self._sessions.check_known(user_id)
        return group

    def _delete(self, group: Group) -> tuple[Effect, ...]:
        del self._groups[group.group_id]
        self._by_request.pop((group.owner, group.request_id), None)
        self._owned[group.owner] -= 1
        for member in group.members:
            self._remove(member.user_id, group.group_id)
        return (DropGroup(group.group_id), Reply(None))

    def _changed(self, before: Group | None, after: Group) -> tuple[Effect, ...]:
        if after is before:
            return (Reply(self._shown(after)),)
        if before is not None:
            for gone in {m.user_id for m in before.members} - {m.user_id for m in after.members}:
                self._remove(gone, after.group_id)
        self._put(after)
        return (PutGroup(after), Reply(self._shown(after)))

    def _put(self, group: Group) -> None:
        if group.group_id not in self._groups:
            self._owned[group.owner] = self._owned.get(group.owner, 0) + 1
            self._by_request[group.owner, group.request_id] = group.group_id
        self._groups[group.group_id] = group
        for member in group.members:
            self._of.setdefault(member.user_id, set()).add(group.group_id)

    def _remove(self, user_id: str, group_id: str) -> None:
        self._of[user_id].discard(group_id)
        if not self._of[user_id]:
            del self._of[user_id]

    def _role(self, group: Group, user_id: str) -> Role:
        if user_id == group.owner:
            return Role.OWNER
        return Role.MEMBER if group.group_id in self._of.get(user_id, ()) else Role.STRANGER

    def _call_id(self, group_id: str) -> str:
        call = self._ledger.in_group(group_id)
        return call.call_id if call else ""

    def _shown(self, group: Group) -> GroupShown:
        return GroupShown(group, self._call_id(group.group_id))

    def _page(self, user_id: str, size: int, after: str) -> GroupsShown:
        later = sorted(group_id for group_id in self._of.get(user_id, ()) if group_id > after)
        page = later[:size]
        shown = tuple(self._shown(self._groups[group_id]) for group_id in page)
        return GroupsShown(shown, page[-1] if len(later) > size else "")


def _beyond(name: str, limit: int, whose: str) -> Refused:
    message = f"{name}: {whose} at most {limit}"
    return Refused(Reason.LIMIT_EXCEEDED, message, {"limit": name, "value": str(limit)})
