"""Groups, group calls, several devices and missed calls as they go over the wire."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from mediaagent.hub.v1 import group_pb2, hub_pb2
from mediaagent.v1 import call_pb2
from mediaagentd.errors import Reason
from mediaagentd.hub.settings import HubSettings
from mediaagentd.hub.types import Policy

from tests.fakes.hub_phone import Phone, states
from tests.integration.hub.conftest import Bench, MakePhone


def create(group_id: str, *members: str, request: str = "r") -> group_pb2.CreateGroupRequest:
    return group_pb2.CreateGroupRequest(
        group_id=group_id, name="Flat 2", member_ids=members, request_id=request
    )


def invite(*user_ids: str, group_id: str = "", seconds: float = 30.0, **more: Any) -> hub_pb2.InviteRequest:
    return hub_pb2.InviteRequest(
        user_ids=user_ids, group_id=group_id, type=call_pb2.CALL_TYPE_VIDEO, request_id="one",
        timeout=Duration(nanos=int(seconds % 1 * 1e9), seconds=int(seconds)), **more,
    )  # fmt: skip


async def accept(phone: Phone) -> hub_pb2.Call:
    rings = await phone.ringing()
    answer = await phone.ask("Accept", hub_pb2.AcceptRequest(invite_id=phone.invite_id(rings)))
    assert isinstance(answer, hub_pb2.AcceptResponse)
    return answer.call


def hangup(call: hub_pb2.Call) -> hub_pb2.HangupRequest:
    return hub_pb2.HangupRequest(call_id=call.call_id)


async def over(phone: Phone, call: hub_pb2.Call) -> hub_pb2.Call:
    await phone.until(lambda: call.call_id in phone.calls and phone.calls[call.call_id].ended)
    return phone.calls[call.call_id]


# ------------------------------------------------------------------------------ groups


async def test_a_groups_life(hub: Bench, phone: MakePhone) -> None:
    ann, bob, cat = [await phone(user) for user in ("ann", "bob", "cat")]
    made = (await ann.ask("CreateGroup", create("flat", "bob"))).group
    assert (made.group_id, made.name, made.owner, made.member_count, made.revision) == (
        "flat",
        "Flat 2",
        "ann",
        2,
        1,
    )
    roles = [(m.user_id, group_pb2.GroupRole.Name(m.role)) for m in made.members]
    assert roles == [("ann", "GROUP_ROLE_OWNER"), ("bob", "GROUP_ROLE_MEMBER")]
    assert made.create_time.seconds > 0
    add = group_pb2.AddGroupMembersRequest(group_id="flat", user_ids=["cat"])
    grown = (await ann.ask("AddGroupMembers", add)).group
    assert [m.user_id for m in grown.members] == ["ann", "bob", "cat"]
    get = group_pb2.GetGroupRequest(group_id="flat")
    assert (await cat.ask("GetGroup", get)).group == grown
    await cat.ask(
        "RemoveGroupMembers", group_pb2.RemoveGroupMembersRequest(group_id="flat", user_ids=["cat"])
    )
    assert (await cat.refused("GetGroup", get)).reason is Reason.NOT_A_GROUP_MEMBER
    await ann.ask("CreateGroup", create("", request="another"))

    await hub.stop()
    await hub.start()
    page = await ann.insist("ListGroups", group_pb2.ListGroupsRequest(page_size=1))
    rest = await ann.ask("ListGroups", group_pb2.ListGroupsRequest(page_token=page.next_page_token))
    assert sorted([(g.name, g.member_count, len(g.members)) for g in (*page.groups, *rest.groups)]) == [
        ("Flat 2", 1, 0),
        ("Flat 2", 2, 0),
    ]
    assert rest.next_page_token == ""
    await ann.ask("DeleteGroup", group_pb2.DeleteGroupRequest(group_id="flat"))
    assert (await bob.insist("ListGroups", group_pb2.ListGroupsRequest())).groups == []


async def test_what_is_refused_says_why(hub: Bench, phone: MakePhone) -> None:
    ann, bob, cat = [await phone(user) for user in ("ann", "bob", "cat")]
    await ann.ask("CreateGroup", create("flat", "bob"))
    refusals: tuple[tuple[Phone, str, Message, Reason, dict[str, str]], ...] = (
        (bob, "CreateGroup", create("flat"), Reason.GROUP_EXISTS, {"group_id": "flat"}),
        (ann, "CreateGroup", create("x", "zoe", request="2"), Reason.USER_UNKNOWN, {"user_id": "zoe"}),
        (
            bob, "DeleteGroup", group_pb2.DeleteGroupRequest(group_id="flat"), Reason.GROUP_RIGHTS,
            {"group_id": "flat", "role": "member", "verb": "delete"},
        ),
        (
            cat, "Invite", invite(group_id="flat"), Reason.NOT_A_GROUP_MEMBER,
            {"group_id": "flat", "user_id": "cat"},
        ),
        (ann, "GetGroup", group_pb2.GetGroupRequest(group_id="x"), Reason.GROUP_UNKNOWN, {"group_id": "x"}),
        (
            ann, "CreateGroup", create("no blanks", request="3"), Reason.FIELD_INVALID,
            {"field": "group_id", "rule": "string.pattern"},
        ),
        (
            ann, "JoinCall", hub_pb2.JoinCallRequest(), Reason.FIELD_INVALID,
            {"field": "which", "rule": "required"},
        ),
    )  # fmt: skip
    for who, name, request, reason, metadata in refusals:
        refused = await who.refused(name, request)
        assert (refused.reason, dict(refused.metadata)) == (reason, metadata)


async def test_one_message_calls_a_group(hub: Bench, phone: MakePhone) -> None:
    """Five members, three may be in the call; one leaves, one joins by itself, the last one is told."""
    await hub.stop()
    await hub.start(members=3)
    users = ("ann", "bob", "cat", "dan", "eve")
    ann, bob, cat, dan, eve = [await phone(user) for user in users]
    await ann.ask("CreateGroup", create("flat", *users[1:]))
    call = (await ann.ask("Invite", invite(group_id="flat", user_data=b"door"))).call
    assert [m.user_id for m in call.members] == list(users)
    assert (call.is_group, call.group_id, call.user_data) == (True, "flat", b"door")
    await accept(bob)
    await accept(cat)
    full = await dan.refused("Accept", hub_pb2.AcceptRequest(invite_id=call.invite_id))
    assert (full.reason, dict(full.metadata)) == (Reason.CALL_FULL, {"limit": "members", "value": "3"})
    await eve.ask("Reject", hub_pb2.RejectRequest(invite_id=call.invite_id))
    again = await eve.refused("Invite", invite(group_id="flat"))
    assert (again.reason, again.metadata["call_id"]) == (Reason.GROUP_IN_CALL, call.call_id)
    await ann.ask("Hangup", hangup(call))
    joined = (await eve.ask("JoinCall", hub_pb2.JoinCallRequest(group_id="flat"))).call
    assert states(joined) == ["LEFT", "JOINED", "JOINED", "PENDING", "JOINED"]
    for phone_ in (bob, cat, eve):
        await phone_.ask("Hangup", hangup(call))
    end = await over(dan, call)
    assert states(end) == ["LEFT", "LEFT", "LEFT", "CANCELLED", "LEFT"]


async def test_more_people_come_into_a_running_call(hub: Bench, phone: MakePhone) -> None:
    ann, bob, cat = [await phone(user) for user in ("ann", "bob", "cat")]
    call = (await ann.ask("Invite", invite("bob"))).call
    await accept(bob)
    request = hub_pb2.InviteMoreRequest(
        call_id=call.call_id, user_ids=["cat"], timeout=Duration(seconds=20), request_id="more"
    )
    grown = (await bob.ask("InviteMore", request)).call
    assert (states(grown), grown.is_group) == (["JOINED", "JOINED", "PENDING"], True)
    rings = await cat.ringing()
    invitation = rings.members[2].invitation
    assert (invitation.sponsor, invitation.invite_id == call.invite_id) == ("bob", False)
    assert 0 < invitation.timeout.ToNanoseconds() <= 20e9
    assert states(await accept(cat)) == ["JOINED", "JOINED", "JOINED"]
    assert (await bob.ask("InviteMore", request)).call.members[2].state == hub_pb2.MEMBER_STATE_JOINED


# ------------------------------------------------------------------------------ several devices


@pytest.fixture
async def multi(hub: Bench) -> Bench:
    await hub.stop()
    await hub.start(policy=Policy.MULTI)
    return hub


async def test_all_devices_ring_one_answers(multi: Bench, phone: MakePhone) -> None:
    ann, desk, hall = await phone("ann"), await phone("bob", "desk"), await phone("bob", "hall")
    assert desk.policy == hub_pb2.LOGIN_POLICY_MULTI
    call = (await ann.ask("Invite", invite("bob"))).call
    await desk.ringing()
    answered = await accept(hall)
    assert answered.members[1].device_id == "hall"
    await desk.until(lambda: desk.rings() is None)
    assert desk.calls[call.call_id].members[1].device_id == "hall"
    late = await desk.refused("Accept", hub_pb2.AcceptRequest(invite_id=call.invite_id))
    assert (late.reason, late.metadata["device_id"]) == (Reason.INVITE_UNKNOWN, "hall")
    signal = hub_pb2.Signal(call_id=call.call_id, attempt=2, candidate=hub_pb2.Candidate(mid="0"))
    relay = hub_pb2.RelayRequest(to_user_id="bob", signal=signal)
    await ann.ask("Relay", relay)
    await hall.until(lambda: hall.signals)
    elsewhere = hub_pb2.RelayRequest(to_user_id="ann", signal=signal)
    assert (await desk.refused("Relay", elsewhere)).reason is Reason.CALL_UNKNOWN
    await desk.ask("Hangup", hangup(call))
    assert not ann.calls[call.call_id].ended, "it is not desk's call"
    await hall.ask("Hangup", hangup(call))
    await over(desk, call)
    assert desk.signals == []


async def test_devices_over_a_restart(multi: Bench, phone: MakePhone) -> None:
    """Both come back by themselves with the sessions that they had, and the call is where it was."""
    ann, desk, hall = await phone("ann"), await phone("bob", "desk"), await phone("bob", "hall")
    call = (await ann.ask("Invite", invite("bob"))).call
    await desk.ringing()
    await accept(hall)
    before = desk.welcomes + hall.welcomes
    await multi.stop()
    await multi.start()
    await desk.until(lambda: desk.welcomes > 1)
    await hall.until(lambda: desk.welcomes + hall.welcomes >= before + 2)
    assert states(hall.calls[call.call_id]) == ["JOINED", "JOINED"]
    await hall.insist("Hangup", hangup(call))
    assert (await over(desk, call)).ended_by == "bob"


async def test_the_same_device_replaces_itself(multi: Bench, phone: MakePhone) -> None:
    old, other = await phone("bob", "desk"), await phone("bob", "hall")
    await phone("bob", "desk")
    await old.until(lambda: old.kicked_by)
    assert (old.kicked_by, other.kicked_by) == ("desk", "")


# ------------------------------------------------------------------------------ missed


async def test_missed_until_acknowledged_over_restarts(
    hub: Bench, phone: MakePhone, settings: HubSettings
) -> None:
    ann, bob = await phone("ann"), await phone("bob")
    await bob.logout()
    first = (await ann.ask("Invite", invite("bob", user_data=b"door"))).call
    await ann.ask("Hangup", hangup(first))
    again = invite("bob", seconds=0.2)
    again.request_id = "two"
    second = (await ann.ask("Invite", again)).call
    await over(ann, second)
    for _ in range(2):
        await hub.stop()
        await hub.start()
        bob.missed.clear()
        await bob.login()
        told = [
            (m.call_id, m.sponsor, m.user_data, call_pb2.EndReason.Name(m.reason))
            for m in bob.missed.values()
        ]
        assert told == [
            (first.call_id, "ann", b"door", "END_REASON_CANCELLED"),
            (second.call_id, "ann", b"", "END_REASON_NO_RESPONSE"),
        ]
        assert bob.rang == {}
        await bob.logout()
    await bob.login()
    await bob.acknowledge()
    await bob.logout()
    bob.missed.clear()
    await bob.login()
    assert bob.missed == {}


async def test_every_device_of_a_user_learns_of_a_missed_call(multi: Bench, phone: MakePhone) -> None:
    ann, hall, desk = await phone("ann"), await phone("bob", "hall"), await phone("bob", "desk")
    await hall.logout()
    call = (await ann.ask("Invite", invite("bob"))).call
    await desk.ringing()
    await ann.ask("Hangup", hangup(call))
    await multi.stop()
    await multi.start()
    await desk.until(lambda: desk.missed)
    await desk.acknowledge()
    await hall.login()
    assert list(hall.missed) == [call.invite_id]
    await hall.acknowledge()
    for device in (hall, desk):
        await device.logout()
        device.missed.clear()
        await device.login()
        assert device.missed == {}
    assert (hall.wrong, desk.wrong) == ([], [])


async def test_who_comes_in_time_rings_for_the_time_that_is_left(hub: Bench, phone: MakePhone) -> None:
    ann, bob = await phone("ann"), await phone("bob")
    await bob.logout()
    call = (await ann.ask("Invite", invite("bob", seconds=30))).call
    await hub.stop()
    await hub.start()
    await bob.login()
    rings = await bob.ringing()
    assert rings.call_id == call.call_id
    assert 0 < rings.timeout.ToNanoseconds() < 30e9
    await accept(bob)
    assert bob.missed == {}
