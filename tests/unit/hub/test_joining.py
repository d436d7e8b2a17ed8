"""Group calls: joining by oneself, and what a lost device or a restart leaves of them."""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.errors import Reason
from mediaagentd.hub.types import (
    Accept,
    EndReason,
    Hangup,
    JoinCall,
    Logout,
    Reject,
    RemoveGroupMembers,
)

from tests.unit.hub.town import EVERYONE, LIMITS, Hub, S, end, more, refused, state, states

# ------------------------------------------------------------------------------ joining by oneself


def test_a_member_joins_the_running_call_of_its_group() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat")
    hub.invite("ann", "bob", group_id="g")
    call = hub.do(JoinCall("cat/d1", group_id="g"))
    assert states(call) == [S.JOINED, S.PENDING, S.JOINED]
    assert hub.told() == {"ann/d1", "bob/d1", "cat/d1"}
    assert hub.do(JoinCall("cat/d1", call_id="c1")) is call, "its first reply was lost"
    assert hub.pushed == []
    assert state(hub.do(JoinCall("bob/d1", call_id="c1")), "bob") is S.JOINED, "what rings is accepted"


def test_who_was_invited_comes_back_by_the_calls_id() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Reject("cat/d1", "i1", False))
    assert state(hub.do(JoinCall("cat/d1", "c1")), "cat") is S.JOINED
    hub.do(Hangup("bob/d1", "c1"))
    call = hub.do(JoinCall("bob/d1", "c1"))
    assert call is not None
    assert [m.join_order for m in call.members] == [1, 4, 3], "a new connection"
    assert refused(hub, JoinCall("dan/d1", "c1")).reason is Reason.CALL_UNKNOWN


def test_one_who_is_engaged_cannot_join() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat")
    hub.connect("cat", "dan")
    hub.invite("ann", "bob", group_id="g")
    assert refused(hub, JoinCall("cat/d1", group_id="g")).reason is Reason.CALL_IN_PROGRESS


def test_what_cannot_be_joined() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob")
    assert refused(hub, JoinCall("bob/d1", group_id="none")).reason is Reason.GROUP_UNKNOWN
    assert refused(hub, JoinCall("bob/d1", group_id="g")).reason is Reason.CALL_UNKNOWN
    assert refused(hub, JoinCall("bob/d1", call_id="none")).reason is Reason.CALL_UNKNOWN
    hub.invite("ann", group_id="g")
    assert refused(hub, JoinCall("eve/d1", call_id="c1")).reason is Reason.NOT_A_GROUP_MEMBER
    hub.do(Hangup("ann/d1", "c1"))
    assert refused(hub, JoinCall("bob/d1", call_id="c1")).reason is Reason.CALL_UNKNOWN


def test_one_removed_from_the_group_does_not_come_back() -> None:
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat")
    hub.invite("ann", group_id="g")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Accept("cat/d1", "i1"))
    hub.do(Hangup("cat/d1", "c1"))
    hub.ask(RemoveGroupMembers("ann/d1", "g", ("cat",)))
    assert refused(hub, JoinCall("cat/d1", call_id="c1")).reason is Reason.NOT_A_GROUP_MEMBER


# ------------------------------------------------------------------------------ lost and remembered


def test_a_lost_device_leaves_and_the_others_stay() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Accept("cat/d1", "i1"))
    hub.do(Logout("bob/d1"))
    assert states(hub.calls["c1"]) == [S.JOINED, S.LEFT, S.JOINED]
    assert hub.told() == {"ann/d1", "cat/d1"}


def test_what_later_invitations_left_behind_is_forgotten_with_the_call() -> None:
    hub = Hub(*EVERYONE, limits=replace(LIMITS, remembered=1))
    hub.group("ann", "bob", "cat")
    hub.invite("ann", "bob", group_id="g")
    hub.do(more("ann", "cat"))
    hub.do(Hangup("ann/d1", "c1"))
    hub.connect("dan", "eve")
    hub.do(Hangup("dan/d1", "c2"))
    assert list(hub.disk) == ["c2"]
    ledger = hub.core._ledger
    assert set(ledger._by_invite) == {"i2"}
    assert set(ledger._invites) == {"c2"}
    assert ledger._by_group == {}


