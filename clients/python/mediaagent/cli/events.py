"""events: a live table for people, lines where nobody looks, JSON for programs."""

from __future__ import annotations

import contextlib
import datetime
from collections import deque
from typing import Annotated, Any

from cyclopts import Parameter
from google.protobuf.message import Message
from rich.live import Live
from rich.table import Table

from mediaagent.cli.app import DONE, Common, Count, app, connected
from mediaagent.cli.calls import describe
from mediaagent.cli.history import ending, others
from mediaagent.cli.output import plain, while_read, word
from mediaagent.subscription import Subscription
from mediaagent.v1 import call_pb2, event_pb2, history_pb2, session_pb2
from mediaagent.words import Event

ROWS = 25
"""Events that the live table shows."""


@app.command
async def events(
    *types: Annotated[Event, Parameter(name="TYPE", help="Kinds to show; all without one.")],
    cursor: Annotated[str, Parameter(help="Resume after this cursor.")] = "",
    count: Annotated[Count, Parameter(help="Stop after so many events; 0 for never.")] = 0,
    common: Common | None = None,
) -> int:
    """Shows what happens, until interrupted."""
    async with connected(common) as (agent, out), agent.events(types, cursor) as stream, while_read():
        with contextlib.ExitStack() as stack:
            rows: deque[tuple[str, str, str]] = deque(maxlen=ROWS)
            live = stack.enter_context(Live(console=out.console)) if out.is_live else None
            seen = 0
            async for message in stream:
                row = _row(message)
                rows.append(row)
                if live is not None:
                    live.update(_table(rows, stream))
                else:
                    kind = "snapshot" if isinstance(message, event_pb2.Snapshot) else "event"
                    out.result({kind: plain(message)}, "  ".join(row))
                seen += isinstance(message, event_pb2.Event)
                if count and seen >= count:
                    break
    return DONE


def _table(rows: deque[tuple[str, str, str]], stream: Subscription) -> Table:
    """The last events, and how the connection does."""
    table = Table(caption=f"{stream.connection.value}, Ctrl-C ends", expand=True)
    for name, width in (("time", 12), ("event", 20), ("what", None)):
        table.add_column(name, width=width)
    for row in rows:
        table.add_row(*row)
    return table


def _row(message: event_pb2.Snapshot | event_pb2.Event) -> tuple[str, str, str]:
    """Time, kind and content of a message."""
    if isinstance(message, event_pb2.Snapshot):
        session = message.session
        text = f"{session.user_id or 'nobody'}: "
        text += word(session_pb2.SessionState, session.state, "SESSION_STATE_")
        text += f"; {describe(message.call)}" if message.HasField("call") else "; no call"
        return ("-" * 12, "snapshot", text)
    kind = Event.kind(message)
    when = message.event_time.ToDatetime(datetime.UTC).astimezone().strftime("%H:%M:%S.%f")[:-3]
    body = getattr(message, kind.field) if kind is not None else message
    return (when, kind.name if kind is not None else str(message.type), _text(body))


def _text(body: Message) -> str:
    """The content of an event in one line: its own fields, then the call."""
    told = ("call", "record")
    parts = [f"{field.name}={_value(value)}" for field, value in body.ListFields() if field.name not in told]
    record = getattr(body, "record", None)
    if isinstance(record, history_pb2.Record) and record.record_id:
        parts.append(f"record {record.record_id}: {others(record)}: {ending(record)}")
    call = getattr(body, "call", None)
    if isinstance(call, call_pb2.Call):
        parts.append(describe(call))
    return "; ".join(parts)


def _value(value: Any) -> str:
    """A field for people; nested messages stay short."""
    if isinstance(value, Message):
        return "{" + ", ".join(f"{field.name}: {_value(inner)}" for field, inner in value.ListFields()) + "}"
    if isinstance(value, (str, bytes, int, float, bool)):
        return str(value)
    return ", ".join(str(item) for item in value)
