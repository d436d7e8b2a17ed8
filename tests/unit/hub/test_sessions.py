"""The hub's core: sessions, how long a silent device is kept, and clocks that are set."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Refused
from mediaagentd.hub.types import (
    Accept,
    EndReason,
    Hangup,
    InviteMore,
    JoinCall,
    Login,
    Logout,
    RenewLease,
    Reply,
    Tick,
)

from tests.unit.hub.town import LIMITS, Hub, S, end, states

DAY = 86400.0


def test_the_newer_login_wins() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    hub.login("bob", "d2")
    assert hub.kicked == [("bob/d1", "d2")]
    assert hub.told() == {"ann/d1", "bob/d2"}
    assert end(hub.pushed[0][1]) == (EndReason.HANGUP, "bob")
    assert hub.pushed[0][1].members[1].left is EndReason.KICKED_OUT
    with pytest.raises(Refused):
        hub.core.session("bob/d1")
    assert hub.core.session("bob/d2").device_id == "d2"


def test_what_rings_goes_on_ringing_for_the_newer_login() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob")
    hub.login("bob", "d2")
    assert hub.pushed == []
    call = hub.do(Accept("bob/d2", "i1"))
    assert call is not None
    assert call.members[1].device_id == "d2"


def test_logout_leaves_the_call_and_is_idempotent() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    hub.do(Logout("ann/d1"))
    assert hub.told() == {"bob/d1"}
    assert end(hub.pushed[0][1]) == (EndReason.HANGUP, "ann")
    assert hub.pushed[0][1].members[0].left is EndReason.LOGGED_OUT
    assert hub.core.step(hub.now, Logout("ann/d1")) == (Reply(None),)


@pytest.mark.parametrize("reason", [EndReason.HANGUP, EndReason.CONNECTION_LOST])
def test_the_others_hear_why_somebody_left(reason: EndReason) -> None:
    hub = Hub("ann", "bob", "cat")
    call = hub.invite("ann", "bob", "cat")
    for user in ("bob", "cat"):
        hub.do(Accept(f"{user}/d1", call.invite_id))
    hub.do(Hangup("bob/d1", "c1", reason))
    assert [member.left for member in hub.pushed[0][1].members] == [None, reason, None]
    hub.restart()
    assert hub.core.calls()[0].members[1].left is reason
    joined = hub.do(JoinCall("bob/d1", "c1"))
    assert joined is not None
    assert [member.left for member in joined.members] == [None] * 3


def test_a_call_whose_connection_one_gives_up_was_hung_up_by_nobody() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    hub.do(Hangup("bob/d1", "c1", EndReason.CONNECTION_LOST))
    assert end(hub.pushed[0][1]) == (EndReason.CONNECTION_LOST, "bob")
    hub.restart()
    hub.do(Hangup("ann/d1", "c1"))
    assert hub.core.calls() == ()


def at(hub: Hub, time: float, *alive: str) -> None:
    """Goes there; those devices give a sign of life on the way, every 10 s and then."""
    while hub.now < time:
        hub.now = min(time, hub.now + 10.0)
        for token in alive:
            hub.do(RenewLease(token))
    hub.do(Tick())


def test_a_lost_device_leaves_the_call() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    at(hub, 174.9, "ann/d1")
    assert hub.core.deadline() == 175.0
    at(hub, 175.0, "ann/d1")
    assert hub.kicked == [("bob/d1", "")]
    assert hub.told() == {"ann/d1"}
    assert end(hub.pushed[0][1]) == (EndReason.DEVICE_LOST, "bob")
    assert hub.pushed[0][1].members[1].left is EndReason.DEVICE_LOST


def test_a_device_comes_back_to_its_answered_call() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    at(hub, 160.0, "ann/d1")
    at(hub, 180.0, "ann/d1", "bob/d1")
    assert hub.calls["c1"].revision == 2
    at(hub, 254.0, "ann/d1")
    assert set(hub.sessions) == {"ann/d1", "bob/d1"}
    at(hub, 255.0, "ann/d1")
    assert set(hub.sessions) == {"ann/d1"}


def test_a_silent_device_has_no_grace_but_in_an_answered_call() -> None:
    """Whose call ends meanwhile is lost at once, and who rings, dials or does nothing as ever."""
    hub = Hub("ann", "bob", "cat", "dan", "eve")
    hub.connect("ann", "bob")
    hub.invite("cat", "dan", timeout=None)
    at(hub, 130.0, "ann/d1")
    assert set(hub.sessions) == {"ann/d1", "bob/d1"}
    at(hub, 140.0, "ann/d1")
    hub.do(Hangup("ann/d1", "c1"))
    assert hub.core.deadline() == 130.0
    hub.do(Tick())
    assert hub.kicked == [("bob/d1", "")]


def test_a_device_that_left_a_call_that_goes_on_has_no_grace() -> None:
    hub = Hub("ann", "bob", "cat")
    call = hub.invite("ann", "bob", "cat")
    for user in ("bob", "cat"):
        hub.do(Accept(f"{user}/d1", call.invite_id))
    at(hub, 125.0, "ann/d1", "cat/d1")
    hub.do(Hangup("bob/d1", "c1"))
    at(hub, 129.0, "ann/d1", "cat/d1")
    assert "bob/d1" in hub.sessions
    at(hub, 130.0, "ann/d1", "cat/d1")
    assert set(hub.sessions) == {"ann/d1", "cat/d1"}


def test_a_call_lease_that_is_shorter_counts_for_nothing() -> None:
    hub = Hub("ann", "bob", limits=replace(LIMITS, call_lease=5.0))
    hub.connect("ann", "bob")
    at(hub, 129.0)
    assert set(hub.sessions) == {"ann/d1", "bob/d1"}
    at(hub, 130.0)
    assert hub.sessions == {}


def test_a_session_that_is_gone_has_no_lease() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.do(Logout("bob/d1"))
    hub.now = 110.0
    hub.do(RenewLease("ann/d1"))
    hub.do(Logout("cat/d1"))
    hub.now = 130.0
    hub.do(Tick())
    assert hub.kicked == []
    hub.do(Logout("ann/d1"))
    assert hub.core.deadline() is None


def test_a_lost_inviter_cancels() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=None)
    hub.now = 120.0
    hub.do(RenewLease("bob/d1"))
    hub.now = 130.0
    hub.do(Tick())
    assert end(hub.pushed[0][1]) == (EndReason.CANCELLED, "ann")


def test_both_lost_in_one_tick() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    hub.now = 200.0
    hub.do(Tick())
    assert hub.sessions == {}
    assert hub.calls == {}
    assert hub.core.deadline() is None


def test_a_session_that_missed_the_end_learns_why() -> None:
    hub = Hub("ann", "bob")
    call = hub.connect("ann", "bob")
    assert hub.core.welcome("ann/d1") == (call,)
    over = hub.do(Hangup("bob/d1", "c1"))
    assert hub.core.welcome("ann/d1") == (over,)


def test_a_hub_that_comes_back_knows_everything() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.connect("ann", "bob")
    hub.do(Logout("cat/d1"))
    hub.now = 125.0
    hub.restart()
    assert hub.core.deadline() == 155.0, "leases begin anew"
    assert hub.core.welcome("bob/d1") == (hub.calls["c1"],)
    with pytest.raises(Refused):
        hub.invite("ann", "cat")
    assert end(hub.do(Hangup("ann/d1", "c1"))) == (EndReason.HANGUP, "ann")
    assert states(hub.invite("ann", "cat")) == [S.JOINED, S.PENDING], "cat has logged in once"


def test_an_invitation_that_ran_out_while_the_hub_was_away() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=5.0)
    hub.now = 110.0
    hub.restart()
    assert hub.core.deadline() == 105.0
    hub.do(Tick())
    assert end(hub.pushed[0][1]) == (EndReason.NO_RESPONSE, "")


def test_a_clock_that_was_set_back_makes_nothing_ring_longer() -> None:
    hub = Hub("ann", "bob", "cat", "dan", "eve")
    hub.invite("ann", "bob", timeout=20.0)
    hub.invite("cat", "dan", timeout=None)
    hub.now = 110.0
    hub.do(InviteMore("ann/d1", "c1", "j1", ("eve",), None, "r"))
    hub.do(InviteMore("cat/d1", "c2", "j2", ("ann",), None, "r"))
    hub.do(Hangup("cat/d1", "c2"))
    over = hub.disk["c2"]
    hub.now -= DAY
    hub.restart()
    call = hub.core.calls()[0]
    assert (call.created, call.deadline) == (100.0 - DAY, 120.0 - DAY)
    invitation = call.members[2].invitation
    assert invitation is not None
    assert (invitation.created, invitation.deadline) == (110.0 - DAY, None)
    assert hub.core.deadline() == hub.now + 10.0
    hub.now += 10.0
    hub.do(Tick())
    assert states(hub.calls["c1"]) == [S.JOINED, S.NO_RESPONSE, S.PENDING]
    assert hub.do(Hangup("cat/d1", "c2")) == over


def test_a_clock_that_was_set_forward_ends_what_rang() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=20.0)
    hub.now += DAY
    hub.restart()
    hub.do(Tick())
    assert end(hub.disk["c1"]) == (EndReason.NO_RESPONSE, "")
    assert [missed.ended for missed in hub.core.missed("bob/d1")] == [hub.now]


def test_a_missed_call_moves_with_a_clock_that_was_set_back() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=20.0)
    hub.now = 120.0
    hub.do(Tick())
    hub.restart()
    assert [(m.created, m.ended) for m in hub.core.missed("bob/d1")] == [(100.0, 120.0)]
    hub.now -= DAY
    hub.restart()
    assert [(m.created, m.ended) for m in hub.core.missed("bob/d1")] == [(100.0 - DAY, 120.0 - DAY)]


def test_many_sessions_cost_little_to_renew() -> None:
    hub = Hub()
    for n in range(300):
        hub.do(Login(f"t{n}", f"u{n}", "d"))
    for second in range(1, 100):
        hub.now = 100.0 + second
        for n in range(300):
            hub.do(RenewLease(f"t{n}"))
        hub.do(Tick())
    assert len(hub.sessions) == 300
    assert len(hub.core._sessions._heap) == 300
