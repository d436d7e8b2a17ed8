"""Several devices of one user, under the policy that lets them be: all ring, one answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import (
    Accept,
    CallType,
    CreateGroup,
    EndReason,
    Hangup,
    JoinCall,
    Login,
    Logout,
    Policy,
    Reject,
    Relay,
    RenewLease,
    SetAvailability,
    SwitchCallType,
    Tick,
)

from tests.unit.hub.town import LIMITS, Hub, S, end, refused, states

MULTI = replace(LIMITS, policy=Policy.MULTI, devices=3)


@pytest.fixture
def hub() -> Hub:
    """ann has one device, bob two."""
    hub = Hub("ann", "bob", "cat", limits=MULTI)
    hub.login("bob", "d2")
    return hub


def test_nobody_is_kicked(hub: Hub) -> None:
    assert hub.kicked == []
    assert set(hub.sessions) == {"ann/d1", "bob/d1", "bob/d2", "cat/d1"}


def test_all_ring_the_first_to_accept_wins_the_others_see_by_which(hub: Hub) -> None:
    hub.invite("ann", "bob")
    assert hub.told() == {"ann/d1", "bob/d1", "bob/d2"}
    call = hub.do(Accept("bob/d2", "i1"))
    assert call is not None
    assert (call.members[1].state, call.members[1].device_id) == (S.JOINED, "d2")
    assert hub.told() == {"ann/d1", "bob/d1", "bob/d2"}
    late = refused(hub, Accept("bob/d1", "i1"))
    assert late.reason is Reason.INVITE_UNKNOWN
    assert late.metadata == {"invite_id": "i1", "device_id": "d2"}
    assert refused(hub, Reject("bob/d1", "i1", False)).metadata["device_id"] == "d2"
    assert hub.calls["c1"] is call


def test_one_declines_for_all(hub: Hub) -> None:
    hub.invite("ann", "bob")
    call = hub.do(Reject("bob/d1", "i1", False))
    assert call is not None
    assert (call.members[1].state, call.members[1].device_id) == (S.REJECTED, "d1")
    assert hub.told() == {"ann/d1", "bob/d1", "bob/d2"}
    assert refused(hub, Accept("bob/d2", "i1")).metadata["device_id"] == "d1"


def test_hangup_where_it_only_rings_declines_too(hub: Hub) -> None:
    hub.invite("ann", "bob")
    call = hub.do(Hangup("bob/d2", "c1"))
    assert end(call) == (EndReason.REJECTED, "bob")
    assert call is not None
    assert call.members[1].device_id == "d2"


def test_only_the_answering_device_acts(hub: Hub) -> None:
    hub.invite("ann", "bob")
    call = hub.do(Accept("bob/d2", "i1"))
    for command in (
        SetAvailability("bob/d1", "c1", True, True),
        SwitchCallType("bob/d1", "c1", CallType.AUDIO),
        Relay("bob/d1", "c1", "ann", "sdp"),
    ):
        assert refused(hub, command).reason is Reason.CALL_UNKNOWN
    assert hub.do(Hangup("bob/d1", "c1")) is call, "a success that does nothing"
    assert hub.pushed == []
    assert refused(hub, JoinCall("bob/d1", "c1")).reason is Reason.CALL_IN_PROGRESS


def test_signals_go_to_the_answering_device(hub: Hub) -> None:
    hub.invite("ann", "bob")
    hub.do(Accept("bob/d2", "i1"))
    push, _ = hub.core.step(hub.now, Relay("ann/d1", "c1", "bob", "sdp"))
    assert push.token == "bob/d2"  # type: ignore[union-attr]


def test_a_user_is_busy_with_all_devices(hub: Hub) -> None:
    hub.invite("ann", "bob")
    hub.do(Accept("bob/d2", "i1"))
    with pytest.raises(Refused) as it:
        hub.invite("bob", "cat")  # by d1
    assert it.value.reason is Reason.CALL_IN_PROGRESS
    assert states(hub.invite("cat", "bob")) == [S.JOINED, S.BUSY]


def test_the_callers_other_devices_look_on(hub: Hub) -> None:
    call = hub.invite("bob", "ann")  # by d1
    assert hub.told() == {"bob/d1", "bob/d2", "ann/d1"}
    assert call.members[0].device_id == "d1"
    assert hub.core.welcome("bob/d2") == (call,)
    assert refused(hub, Accept("bob/d2", "i1")).reason is Reason.INVITE_UNKNOWN


def test_a_device_that_logs_out_or_is_lost_takes_nothing_with_it_but_its_own(hub: Hub) -> None:
    hub.invite("ann", "bob")
    hub.do(Logout("bob/d1"))
    assert states(hub.calls["c1"]) == [S.JOINED, S.PENDING]
    hub.do(Accept("bob/d2", "i1"))
    hub.login("bob", "d1")
    hub.now = 125.0
    for token in ("ann/d1", "bob/d2"):
        hub.do(RenewLease(token))
    hub.now = 131.0
    hub.do(Tick())
    assert "bob/d1" not in hub.sessions
    assert states(hub.calls["c1"]) == [S.JOINED, S.JOINED]
    hub.do(Logout("bob/d2"))
    assert end(hub.disk["c1"]) == (EndReason.HANGUP, "bob")


def test_the_same_device_again_replaces_itself_only(hub: Hub) -> None:
    hub.invite("ann", "bob")
    hub.do(Accept("bob/d2", "i1"))
    hub.do(Login("bob/d2/again", "bob", "d2"))
    assert hub.kicked == [("bob/d2", "d2")]
    assert end(hub.disk["c1"]) == (EndReason.DEVICE_LOST, "bob")
    assert set(hub.sessions) == {"ann/d1", "bob/d1", "bob/d2/again", "cat/d1"}


def test_a_device_that_comes_late_rings_too(hub: Hub) -> None:
    call = hub.invite("ann", "bob")
    token = hub.login("bob", "d3")
    assert hub.core.welcome(token) == (call,)
    answered = hub.do(Accept(token, "i1"))
    assert answered is not None
    assert answered.members[1].device_id == "d3"


def test_a_request_of_one_device_is_not_another_devices(hub: Hub) -> None:
    """Both may count their requests from one; the later device must not take the call for its own."""
    hub.invite("bob", "ann", request_id="1")
    with pytest.raises(Refused) as it:
        hub.invite("bob", "cat", token="bob/d2", request_id="1")
    assert it.value.reason is Reason.CALL_IN_PROGRESS
    assert hub.invite("bob", "ann", request_id="1").call_id == "c1"
    for token in ("bob/d1", "bob/d2", "bob/d2"):
        hub.ask(CreateGroup(token, f"of {token}", "", (), "1"))
    assert list(hub.groups) == ["of bob/d1", "of bob/d2"]


def test_there_is_a_limit_to_devices(hub: Hub) -> None:
    hub.login("bob", "d3")
    full = refused(hub, Login("bob/d4", "bob", "d4"))
    assert full.reason is Reason.LIMIT_EXCEEDED
    assert full.metadata == {"limit": "devices", "value": "3"}
    assert set(hub.sessions) == {"ann/d1", "bob/d1", "bob/d2", "bob/d3", "cat/d1"}
    hub.do(Login("bob/d3/again", "bob", "d3"))
    assert "bob/d3/again" in hub.sessions
