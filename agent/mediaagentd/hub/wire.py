"""Between the stubs of `mediaagent.hub.v1` and the values of the hub's core."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from mediaagent.hub.v1 import hub_pb2
from mediaagent.v1 import call_pb2

from mediaagentd.hub.outbox import Kicked, Parcel, Push
from mediaagentd.hub.settings import IceServer
from mediaagentd.hub.shell import Opened
from mediaagentd.hub.types import Call, Invitation, Member, Missed, PushCall, PushMissed, PushSignal


def duration(seconds: float) -> Duration:
    """To the nanosecond."""
    made = Duration()
    made.FromNanoseconds(round(seconds * 1e9))
    return made


def seconds(value: Duration) -> float | None:
    """Of a duration; None for zero, which the contract takes for no limit."""
    return value.ToNanoseconds() / 1e9 or None


def timestamp(seconds: float) -> Timestamp:
    """Of Unix seconds."""
    made = Timestamp()
    made.FromNanoseconds(round(seconds * 1e9))
    return made


def call(value: Call, now: float) -> hub_pb2.Call:
    """The call with the time that is left to answer at `now`, not below zero."""
    message = hub_pb2.Call(
        call_id=value.call_id,
        invite_id=value.invite_id,
        room_id=value.room_id,
        type=call_pb2.CallType.ValueType(value.type.value),
        sponsor=value.sponsor,
        members=[_member(member, now) for member in value.members],
        group_id=value.group_id,
        revision=value.revision,
        invite_time=timestamp(value.created),
        ended=value.ended,
        ended_by=value.ended_by,
        is_group=value.group,
        user_data=value.user_data,
    )
    if value.end_reason is not None:
        message.end_reason = call_pb2.EndReason.ValueType(value.end_reason.value)
    if value.deadline is not None:
        message.timeout.CopyFrom(duration(max(0.0, value.deadline - now)))
    return message


def push(value: Push, now: float) -> hub_pb2.SubscribeResponse:
    """One message of the stream; the sender of a signal is stamped here."""
    message = hub_pb2.SubscribeResponse(sequence=value.sequence)
    match value.body:
        case PushCall(_, changed):
            message.call_changed.CopyFrom(call(changed, now))
        case PushSignal(_, call_id, sender, Parcel(hub_pb2.Signal() as signal)):
            message.signal.CopyFrom(signal)
            message.signal.call_id, message.signal.sender = call_id, sender
        case PushMissed(_, missed):
            message.missed_call.CopyFrom(_missed(missed))
        case Kicked(device_id):
            message.kicked_out.device_id = device_id
        case _:
            raise AssertionError("only signals of ours are relayed")
    return message


def ice_server(value: IceServer) -> hub_pb2.IceServer:
    """As it is."""
    return hub_pb2.IceServer(urls=value.urls, username=value.username, credential=value.credential)


def welcome(servers: Iterable[IceServer], opened: Opened, now: float) -> hub_pb2.SubscribeResponse:
    """The first message of a stream."""
    return hub_pb2.SubscribeResponse(
        welcome=hub_pb2.Welcome(
            ice_servers=[ice_server(server) for server in servers],
            calls=[call(value, now) for value in opened.calls],
            resumed=opened.reader.resumed,
            hub_time=timestamp(now),
            missed=[_missed(value) for value in opened.missed],
        )
    )


def _missed(value: Missed) -> hub_pb2.MissedCall:
    return hub_pb2.MissedCall(
        call_id=value.call_id,
        invite_id=value.invite_id,
        sponsor=value.sponsor,
        type=call_pb2.CallType.ValueType(value.type.value),
        group_id=value.group_id,
        invite_time=timestamp(value.created),
        end_time=timestamp(value.ended),
        reason=call_pb2.EndReason.ValueType(value.reason.value),
        user_data=value.user_data,
        is_group=value.group,
    )


def _member(value: Member, now: float) -> hub_pb2.Member:
    message = hub_pb2.Member(
        user_id=value.user_id,
        device_id=value.device_id,
        state=hub_pb2.MemberState.ValueType(value.state.value),
        join_order=value.join_order,
        is_audio_available=value.audio,
        is_video_available=value.video,
    )
    if value.invitation is not None:
        message.invitation.CopyFrom(_invitation(value.invitation, now))
    if value.left is not None:
        message.left_reason = call_pb2.EndReason.ValueType(value.left.value)
    return message


def _invitation(value: Invitation, now: float) -> hub_pb2.Invitation:
    message = hub_pb2.Invitation(
        invite_id=value.invite_id, sponsor=value.sponsor, invite_time=timestamp(value.created)
    )
    if value.deadline is not None:
        message.timeout.CopyFrom(duration(max(0.0, value.deadline - now)))
    return message
