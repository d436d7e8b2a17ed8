"""group: groups of users, which the hub keeps."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter
from rich.table import Table

from mediaagent.cli.app import DONE, Common, app, connected
from mediaagent.cli.output import Output, word
from mediaagent.v1 import group_pb2

group = App(name="group", help="Makes and shows groups of users, who can be called together.")
app.command(group)

Members = Annotated[str, Parameter(name="USER")]
NO_COMMON = Common()


@group.command
async def create(
    *members: Members,
    group_id: Annotated[str, Parameter(name="--id", help="Its name; without one the hub makes one.")] = "",
    name: Annotated[str, Parameter(help="What people call it.")] = "",
    common: Common = NO_COMMON,
) -> int:
    """Makes a group of the logged-in user and of USERS."""
    async with connected(common) as (agent, out):
        _show(out, await agent.groups.create(members, group_id=group_id, name=name))
    return DONE


@group.command
async def delete(group_id: str, /, *, common: Common = NO_COMMON) -> int:
    """Deletes a group."""
    async with connected(common) as (agent, out):
        await agent.groups.delete(group_id)
        out.result({"deleted": group_id}, f"{group_id} deleted")
    return DONE


@group.command
async def add(group_id: str, /, *members: Members, common: Common = NO_COMMON) -> int:
    """Adds USERS to a group."""
    async with connected(common) as (agent, out):
        _show(out, await agent.groups.add(group_id, members))
    return DONE


@group.command
async def remove(group_id: str, /, *members: Members, common: Common = NO_COMMON) -> int:
    """Removes USERS from a group; oneself to leave it."""
    async with connected(common) as (agent, out):
        _show(out, await agent.groups.remove(group_id, members))
    return DONE


@group.command
async def show(group_id: str, /, *, common: Common = NO_COMMON) -> int:
    """Shows a group and its members."""
    async with connected(common) as (agent, out):
        _show(out, await agent.groups.get(group_id))
    return DONE


@group.command(name="list")
async def mine(*, common: Common = NO_COMMON) -> int:
    """Lists the groups of the logged-in user. With --json one group per line."""
    async with connected(common) as (agent, out):
        groups = [found async for found in agent.groups.list()]
        if out.as_json:
            for found in groups:
                out.result(found, "")
            return DONE
        table = Table()
        for name in ("id", "name", "owner", "members", "call"):
            table.add_column(name, overflow="fold")
        for found in groups:
            running = found.active_call_id or "-"
            table.add_row(found.group_id, found.name, found.owner, str(found.member_count), running)
        out.result({}, table if groups else "no groups")
    return DONE


def _show(out: Output, found: group_pb2.Group) -> None:
    names = [
        f"{member.user_id} ({word(group_pb2.GroupRole, member.role, 'GROUP_ROLE_')})"
        for member in found.members
    ]
    title = f"{found.group_id} {found.name}".strip()
    running = f"; in a call: {found.active_call_id}" if found.active_call_id else ""
    out.result(found, f"{title}: {', '.join(names)}{running}")
