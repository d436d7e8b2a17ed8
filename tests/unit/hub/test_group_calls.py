"""Group calls: through a group, growing while they run, entered without being asked, and full."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import (
    Accept,
    EndReason,
    Hangup,
    JoinCall,
    Member,
    Reject,
    SwitchCallType,
    Tick,
)

from tests.unit.hub.town import EVERYONE, LIMITS, Hub, S, end, more, refused, state, states

# ------------------------------------------------------------------------------ through a group


def test_one_message_rings_the_whole_group() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat", "dan", "eve")
    call = hub.invite("bob", group_id="g")
    assert [m.user_id for m in call.members] == ["bob", "ann", "cat", "dan", "eve"]
    assert call.group
    assert call.group_id == "g"
    assert hub.told() == {f"{u}/d1" for u in ("bob", "ann", "cat", "dan", "eve")}


def test_or_some_of_it() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat")
    call = hub.invite("ann", "cat", group_id="g")
    assert [m.user_id for m in call.members] == ["ann", "cat"]
    with pytest.raises(Refused) as strange:
        hub.invite("bob", "dan", group_id="g")
    assert strange.value.reason is Reason.GROUP_IN_CALL
    hub.do(Hangup("ann/d1", "c1"))
    with pytest.raises(Refused) as strange:
        hub.invite("bob", "dan", group_id="g")
    assert strange.value.reason is Reason.NOT_A_GROUP_MEMBER
    assert strange.value.metadata == {"group_id": "g", "user_id": "dan"}


def test_alone_in_a_group_there_is_nobody_to_call() -> None:
    hub = Hub("ann")
    hub.group("ann")
    with pytest.raises(Refused) as alone:
        hub.invite("ann", group_id="g")
    assert alone.value.reason is Reason.INVITEES_INVALID


def test_everyone_busy_ends_it_at_once() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat")
    hub.connect("bob", "cat")
    call = hub.invite("ann", group_id="g")
    assert states(call) == [S.JOINED, S.BUSY, S.BUSY]
    assert end(call) == (EndReason.BUSY, "cat")
    assert hub.invite("ann", group_id="g").call_id != call.call_id, "the group is free again"


def test_all_who_did_not_answer_are_told_in_one_revision() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", *EVERYONE[1:])
    hub.invite("ann", group_id="g")
    hub.do(Reject("bob/d1", "i1", False))
    hub.do(Reject("cat/d1", "i1", True))
    hub.now = 120.0
    hub.do(Tick())
    over = hub.disk["c1"]
    assert states(over) == [S.JOINED, S.REJECTED, S.BUSY, S.NO_RESPONSE, S.NO_RESPONSE, S.NO_RESPONSE]
    assert end(over) == (EndReason.NO_RESPONSE, "")
    assert over.revision == 4


def test_some_enter_and_the_rest_times_out_the_call_goes_on() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat", "dan")
    hub.invite("ann", group_id="g")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Accept("cat/d1", "i1"))
    hub.now = 120.0
    hub.do(Tick())
    assert states(hub.calls["c1"]) == [S.JOINED, S.JOINED, S.JOINED, S.NO_RESPONSE]
    hub.do(Hangup("ann/d1", "c1"))
    assert end(hub.do(Hangup("cat/d1", "c1"))) == (EndReason.HANGUP, "cat")


def test_of_a_crowd_who_only_rings_is_not_told_of_each_answer() -> None:
    crowd = [f"u{n}" for n in range(40)]
    hub = Hub(*crowd)
    hub.group("u0", *crowd[1:])
    hub.invite("u0", group_id="g")
    assert len(hub.told()) == 40
    hub.do(Reject("u1/d1", "i1", False))
    assert hub.told() == {"u0/d1", "u1/d1"}
    call = hub.do(Accept("u2/d1", "i1"))
    assert call is not None
    assert hub.told() == {"u0/d1", "u2/d1"}
    assert states(call)[:4] == [S.JOINED, S.REJECTED, S.JOINED, S.PENDING]
    hub.do(Hangup("u0/d1", "c1"))
    assert hub.told() == {"u0/d1", "u2/d1"}
    hub.do(Hangup("u2/d1", "c1"))
    assert len(hub.told()) == 38, "of the end everyone is told"


# ------------------------------------------------------------------------------ full


def test_as_many_as_may_be_enter_the_next_one_is_told_the_limit() -> None:
    hub = Hub(*EVERYONE)  # at most three in one call
    hub.group("ann", *EVERYONE[1:])
    hub.invite("ann", group_id="g")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Accept("cat/d1", "i1"))
    full = refused(hub, Accept("dan/d1", "i1"))
    assert full.reason is Reason.CALL_FULL
    assert full.metadata == {"limit": "members", "value": "3"}
    assert state(hub.calls["c1"], "dan") is S.PENDING, "it goes on ringing"
    assert refused(hub, JoinCall("eve/d1", group_id="g")).reason is Reason.CALL_FULL
    hub.do(Hangup("bob/d1", "c1"))
    assert state(hub.do(Accept("dan/d1", "i1")), "dan") is S.JOINED


def test_without_a_group_nobody_rings_who_could_not_enter() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob")
    assert refused(hub, more("ann", "cat", "dan")).reason is Reason.CALL_FULL
    hub.do(more("ann", "cat"))
    assert refused(hub, more("ann", "dan", n="n")).reason is Reason.CALL_FULL
    hub.do(Reject("cat/d1", "j1", False))
    assert state(hub.do(more("ann", "dan", invite="j2", n="n")), "dan") is S.PENDING


# ------------------------------------------------------------------------------ more people


def test_a_running_call_grows_by_an_invitation_of_its_own() -> None:
    hub = Hub(*EVERYONE)
    hub.connect("ann", "bob")
    hub.now = 200.0
    call = hub.do(more("bob", "cat"))
    assert call is not None
    assert states(call) == [S.JOINED, S.JOINED, S.PENDING]
    invitation = call.members[2].invitation
    assert invitation is not None
    assert (invitation.invite_id, invitation.sponsor) == ("j1", "bob")
    assert (invitation.created, invitation.deadline) == (200.0, 220.0)
    assert hub.told() == {"ann/d1", "bob/d1", "cat/d1"}
    call = hub.do(Accept("cat/d1", "j1"))
    assert call is not None
    assert (call.members[2].state, call.members[2].join_order) == (S.JOINED, 3)
    assert hub.do(Accept("cat/d1", "j1")) is call


def test_it_is_a_group_call_then() -> None:
    hub = Hub(*EVERYONE)
    call = hub.connect("ann", "bob")
    assert not call.group
    hub.do(more("ann", "cat"))
    hub.do(Reject("cat/d1", "j1", False))
    refusal = refused(hub, SwitchCallType("bob/d1", "c1", call.type))
    assert refusal.reason is Reason.SWITCH_NOT_ALLOWED


def test_a_dialling_caller_may_ask_more_and_the_call_waits_for_all() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob")
    hub.do(more("ann", "cat"))
    hub.do(Reject("bob/d1", "i1", False))
    assert end(hub.do(Reject("cat/d1", "j1", True))) == (EndReason.BUSY, "cat")


def test_who_is_busy_is_marked_so() -> None:
    hub = Hub(*EVERYONE)
    hub.connect("ann", "bob")
    hub.connect("dan", "eve")
    assert states(hub.do(more("ann", "dan"))) == [S.JOINED, S.JOINED, S.BUSY]
    assert hub.told() == {"ann/d1", "bob/d1"}
    assert hub.core.welcome("dan/d1")[0].call_id == "c2"


def test_who_had_said_no_or_left_may_be_asked_again() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Reject("cat/d1", "i1", False))
    call = hub.do(more("bob", "cat"))
    assert state(call, "cat") is S.PENDING
    assert refused(hub, Accept("cat/d1", "i1")).reason is Reason.INVITE_UNKNOWN, "that one is over"
    hub.do(Accept("cat/d1", "j1"))
    hub.do(Hangup("ann/d1", "c1"))
    call = hub.do(more("cat", "ann", invite="j2"))
    assert state(call, "ann") is S.PENDING, "also the one who made the call"
    assert refused(hub, Accept("ann/d1", "i1")).reason is Reason.INVITE_UNKNOWN
    call = hub.do(Accept("ann/d1", "j2"))
    assert call is not None
    assert call.members[0] == Member(
        "ann", S.JOINED, "ann/d1", "d1", 4, invitation=call.members[0].invitation
    )


def test_who_rings_or_is_in_is_left_alone() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", "i1"))
    before = hub.calls["c1"]
    assert hub.do(more("ann", "bob", "cat")) is before
    assert hub.pushed == []


def test_a_repeated_request_rings_nobody_twice() -> None:
    hub = Hub(*EVERYONE)
    hub.connect("ann", "bob")
    hub.do(more("ann", "cat"))
    call = hub.do(Reject("cat/d1", "j1", False))
    assert hub.do(more("ann", "cat", invite="j2")) is call
    hub.restart()
    assert hub.do(more("ann", "cat", invite="j3")) == call
    assert state(hub.do(more("bob", "cat", invite="j4")), "cat") is S.PENDING, "another's request is another"


def test_each_invitation_has_its_own_time() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob", timeout=20.0)
    hub.do(more("ann", "cat", timeout=5.0))
    assert hub.core.deadline() == 105.0
    hub.now = 105.0
    hub.do(Tick())
    assert states(hub.calls["c1"]) == [S.JOINED, S.PENDING, S.NO_RESPONSE]
    assert hub.core.deadline() == 120.0
    hub.now = 110.0
    hub.do(more("ann", "cat", invite="j2", timeout=None, n="n"))
    hub.now = 120.0
    hub.do(Tick())
    assert states(hub.calls["c1"]) == [S.JOINED, S.NO_RESPONSE, S.PENDING]
    assert hub.core.deadline() == 130.0, "only leases: the last invitation has no limit"


def test_times_survive_a_crash_each_of_them() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob", timeout=25.0)
    hub.do(more("ann", "cat", timeout=10.0))
    hub.restart()
    assert hub.core.deadline() == 110.0
    hub.now = 110.0
    hub.do(Tick())
    assert states(hub.calls["c1"]) == [S.JOINED, S.PENDING, S.NO_RESPONSE]
    assert hub.core.deadline() == 125.0
    hub.now = 125.0
    hub.do(Tick())
    assert end(hub.disk["c1"]) == (EndReason.NO_RESPONSE, "")


def test_who_no_longer_rings_needs_no_alarm() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("cat", "dan", timeout=5.0)
    hub.invite("ann", "bob", timeout=6.0)
    assert hub.core.deadline() == 105.0
    hub.do(Hangup("cat/d1", "c1"))
    assert hub.core.deadline() == 106.0
    hub.do(Hangup("ann/d1", "c2"))
    assert hub.core.deadline() == 130.0, "a lease"


def test_an_alarm_of_a_call_that_is_forgotten_finds_nothing() -> None:
    hub = Hub(*EVERYONE, limits=replace(LIMITS, remembered=1))
    hub.invite("cat", "dan", timeout=5.0)
    hub.do(Hangup("cat/d1", "c1"))
    hub.invite("ann", "bob", timeout=None)
    hub.do(Hangup("ann/d1", "c2"))
    hub.now = 106.0
    hub.do(Tick())
    assert hub.pushed == []


def test_only_who_is_in_the_call_asks_more() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob")
    assert refused(hub, more("bob", "cat")).reason is Reason.CALL_UNKNOWN, "it only rings there"
    assert refused(hub, more("dan", "cat")).reason is Reason.CALL_UNKNOWN
    assert refused(hub, more("ann", "zoe")).reason is Reason.USER_UNKNOWN
    assert refused(hub, more("ann", "ann")).reason is Reason.INVITEES_INVALID
    hub.do(Hangup("ann/d1", "c1"))
    assert refused(hub, more("ann", "cat")).reason is Reason.CALL_UNKNOWN


def test_into_a_groups_call_only_its_members_are_asked() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat")
    hub.invite("ann", "bob", group_id="g")
    strange = refused(hub, more("ann", "dan"))
    assert (strange.reason, strange.metadata["user_id"]) == (Reason.NOT_A_GROUP_MEMBER, "dan")
    assert state(hub.do(more("ann", "cat")), "cat") is S.PENDING
