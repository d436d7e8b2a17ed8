"""What becomes of one group: pure functions from a group to its next revision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mediaagentd.hub.types import CreateGroup, Group, GroupMember, Session


def made(command: CreateGroup, session: Session, now: float) -> Group:
    """A new group, its owner first."""
    owner, request = session.user_id, session.named(command.request_id)
    others = (user_id for user_id in command.member_ids if user_id != owner)
    members = tuple(GroupMember(user_id, now) for user_id in (owner, *others))
    return Group(command.group_id, command.name or command.group_id, members, now, request)


def added(group: Group, user_ids: Iterable[str], now: float) -> Group:
    """The group with these members too; the same group when they are all in it."""
    known = {member.user_id for member in group.members}
    new = tuple(GroupMember(user_id, now) for user_id in user_ids if user_id not in known)
    if not new:
        return group
    return replace(group, members=(*group.members, *new), revision=group.revision + 1)


def removed(group: Group, user_ids: Iterable[str]) -> Group:
    """The group without them; the same group when none of them is in it. Never without its owner."""
    gone = frozenset(user_ids) - {group.owner}
    kept = tuple(member for member in group.members if member.user_id not in gone)
    if len(kept) == len(group.members):
        return group
    return replace(group, members=kept, revision=group.revision + 1)