def test_a_newer_call_of_the_group_keeps_its_place_when_the_older_is_forgotten() -> None:
    hub = Hub(*EVERYONE, limits=replace(LIMITS, remembered=1))
    hub.group("ann", "bob")
    hub.invite("ann", group_id="g")
    hub.do(Hangup("ann/d1", "c1"))
    hub.invite("ann", group_id="g")
    hub.connect("dan", "eve")
    hub.do(Hangup("dan/d1", "c3"))
    assert list(hub.disk) == ["c2", "c3"]
    call = hub.do(JoinCall("bob/d1", group_id="g"))
    assert call is not None
    assert call.call_id == "c2"


def test_a_repeated_invitation_makes_no_second_call_after_a_crash_either() -> None:
    hub = Hub(*EVERYONE)
    hub.invite("ann", "bob", request_id="same")
    over = hub.do(Reject("bob/d1", "i1", False))
    hub.restart()
    assert hub.invite("ann", "bob", request_id="same") == over
    assert hub.core.welcome("bob/d1") == (over,)


def test_what_a_restart_forgets_is_not_more_than_before() -> None:
    hub = Hub(*EVERYONE, limits=replace(LIMITS, remembered=2))
    for n in (1, 2, 3):
        hub.invite("ann", "bob")
        hub.do(Hangup("ann/d1", f"c{n}"))
    assert list(hub.disk) == ["c2", "c3"]
    hub.limits = replace(hub.limits, remembered=1)
    hub.restart()
    assert refused(hub, Hangup("ann/d1", "c2")).reason is Reason.CALL_UNKNOWN
    assert hub.do(Hangup("ann/d1", "c3")) is not None
    assert list(hub.disk) == ["c3"], "else every start reads what none of them keeps"


def test_of_large_calls_fewer_are_remembered() -> None:
    """Ten thousand calls of a group of a thousand took gigabytes, and minutes to read at the start."""
    hub = Hub(*EVERYONE, limits=replace(LIMITS, remembered_members=7))
    hub.group("ann", "bob", "cat", "dan", "eve")
    for n in (1, 2, 3):
        hub.invite("ann", "bob", request_id=f"r{n}")
        hub.do(Hangup("ann/d1", f"c{n}"))
    assert list(hub.disk) == ["c1", "c2", "c3"]
    hub.invite("ann", group_id="g")
    hub.do(Hangup("ann/d1", "c4"))
    assert list(hub.disk) == ["c3", "c4"]
    hub.limits = replace(LIMITS, remembered_members=4)
    hub.restart()
    assert list(hub.disk) == ["c4"], "the last one stays, whatever its size"
    assert hub.do(Hangup("ann/d1", "c4")) is not None
    hub.invite("ann", "bob")
    hub.do(Hangup("ann/d1", "c5"))
    assert list(hub.disk) == ["c5"]


def test_invitations_that_ask_nobody_any_more_are_forgotten_while_the_call_goes_on() -> None:
    hub = Hub(*EVERYONE)
    hub.connect("ann", "bob")
    for n in range(100):
        hub.now += 2.0
        hub.do(more("ann", "cat", invite=f"j{n}", n=f"m{n}"))
        hub.do(Reject("cat/d1", f"j{n}", False))
    assert set(hub.core._ledger._by_invite) == {"i1", "j99"}
    assert refused(hub, Accept("cat/d1", "j50")).reason is Reason.INVITE_UNKNOWN
    assert hub.do(Reject("cat/d1", "j99", False)) is hub.calls["c1"], "its first reply was lost"


def test_who_comes_back_without_the_session_has_left_its_call() -> None:
    """A database that was repaired (`.recover`) may lack rows: no lease would end what its user is in."""
    hub = Hub(*EVERYONE)
    hub.group("ann", "bob", "cat", "dan")
    hub.invite("ann", "bob", "cat", group_id="g")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Accept("cat/d1", "i1"))
    hub.connect("eve", "fay")
    del hub.sessions["ann/d1"], hub.sessions["eve/d1"], hub.sessions["fay/d1"]
    hub.restart()
    assert states(hub.calls["c1"]) == [S.LEFT, S.JOINED, S.JOINED]
    assert hub.told() == {"bob/d1", "cat/d1"}
    assert end(hub.disk["c2"]) == (EndReason.DEVICE_LOST, "eve")
    hub.restart()
    assert hub.told() == set(), "it is so on the disk"
    hub.login("eve")
    assert state(hub.invite("eve", "dan", request_id="new"), "dan") is S.PENDING


def test_the_callers_data_travel_with_the_call() -> None:
    hub = Hub(*EVERYONE)
    call = hub.invite("ann", "bob", user_data=b"\x00door")
    assert hub.core.welcome("bob/d1") == (call,)
    assert call.user_data == b"\x00door"
