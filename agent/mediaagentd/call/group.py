"""Groups of users as the hub keeps them. They pass by the call machine."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class GroupRole(enum.Enum):
    """What a member may do in a group (`mediaagent.v1.GroupRole`)."""

    OWNER = 1
    MEMBER = 2


@dataclass(frozen=True, slots=True)
class GroupMember:
    """One member. `joined` is seconds since the epoch, of the hub's clock."""

    user_id: str
    role: GroupRole
    joined: float


@dataclass(frozen=True, slots=True)
class Group:
    """A group. `members` is left out of lists; `active_call_id` is empty while no call of it runs."""

    group_id: str
    name: str
    owner: str
    members: tuple[GroupMember, ...]
    member_count: int
    created: float
    revision: int
    active_call_id: str = ""


@dataclass(frozen=True, slots=True)
class GroupPage:
    """Some groups; `token` asks for the next ones and is empty on the last page."""

    groups: tuple[Group, ...]
    token: str
