"""history: the calls of this device, listed and deleted."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from cyclopts import App, Parameter
from rich.table import Table

from mediaagent.cli.app import DONE, USAGE, Common, Count, app, connected
from mediaagent.cli.output import Output, word
from mediaagent.history import records_where
from mediaagent.v1 import call_pb2, history_pb2

history = App(name="history", help="Shows the calls of this device, the newest first; deletes them.")
app.command(history)

NO_COMMON = Common()


def _moment(_: object, value: datetime.datetime | None) -> None:
    try:
        if value is not None:
            value.astimezone(datetime.UTC)
    except (OverflowError, ValueError):
        raise ValueError("it is out of range") from None


Moment = Annotated[datetime.datetime | None, Parameter(validator=_moment)]


@history.default
async def recent(
    *,
    user: Annotated[str, Parameter(help="Only calls with this user.")] = "",
    owner: Annotated[str, Parameter(help="Only calls of this user of the agent.")] = "",
    missed: Annotated[bool, Parameter(negative="", help="Only missed calls.")] = False,
    direction: Annotated[Literal["incoming", "outgoing"] | None, Parameter(help="Only these.")] = None,
    kind: Annotated[Literal["audio", "video"] | None, Parameter(help="Only these.")] = None,
    since: Annotated[Moment, Parameter(help="Not before this time.")] = None,
    until: Annotated[Moment, Parameter(help="Before this time.")] = None,
    limit: Annotated[Count, Parameter(help="At most so many; 0 for all.")] = 50,
    common: Common = NO_COMMON,
) -> int:
    """Lists calls. With --json one record per line."""
    chosen = records_where(
        user_id=user,
        owner_id=owner,
        direction=direction or "",
        type=kind,
        missed=True if missed else None,
        since=since,
        until=until,
    )
    async with connected(common) as (agent, out):
        found = []
        async for record in agent.history.list(chosen):
            found.append(record)
            if len(found) == limit:
                break
        _show(out, found)
    return DONE


history.command(recent, name="list")


@history.command
async def delete(
    *record_ids: Annotated[str, Parameter(name="ID", help="Records, as the list names them.")],
    everything: Annotated[bool, Parameter(name="--all", negative="", help="Delete all records.")] = False,
    owner: Annotated[str, Parameter(help="With --all: only those of this user of the agent.")] = "",
    common: Common = NO_COMMON,
) -> int:
    """Deletes records: those named, or all."""
    if everything == bool(record_ids):
        Output(common.json).usage("name records, or say --all")
        return USAGE
    async with connected(common) as (agent, out):
        deleted = await (agent.history.delete_all(owner) if everything else agent.history.delete(record_ids))
        out.result({"deleted": deleted}, f"{deleted} deleted")
    return DONE


def _show(out: Output, records: list[history_pb2.Record]) -> None:
    if out.as_json:
        for record in records:
            out.result(record, "")
        return
    table = Table()
    for name in ("id", "when", "", "with", "kind", "how long", "how it ended"):
        table.add_column(
            name, justify="right" if name in ("id", "how long") else "left", no_wrap=name == "when"
        )
    for record in records:
        table.add_row(*_row(record), style="red" if record.is_missed else None)
    out.result({}, table if records else "no calls")


def _row(record: history_pb2.Record) -> tuple[str, ...]:
    when = record.invite_time.ToDatetime(datetime.UTC).astimezone()
    length = datetime.timedelta(seconds=round(record.duration.ToTimedelta().total_seconds()))
    answered = record.HasField("answer_time")
    return (
        record.record_id,
        when.strftime("%Y-%m-%d %H:%M:%S"),
        "to" if record.direction == call_pb2.CALL_DIRECTION_OUTGOING else "from",
        others(record),
        word(call_pb2.CallType, record.type, "CALL_TYPE_"),
        str(length) if answered else "missed" if record.is_missed else "-",
        ending(record),
    )


def others(record: history_pb2.Record) -> str:
    """Whom the call was with, for people."""
    outgoing = record.direction == call_pb2.CALL_DIRECTION_OUTGOING
    users = [invitee.user_id for invitee in record.invitees if invitee.user_id != record.owner_id]
    names = ", ".join(users if outgoing else [record.sponsor, *users])
    return f"{names} ({record.group_id})" if record.group_id else names


def ending(record: history_pb2.Record) -> str:
    """Why it ended and who did it, for people."""
    told = word(call_pb2.EndReason, record.end_reason, "END_REASON_")
    by = record.other_device_id or record.ended_by
    return f"{told} ({by})" if by else told
