"""Between the stubs of `mediaagent.hub.v1` and the values of the call machine. Pure but for the stubs."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from mediaagent.hub.v1 import hub_pb2
from mediaagent.v1 import call_pb2

from mediaagentd.call.signal import AnswerSdp, Candidate, IceServer, Offer, Rebuild, Signal
from mediaagentd.call.types import (
    Accept,
    CallType,
    EndReason,
    HubCall,
    HubCommand,
    Invitation,
    Invite,
    InviteMore,
    JoinCall,
    Leave,
    Member,
    MemberState,
    Reject,
    SetAvailability,
    SwitchCallType,
)
from mediaagentd.history.types import Record

LEAST_LEASE = 1.0
"""Seconds; a third of the lease passes from one renewal to the next."""


def lease(value: Duration) -> float:
    """Seconds of a session's lease: a hub that says none would be asked for it without a pause."""
    return max(LEAST_LEASE, seconds(value))


def seconds(value: Duration) -> float:
    """Of a duration."""
    return value.ToNanoseconds() / 1e9


def call(message: hub_pb2.Call) -> HubCall | None:
    """The call; None when it has a word in it that this agent does not know (a newer hub's)."""
    try:
        return HubCall(
            call_id=message.call_id,
            invite_id=message.invite_id,
            room_id=message.room_id,
            type=CallType(message.type),
            sponsor=message.sponsor,
            members=tuple(_member(member) for member in message.members),
            revision=message.revision,
            group_id=message.group_id,
            timeout=seconds(message.timeout) if message.HasField("timeout") else None,
            ended=message.ended,
            end_reason=EndReason(message.end_reason) if message.end_reason else None,
            ended_by=message.ended_by,
            is_group=message.is_group,
            user_data=message.user_data,
        )
    except ValueError:
        return None


def calls(message: hub_pb2.Welcome) -> tuple[HubCall, ...]:
    """Those of a welcome that this agent understands."""
    return tuple(known for known in map(call, message.calls) if known is not None)


def call_of(response: Message) -> HubCall | None:
    """The call that a reply carries, if it carries one."""
    carries = "call" in response.DESCRIPTOR.fields_by_name and response.HasField("call")
    return call(response.call) if carries else None  # type: ignore[attr-defined] # it has the field


def missed(welcome: hub_pb2.Welcome, owner_id: str, now: float) -> tuple[Record, ...]:
    """The missed calls of a welcome as records of that user, in the time of this device's clock, which
    reads `now` (seconds since the epoch) and need not agree with the hub's. Those with a word in them that
    this agent does not know are left out.
    """
    offset = now - _moment(welcome.hub_time)
    found = []
    for message in welcome.missed:
        with suppress(ValueError):
            found.append(_missed(message, owner_id, offset))
    return tuple(found)


def missed_now(message: hub_pb2.MissedCall, owner_id: str, now: float) -> tuple[Record, ...]:
    """A call that came while the user was busy, which is told at once; or none, as above."""
    with suppress(ValueError):
        return (_missed(message, owner_id, now - _moment(message.end_time)),)
    return ()


_OUTCOMES = {
    EndReason.NO_RESPONSE: MemberState.NO_RESPONSE,
    EndReason.CANCELLED: MemberState.CANCELLED,
    EndReason.BUSY: MemberState.BUSY,
}


def _missed(message: hub_pb2.MissedCall, owner_id: str, offset: float) -> Record:
    reason = EndReason(message.reason)
    return Record(
        owner_id=owner_id,
        call_id=message.call_id,
        invite_id=message.invite_id,
        room_id=0,
        outgoing=False,
        type=CallType(message.type),
        sponsor=message.sponsor,
        invitees=((owner_id, _OUTCOMES.get(reason, MemberState.CANCELLED)),),
        invited=_moment(message.invite_time) + offset,
        ended=_moment(message.end_time) + offset,
        end_reason=reason,
        ended_by=message.sponsor if reason is EndReason.CANCELLED else "",
        group_id=message.group_id,
        missed=True,
    )


def _moment(stamp: Timestamp) -> float:
    return stamp.ToMicroseconds() / 1e6


def signal(message: hub_pb2.Signal) -> Signal | None:
    """The signal; None when it is of a kind that this agent does not know."""
    body: Offer | AnswerSdp | Candidate | Rebuild
    match message.WhichOneof("body"):
        case "offer":
            body = Offer(message.offer)
        case "answer":
            body = AnswerSdp(message.answer)
        case "candidate":
            body = Candidate(message.candidate.candidate, message.candidate.mid)
        case "rebuild":
            body = Rebuild()
        case _:
            return None
    return Signal(message.attempt, body, message.generation)


