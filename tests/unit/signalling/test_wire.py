"""The words of contract, machine and hub are the same; values survive the wire."""

from __future__ import annotations

import enum
from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st
from mediaagent.hub.v1 import hub_pb2
from mediaagent.v1 import call_pb2, error_pb2
from mediaagentd.call import types as machine
from mediaagentd.call.signal import AnswerSdp, Candidate, IceServer, Offer, Signal
from mediaagentd.errors import Reason
from mediaagentd.hub import types as core
from mediaagentd.hub import wire as hub_wire
from mediaagentd.hub.outbox import Kicked, Parcel, Push
from mediaagentd.hub.settings import IceServer as HubIceServer
from mediaagentd.interceptors import check
from mediaagentd.signalling import wire

NOW = 1_700_000_000.25


def words(descriptor: EnumDescriptor, prefix: str) -> dict[str, int]:
    """Names without their prefix, without the zero."""
    return {value.name.removeprefix(prefix): value.number for value in descriptor.values if value.number}


def members(ours: type[enum.Enum]) -> dict[str, int]:
    return {member.name: member.value for member in ours}


@pytest.mark.parametrize(
    ("ours", "descriptor", "prefix"),
    [
        (machine.CallType, call_pb2.CallType.DESCRIPTOR, "CALL_TYPE_"),
        (machine.EndReason, call_pb2.EndReason.DESCRIPTOR, "END_REASON_"),
        (machine.MemberState, hub_pb2.MemberState.DESCRIPTOR, "MEMBER_STATE_"),
        (core.CallType, call_pb2.CallType.DESCRIPTOR, "CALL_TYPE_"),
        (core.MemberState, hub_pb2.MemberState.DESCRIPTOR, "MEMBER_STATE_"),
    ],
)
def test_the_words_are_the_contracts(ours: type[enum.Enum], descriptor: EnumDescriptor, prefix: str) -> None:
    assert members(ours) == words(descriptor, prefix)


def test_the_hub_gives_some_of_the_contracts_reasons() -> None:
    assert members(core.EndReason).items() <= members(machine.EndReason).items()


def test_the_reasons_are_the_contracts() -> None:
    contract = words(error_pb2.ErrorReason.DESCRIPTOR, "ERROR_REASON_")
    assert sorted(reason.name for reason in Reason) == sorted(contract)


_text = st.text(max_size=8)
_invitations = st.builds(
    core.Invitation, _text, _text, st.floats(0, 2e9), st.none() | st.floats(NOW - 9, NOW + 9)
)
_members = st.builds(
    core.Member, _text, st.sampled_from(core.MemberState), session=_text, device_id=_text,
    join_order=st.integers(0, 2**32 - 1), audio=st.booleans(), video=st.booleans(),
    invitation=st.none() | _invitations, left=st.none() | st.sampled_from(core.EndReason),
)  # fmt: skip
_calls = st.builds(
    core.Call, call_id=_text, invite_id=_text, room_id=st.integers(0, 2**32 - 1),
    type=st.sampled_from(core.CallType), members=st.lists(_members, min_size=1, max_size=4).map(tuple),
    group=st.booleans(), created=st.floats(0, 2e9), deadline=st.none() | st.floats(NOW - 9, NOW + 9),
    request_id=_text, group_id=_text, revision=st.integers(0, 2**64 - 1), joins=st.integers(0, 9),
    ended=st.booleans(), end_reason=st.none() | st.sampled_from(core.EndReason), ended_by=_text,
    user_data=st.binary(max_size=9),
)  # fmt: skip


@given(_calls)
def test_a_call_survives(call: core.Call) -> None:
    heard = wire.call(hub_wire.call(call, NOW))
    assert heard is not None
    for name in ("call_id", "invite_id", "room_id", "group_id", "revision", "ended", "ended_by", "sponsor"):
        assert getattr(heard, name) == getattr(call, name)
    assert heard.type.name == call.type.name
    assert (heard.is_group, heard.user_data) == (call.group, call.user_data)
    for told, member in zip(heard.members, call.members, strict=True):
        invitation = told.invitation
        assert (invitation and invitation.invite_id) == (member.invitation and member.invitation.invite_id)
        if invitation is not None and invitation.timeout is not None:
            assert 0 <= invitation.timeout <= 9
    assert (heard.end_reason and heard.end_reason.name) == (call.end_reason and call.end_reason.name)
    left = None if call.deadline is None else pytest.approx(max(0.0, call.deadline - NOW), abs=1e-6)
    assert heard.timeout == left
    for told, member in zip(heard.members, call.members, strict=True):
        assert told.state.name == member.state.name
        assert (told.left and told.left.name) == (member.left and member.left.name)
        for name in ("user_id", "device_id", "join_order", "audio", "video"):
            assert getattr(told, name) == getattr(member, name)


def test_a_newer_hubs_words_are_no_exception() -> None:
    known: dict[str, Any] = {"type": 1, "call_id": "c"}
    assert wire.call(hub_pb2.Call(**known)) is not None
    assert wire.call(hub_pb2.Call(call_id="c", type=77)) is None  # type: ignore[arg-type] # the point
    assert wire.call(hub_pb2.Call(**known, end_reason=77)) is None  # type: ignore[arg-type]
    assert wire.call(hub_pb2.Call(**known, members=[hub_pb2.Member(state=77)])) is None  # type: ignore[arg-type]
    gone = hub_pb2.Member(state=hub_pb2.MEMBER_STATE_LEFT, left_reason=77)  # type: ignore[arg-type]
    heard = wire.call(hub_pb2.Call(**known, members=[gone]))
    assert heard is not None
    assert heard.members[0].left is None
    assert wire.signal(hub_pb2.Signal()) is None
    welcome = hub_pb2.Welcome(calls=[hub_pb2.Call(type=77), hub_pb2.Call(**known)])  # type: ignore[arg-type]
    assert [call.call_id for call in wire.calls(welcome)] == ["c"]


