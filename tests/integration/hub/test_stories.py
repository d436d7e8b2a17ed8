"""Calls between real clients through a real hub."""

from __future__ import annotations

import asyncio

import pytest
from mediaagentd.call.signal import AnswerSdp, Candidate, Offer, Signal
from mediaagentd.call.types import (
    Accept,
    CallType,
    EndReason,
    HubCall,
    Invite,
    Leave,
    MemberState,
    Reject,
    SetAvailability,
    SwitchCallType,
)
from mediaagentd.errors import Reason

from tests.fakes.hub_ears import Device
from tests.integration.hub.conftest import Bench, MakeDevice

OFFER = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 96\r\n"
LINE = "candidate:1 1 udp 1 192.0.2.1 1000 typ host"


async def connected(device: MakeDevice) -> tuple[Device, Device, HubCall]:
    ann, bob = await device("ann"), await device("bob")
    call = await ann.invite("bob")
    await bob.ears.call(lambda it: it.call_id == call.call_id)
    joined = await bob.do(Accept(call.invite_id))
    assert joined is not None
    await ann.ears.call(lambda it: it.revision == joined.revision)
    return ann, bob, joined


async def test_invite_accept_hang_up(hub: Bench, device: MakeDevice) -> None:
    ann, bob = await device("ann"), await device("bob")
    dialled = await ann.invite("bob", timeout=20.0)
    assert dialled.sponsor == "ann"
    assert [(m.user_id, m.state, m.join_order) for m in dialled.members] == [
        ("ann", MemberState.JOINED, 1),
        ("bob", MemberState.PENDING, 0),
    ]
    assert 0 < dialled.room_id < 2**31
    assert dialled.timeout is not None
    assert 19 < dialled.timeout <= 20
    rang = await bob.ears.call(lambda it: it.call_id == dialled.call_id)
    assert rang.invite_id == dialled.invite_id
    accepted = await bob.do(Accept(rang.invite_id))
    assert accepted is not None
    heard = await ann.ears.call(lambda it: it.revision == 2)
    assert [m.join_order for m in heard.members] == [1, 2]
    assert [m.device_id for m in heard.members] == ["device-of-ann", "device-of-bob"]
    over = await ann.do(Leave(dialled.call_id))
    assert over is not None
    assert (over.ended, over.end_reason, over.ended_by) == (True, EndReason.HANGUP, "ann")
    told = await bob.ears.call(lambda it: it.ended)
    assert (told.end_reason, told.ended_by) == (EndReason.HANGUP, "ann")
    again = await ann.do(Leave(dialled.call_id))
    assert again is not None
    assert again.revision == over.revision


async def test_nobody_answers_in_time(hub: Bench, device: MakeDevice) -> None:
    ann, bob = await device("ann"), await device("bob")
    await ann.invite("bob", timeout=0.3)
    for one in (ann, bob):
        over = await one.ears.call(lambda it: it.ended)
        assert over.end_reason is EndReason.NO_RESPONSE
        bobs = over.member("bob")
        assert bobs is not None
        assert bobs.state is MemberState.NO_RESPONSE


async def test_it_rings_on_when_the_invitee_comes_late(hub: Bench, device: MakeDevice) -> None:
    bob = await device("bob")
    await bob.client.logout()
    ann = await device("ann")
    call = await ann.invite("bob", timeout=None)
    assert call.timeout is None
    await bob.login()
    await bob.ears.call(lambda it: it.call_id == call.call_id)
    await bob.do(Accept(call.invite_id))


async def test_the_inviter_cancels(hub: Bench, device: MakeDevice) -> None:
    ann, bob = await device("ann"), await device("bob")
    call = await ann.invite("bob")
    await bob.ears.call(lambda it: not it.ended)
    ann.client.perform(0, Leave(call.call_id))
    over = await bob.ears.call(lambda it: it.ended)
    assert over.end_reason is EndReason.CANCELLED
    assert (await bob.refused(Accept(call.invite_id))).reason is Reason.INVITE_UNKNOWN


@pytest.mark.parametrize(("is_busy", "reason"), [(False, EndReason.REJECTED), (True, EndReason.BUSY)])
async def test_the_invitee_declines(hub: Bench, device: MakeDevice, is_busy: bool, reason: EndReason) -> None:
    ann, bob = await device("ann"), await device("bob")
    call = await ann.invite("bob")
    await bob.do(Reject(call.invite_id, is_busy))
    over = await ann.ears.call(lambda it: it.ended)
    assert (over.end_reason, over.ended_by) == (reason, "bob")


async def test_who_is_in_a_call_is_busy(hub: Bench, device: MakeDevice) -> None:
    ann, bob, _ = await connected(device)
    eve = await device("eve")
    call = await eve.invite("bob")
    assert (call.ended, call.end_reason) == (True, EndReason.BUSY)
    refused = await ann.refused(Invite(("eve",), CallType.AUDIO, None, "", "r"))
    assert refused.reason is Reason.CALL_IN_PROGRESS
    assert all(it.sponsor == "ann" for it in bob.ears.calls.values())


