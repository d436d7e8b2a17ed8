"""Records of calls to messages of the contract, and filters back."""

from __future__ import annotations

from google.protobuf.timestamp_pb2 import Timestamp
from mediaagent.v1 import call_pb2
from mediaagent.v1 import history_pb2 as pb

from mediaagentd.api import words
from mediaagentd.api.clock import duration
from mediaagentd.api.convert import epoch
from mediaagentd.errors import field_invalid
from mediaagentd.history.types import Filter, Record

_DIRECTIONS = {
    call_pb2.CALL_DIRECTION_UNSPECIFIED: None,
    call_pb2.CALL_DIRECTION_OUTGOING: True,
    call_pb2.CALL_DIRECTION_INCOMING: False,
}


def record(value: Record) -> pb.Record:
    """A record."""
    outgoing = call_pb2.CALL_DIRECTION_OUTGOING
    return pb.Record(
        record_id=str(value.record_id),
        call_id=value.call_id,
        invite_id=value.invite_id,
        room_id=value.room_id,
        owner_id=value.owner_id,
        direction=outgoing if value.outgoing else call_pb2.CALL_DIRECTION_INCOMING,
        type=words.call_type(value.type),
        sponsor=value.sponsor,
        invitees=[
            call_pb2.Invitee(user_id=user_id, state=words.INVITEE_STATES[state])
            for user_id, state in value.invitees
        ],
        group_id=value.group_id,
        invite_time=epoch(value.invited),
        answer_time=epoch(value.answered) if value.answered is not None else None,
        end_time=epoch(value.ended) if value.ended is not None else None,
        duration=duration(value.duration),
        end_reason=words.end_reason(value.end_reason),
        ended_by=value.ended_by,
        is_missed=value.missed,
        other_device_id=value.other_device_id,
    )


def chosen(message: pb.RecordFilter) -> Filter:
    """A filter."""
    return Filter(
        user_id=message.user_id,
        owner_id=message.owner_id,
        outgoing=_DIRECTIONS[message.direction],
        type=words.call_type_from(message.type),
        missed=message.is_missed if message.HasField("is_missed") else None,
        since=_seconds(message.from_time, "from_time") if message.HasField("from_time") else None,
        until=_seconds(message.to_time, "to_time") if message.HasField("to_time") else None,
    )


def record_number(name: str) -> int:
    """The number in the name of a record, 0 for a name that none has."""
    return int(name) if name.isascii() and name.isdecimal() and len(name) < 19 else 0


def _seconds(stamp: Timestamp, field: str) -> float:
    try:
        stamp.ToJsonString()
    except ValueError:
        rule = "must be between the years 1 and 9999"
        raise field_invalid(f"filter.{field}", rule) from None
    return stamp.seconds + stamp.nanos / 1e9