@pytest.mark.parametrize(
    "body", [Offer("v=0"), AnswerSdp("v=0"), Candidate("candidate:1", "0"), Candidate("", ""), Offer("")]
)
def test_a_signal_survives(body: Offer | AnswerSdp | Candidate) -> None:
    request = wire.relay("c", "bob", Signal(7, body))
    check(request)
    assert request.to_user_id == "bob"
    parcel = Parcel(request.signal, request.signal.ByteSize())
    push = hub_wire.push(Push(5, core.PushSignal("t", "c", "ann", parcel), 0), NOW)
    assert (push.sequence, push.signal.call_id, push.signal.sender) == (5, "c", "ann")
    assert wire.signal(push.signal) == Signal(7, body)


def test_a_kick_and_an_ice_server_survive() -> None:
    assert hub_wire.push(Push(6, Kicked("hall"), 0), NOW).kicked_out.device_id == "hall"
    server = hub_wire.ice_server(HubIceServer(("turn:t",), "u", "p"))
    assert wire.ice_server(server) == IceServer(("turn:t",), "u", "p")


@pytest.mark.parametrize(
    ("command", "rpc"),
    [
        (machine.Invite(("bob",), machine.CallType.VIDEO, 30.5, "g", "r"), "Invite"),
        (machine.InviteMore("c", ("bob",), 30.5, "r"), "InviteMore"),
        (machine.InviteMore("c", ("bob",), None, "r"), "InviteMore"),
        (machine.JoinCall("c", ""), "JoinCall"),
        (machine.JoinCall("", "g"), "JoinCall"),
        (wire.AcknowledgeMissed(("i", "j")), "AcknowledgeMissed"),
        (machine.Accept("i"), "Accept"),
        (machine.Reject("i", True), "Reject"),
        (machine.Leave("c"), "Hangup"),
        (machine.SwitchCallType("c", machine.CallType.AUDIO), "SwitchCallType"),
        (machine.SetAvailability("c", True, False), "SetAvailability"),
    ],
)
def test_each_command_has_its_rpc(command: machine.HubCommand | wire.AcknowledgeMissed, rpc: str) -> None:
    name, request = wire.request(command)
    check(request)
    method = hub_pb2.DESCRIPTOR.services_by_name["HubService"].methods_by_name[name]
    assert name == rpc
    assert method.input_type is request.DESCRIPTOR


def test_a_lease_is_renewed_with_pauses() -> None:
    assert wire.lease(Duration(seconds=30)) == 30
    assert wire.lease(Duration()) == wire.lease(Duration(seconds=-5)) == wire.LEAST_LEASE


def test_no_limit_is_no_timeout() -> None:
    _, request = wire.request(machine.Invite(("bob",), machine.CallType.AUDIO, None, "", "r"))
    assert not request.HasField("timeout")


MISSED = core.Missed(
    "ann",
    "i1",
    "c1",
    "bob",
    core.CallType.AUDIO,
    False,
    "",
    NOW - 3600,
    NOW - 3570,
    core.EndReason.NO_RESPONSE,
)


def welcome(*missed: core.Missed) -> hub_pb2.Welcome:
    made = hub_pb2.Welcome(hub_time=hub_wire.timestamp(NOW))
    made.missed.extend(hub_wire._missed(one) for one in missed)
    return made


def test_what_came_while_busy_came_now() -> None:
    busy = replace(MISSED, created=NOW, ended=NOW, reason=core.EndReason.BUSY)
    (record,) = wire.missed_now(hub_wire._missed(busy), "ann", 7.0)
    assert (record.invited, record.ended, record.missed) == (7.0, 7.0, True)
    assert (record.end_reason, record.ended_by) == (machine.EndReason.BUSY, "")
    assert record.invitees == (("ann", machine.MemberState.BUSY),)
    assert wire.missed_now(hub_pb2.MissedCall(), "ann", 7.0) == ()


def test_missed_calls_come_in_the_time_of_this_device() -> None:
    """Its clock is a day behind the hub's: what was an hour ago is an hour ago."""
    now = NOW - 86_400.0
    taken_back = replace(MISSED, invite_id="i2", reason=core.EndReason.CANCELLED, group_id="team", group=True)
    ran_out, cancelled = wire.missed(welcome(MISSED, taken_back), "ann", now)
    assert (ran_out.invited, ran_out.ended) == (now - 3600, now - 3570)
    assert (ran_out.owner_id, ran_out.call_id, ran_out.invite_id, ran_out.sponsor) == (
        "ann",
        "c1",
        "i1",
        "bob",
    )
    assert (ran_out.end_reason, ran_out.ended_by) == (machine.EndReason.NO_RESPONSE, "")
    assert ran_out.invitees == (("ann", machine.MemberState.NO_RESPONSE),)
    assert ran_out.missed
    assert not ran_out.outgoing
    assert (cancelled.end_reason, cancelled.ended_by) == (machine.EndReason.CANCELLED, "bob")
    assert cancelled.group_id == "team"


def test_a_missed_call_in_a_newer_hubs_words_is_left_out() -> None:
    told = welcome(MISSED, MISSED)
    told.missed[0].type = 9  # type: ignore[assignment]
    assert len(wire.missed(told, "ann", NOW)) == 1