async def test_what_cannot_be_invited(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann")
    for user_ids, group, reason in (
        (("nobody",), "", Reason.USER_UNKNOWN),
        (("ann",), "", Reason.INVITEES_INVALID),
        (("no body",), "", Reason.USER_ID_INVALID),
        ((), "", Reason.INVITEES_INVALID),
        (("nobody",), "g", Reason.GROUP_UNKNOWN),
    ):
        refused = await ann.refused(Invite(user_ids, CallType.AUDIO, None, group, "r"))
        assert refused.reason is reason
    assert (await ann.refused(Accept("none"))).reason is Reason.INVITE_UNKNOWN
    assert (await ann.refused(Reject("none", False))).reason is Reason.INVITE_UNKNOWN
    assert (await ann.refused(Leave("none"))).reason is Reason.CALL_UNKNOWN


async def test_one_request_makes_one_call(hub: Bench, device: MakeDevice) -> None:
    ann, _ = await device("ann"), await device("bob")
    first = await ann.invite("bob", request_id="r")
    second = await ann.invite("bob", request_id="r")
    assert second.call_id == first.call_id


async def test_availability_and_switching(hub: Bench, device: MakeDevice) -> None:
    ann, bob, call = await connected(device)
    bob.client.perform(0, SetAvailability(call.call_id, True, True))
    heard = await ann.ears.call(lambda it: any(m.video for m in it.members))
    assert [(m.audio, m.video) for m in heard.members] == [(False, False), (True, True)]
    await ann.do(SwitchCallType(call.call_id, CallType.AUDIO))
    assert (await bob.ears.call(lambda it: it.type is CallType.AUDIO)).call_id == call.call_id
    await bob.do(Leave(call.call_id))
    refused = await ann.refused(SwitchCallType(call.call_id, CallType.VIDEO))
    assert refused.reason is Reason.CALL_UNKNOWN


async def test_signals_come_in_order_and_say_who_sent_them(hub: Bench, device: MakeDevice) -> None:
    ann, bob, call = await connected(device)
    sent = [Signal(2, Offer(OFFER)), *(Signal(2, Candidate(f"{LINE} {n}", "0")) for n in range(20)),
            Signal(2, Candidate("", "0"))]  # fmt: skip
    for signal in sent:
        bob.client.send_signal(call.call_id, "ann", signal)
    await ann.ears.until(lambda it: it == (call.call_id, "bob", sent[-1]))
    assert [it for it in ann.ears.heard if isinstance(it, tuple)] == [
        (call.call_id, "bob", signal) for signal in sent
    ]
    answer = Signal(2, AnswerSdp(OFFER))
    ann.client.send_signal(call.call_id, "bob", answer)
    await bob.ears.until(lambda it: it == (call.call_id, "ann", answer))


async def test_signals_reach_members_only(hub: Bench, device: MakeDevice) -> None:
    ann, bob, call = await connected(device)
    eve = await device("eve")
    good = Signal(2, Offer(OFFER))
    eve.client.send_signal(call.call_id, "bob", good)
    ann.client.send_signal(call.call_id, "eve", good)
    ann.client.send_signal(call.call_id, "bob", Signal(2, Offer("no sdp")))
    ann.client.send_signal(call.call_id, "bob", Signal(2, Offer(OFFER + "m=audio 9 x 0\r\n" * 8)))
    ann.client.send_signal(call.call_id, "bob", Signal(2, Candidate("candidate:" + "x" * 1024, "0")))
    ann.client.send_signal(call.call_id, "bob", Signal(2, Offer(OFFER + "a=" + "x" * 65536)))
    last = Signal(2, Candidate("", "1"))
    ann.client.send_signal(call.call_id, "bob", last)
    await bob.ears.until(lambda it: it == (call.call_id, "ann", last))
    assert [it for it in bob.ears.heard if isinstance(it, tuple)] == [(call.call_id, "ann", last)]
    assert not [it for it in eve.ears.heard if isinstance(it, tuple)]


async def test_candidates_are_counted(hub: Bench, device: MakeDevice) -> None:
    ann, bob, call = await connected(device)
    for n in range(100):
        ann.client.send_signal(call.call_id, "bob", Signal(2, Candidate(f"{LINE} {n}", "0")))
    other = Signal(3, Candidate(LINE, "0"))
    ann.client.send_signal(call.call_id, "bob", other)
    await bob.ears.until(lambda it: it == (call.call_id, "ann", other))
    assert sum(isinstance(it, tuple) for it in bob.ears.heard) == 64 + 1 + 1


async def test_accept_against_cancel_has_one_outcome(hub: Bench, device: MakeDevice) -> None:
    ann, bob = await device("ann"), await device("bob")
    for _ in range(20):
        call = await ann.invite("bob")
        bob.client.perform(1000, Accept(call.invite_id))
        ann.client.perform(0, Leave(call.call_id))
        a, b = await asyncio.gather(
            ann.ears.call(lambda it, c=call: it.ended and it.call_id == c.call_id),  # type: ignore[misc]
            bob.ears.call(lambda it, c=call: it.ended and it.call_id == c.call_id),  # type: ignore[misc]
        )
        assert (a.end_reason, a.revision) == (b.end_reason, b.revision)
