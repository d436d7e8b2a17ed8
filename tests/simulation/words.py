"""How inputs, effects and events read in a transcript."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mediaagentd.call import types as t
from mediaagentd.errors import Refused


def brief(value: Any) -> str:
    """A dataclass on one line, without what is empty."""
    parts = (getattr(value, field.name) for field in fields(value))
    words = (_word(part) for part in parts if part not in (None, "", (), b""))
    return " ".join((type(value).__name__, *words))


def _word(value: object) -> str:
    match value:
        case t.HubCall():
            members = " ".join(f"{m.user_id}={m.state.name}" for m in value.members)
            end = f" over: {value.end_reason.name}" if value.end_reason else ""
            return f"{value.call_id}@{value.revision} {value.type.name} {members}{end}"
        case t.Call():
            end = f" {value.end_reason.name} by {value.ended_by or '-'}" if value.end_reason else ""
            return f"{value.hub.call_id} {value.phase.name}{end}"
        case t.CallType() | t.EndReason() | t.SessionPhase() | t.ErrorCode():
            return value.name
        case tuple():
            return "[" + ", ".join(_word(v) for v in value) + "]"
        case Refused():
            return value.reason.name
        case _ if hasattr(value, "__dataclass_fields__"):
            return brief(value)
        case _:
            return str(value)