def ice_server(message: hub_pb2.IceServer) -> IceServer:
    """As it is."""
    return IceServer(tuple(message.urls), message.username, message.credential)


def relay(call_id: str, user_id: str, value: Signal) -> hub_pb2.RelayRequest:
    """The request that hands a signal to `user_id`."""
    message = hub_pb2.Signal(call_id=call_id, attempt=value.attempt, generation=value.generation)
    match value.body:
        case Offer(sdp):
            message.offer = sdp
        case AnswerSdp(sdp):
            message.answer = sdp
        case Candidate(line, mid):
            message.candidate.candidate, message.candidate.mid = line, mid
            message.candidate.SetInParent()
        case Rebuild():
            message.rebuild.SetInParent()
    return hub_pb2.RelayRequest(to_user_id=user_id, signal=message)


@dataclass(frozen=True, slots=True)
class AcknowledgeMissed:
    """HubService.AcknowledgeMissed: no command of the call machine, but on the same way."""

    invite_ids: tuple[str, ...]


def request(command: HubCommand | AcknowledgeMissed) -> tuple[str, Message]:
    """The RPC's name and its request."""
    match command:
        case AcknowledgeMissed(invite_ids):
            return "AcknowledgeMissed", hub_pb2.AcknowledgeMissedRequest(invite_ids=invite_ids)
        case Invite():
            return "Invite", _invite(command)
        case InviteMore():
            return "InviteMore", _invite_more(command)
        case JoinCall(call_id, group_id) if call_id:
            return "JoinCall", hub_pb2.JoinCallRequest(call_id=call_id)
        case JoinCall(_, group_id):
            return "JoinCall", hub_pb2.JoinCallRequest(group_id=group_id)
        case Accept(invite_id):
            return "Accept", hub_pb2.AcceptRequest(invite_id=invite_id)
        case Reject(invite_id, is_busy):
            return "Reject", hub_pb2.RejectRequest(invite_id=invite_id, is_busy=is_busy)
        case Leave(call_id, reason):
            why = call_pb2.EndReason.ValueType(reason.value)
            return "Hangup", hub_pb2.HangupRequest(call_id=call_id, reason=why)
        case SwitchCallType(call_id, type_):
            wanted = call_pb2.CallType.ValueType(type_.value)
            return "SwitchCallType", hub_pb2.SwitchCallTypeRequest(call_id=call_id, type=wanted)
        case SetAvailability(call_id, audio, video):
            return "SetAvailability", hub_pb2.SetAvailabilityRequest(
                call_id=call_id, is_audio_available=audio, is_video_available=video
            )


def _invite(command: Invite) -> hub_pb2.InviteRequest:
    message = hub_pb2.InviteRequest(
        user_ids=command.user_ids,
        type=call_pb2.CallType.ValueType(command.type.value),
        group_id=command.group_id,
        request_id=command.request_id,
        user_data=command.user_data,
    )
    if command.timeout:
        message.timeout.FromNanoseconds(round(command.timeout * 1e9))
    return message


def _invite_more(command: InviteMore) -> hub_pb2.InviteMoreRequest:
    message = hub_pb2.InviteMoreRequest(
        call_id=command.call_id, user_ids=command.user_ids, request_id=command.request_id
    )
    if command.timeout:
        message.timeout.FromNanoseconds(round(command.timeout * 1e9))
    return message


def _member(message: hub_pb2.Member) -> Member:
    return Member(
        user_id=message.user_id,
        state=MemberState(message.state),
        device_id=message.device_id,
        join_order=message.join_order,
        audio=message.is_audio_available,
        video=message.is_video_available,
        invitation=_invitation(message.invitation) if message.HasField("invitation") else None,
        left=_left(message),
    )


_REASONS = {reason.value: reason for reason in EndReason}


def _left(message: hub_pb2.Member) -> EndReason | None:
    """A word that this agent does not know is no reason to know nothing of the call."""
    return _REASONS.get(message.left_reason)


def _invitation(message: hub_pb2.Invitation) -> Invitation:
    timeout = seconds(message.timeout) if message.HasField("timeout") else None
    return Invitation(message.invite_id, message.sponsor, timeout)
