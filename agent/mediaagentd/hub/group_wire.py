"""Between the stubs of groups and the values of the hub's core."""

from __future__ import annotations

from mediaagent.hub.v1 import group_pb2

from mediaagentd.hub.types import GroupShown, GroupsShown
from mediaagentd.hub.wire import timestamp


def group(shown: GroupShown) -> group_pb2.Group:
    """The group with its members."""
    message = _head(shown)
    value = shown.group
    for member in value.members:
        is_owner = member.user_id == value.owner
        role = group_pb2.GROUP_ROLE_OWNER if is_owner else group_pb2.GROUP_ROLE_MEMBER
        message.members.add(user_id=member.user_id, role=role, join_time=timestamp(member.joined))
    return message


def page(shown: GroupsShown) -> group_pb2.ListGroupsResponse:
    """Groups without their members."""
    return group_pb2.ListGroupsResponse(groups=map(_head, shown.groups), next_page_token=shown.next)


def _head(shown: GroupShown) -> group_pb2.Group:
    value = shown.group
    return group_pb2.Group(
        group_id=value.group_id,
        name=value.name,
        owner=value.owner,
        member_count=len(value.members),
        create_time=timestamp(value.created),
        revision=value.revision,
        active_call_id=shown.call_id,
    )
