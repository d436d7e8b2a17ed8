"""The hub's core: stories of users, their calls and what everyone is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import (
    Accept,
    CallType,
    EndReason,
    Hangup,
    Input,
    Invite,
    InviteMore,
    JoinCall,
    Login,
    Logout,
    Member,
    MemberState,
    PushSignal,
    Reject,
    Relay,
    RenewLease,
    Reply,
    Session,
    SetAvailability,
    SwitchCallType,
    Tick,
)

from tests.unit.hub.town import LIMITS, Hub, S, end, states

DAY = 86400.0

# ------------------------------------------------------------------------------ one call


def test_invite_accept_hangup() -> None:
    hub = Hub("ann", "bob")
    made = hub.invite("ann", "bob")
    assert states(made) == [S.JOINED, S.PENDING]
    assert made.sponsor == "ann"
    assert made.members[0].device_id == "d1"
    assert hub.told() == {"ann/d1", "bob/d1"}
    assert hub.disk == {"c1": made}

    call = hub.do(Accept("bob/d1", "i1"))
    assert states(call) == [S.JOINED, S.JOINED]
    assert [m.join_order for m in hub.calls["c1"].members] == [1, 2]
    assert hub.calls["c1"].revision == 2

    call = hub.do(Hangup("bob/d1", "c1"))
    assert states(call) == [S.JOINED, S.LEFT]
    assert end(call) == (EndReason.HANGUP, "bob")
    assert hub.told() == {"ann/d1", "bob/d1"}
    assert not hub.calls
    assert hub.core.calls() == ()


@pytest.mark.parametrize(
    ("is_busy", "state", "reason"),
    [(False, S.REJECTED, EndReason.REJECTED), (True, S.BUSY, EndReason.BUSY)],
)
def test_reject(is_busy: bool, state: MemberState, reason: EndReason) -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob")
    call = hub.do(Reject("bob/d1", "i1", is_busy))
    assert states(call) == [S.JOINED, state]
    assert end(call) == (reason, "bob")


def test_cancel() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob")
    call = hub.do(Hangup("ann/d1", "c1"))
    assert states(call) == [S.LEFT, S.CANCELLED]
    assert end(call) == (EndReason.CANCELLED, "ann")


def test_hangup_of_what_rings_rejects_it() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob")
    assert end(hub.do(Hangup("bob/d1", "c1"))) == (EndReason.REJECTED, "bob")


def test_timeout() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=5.0)
    assert hub.core.deadline() == 105.0
    hub.now = 104.9
    hub.do(Tick())
    assert hub.pushed == []
    hub.now = 105.0
    hub.do(Tick())
    call = hub.pushed[0][1]
    assert states(call) == [S.JOINED, S.NO_RESPONSE]
    assert end(call) == (EndReason.NO_RESPONSE, "")
    assert hub.core.deadline() == 130.0, "only the leases are left"


def test_without_a_timeout_it_rings_on() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=None)
    assert hub.core.deadline() == 130.0


def test_an_answered_invitation_does_not_time_out() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=5.0)
    hub.do(Accept("bob/d1", "i1"))
    hub.now = 106.0
    hub.do(Tick())
    assert hub.pushed == []
    assert hub.core.deadline() == 130.0


def test_an_offline_user_rings_until_the_timeout_and_may_come() -> None:
    hub = Hub("ann", "bob")
    hub.do(Logout("bob/d1"))
    hub.invite("ann", "bob")
    assert hub.told() == {"ann/d1"}
    token = hub.login("bob")
    assert [c.call_id for c in hub.core.welcome(token)] == ["c1"]
    assert states(hub.do(Accept(token, "i1"))) == [S.JOINED, S.JOINED]


# ------------------------------------------------------------------------------ busy


def test_whoever_rings_dials_or_talks_is_busy() -> None:
    hub = Hub("ann", "bob", "cat", "dan", "eve")
    hub.invite("ann", "bob")
    for user in ("ann", "bob"):
        call = hub.invite("cat", user)
        assert states(call) == [S.JOINED, S.BUSY]
        assert end(call) == (EndReason.BUSY, user)
        assert hub.told() == {"cat/d1"}
    hub.do(Accept("bob/d1", "i1"))
    assert end(hub.invite("cat", "bob"))[0] is EndReason.BUSY
    hub.do(Hangup("ann/d1", "c1"))
    assert states(hub.invite("cat", "bob")) == [S.JOINED, S.PENDING]


def test_glare_the_first_invitation_wins() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob")
    with pytest.raises(Refused) as refused:
        hub.invite("bob", "ann")
    assert refused.value.reason is Reason.CALL_IN_PROGRESS
    assert states(hub.do(Accept("bob/d1", "i1"))) == [S.JOINED, S.JOINED]


# ------------------------------------------------------------------------------ repeated commands


def test_a_repeated_invitation_is_the_same_call() -> None:
    hub = Hub("ann", "bob")
    call = hub.invite("ann", "bob", request_id="same")
    assert hub.invite("ann", "bob", request_id="same") is call
    assert hub.pushed == []
    ended = hub.do(Reject("bob/d1", "i1", False))
    assert hub.invite("ann", "bob", request_id="same") is ended, "it does not ring again"
    assert hub.invite("bob", "ann", request_id="same").call_id == "c4", "another user's request is another"


def test_requests_without_an_id_are_never_the_same() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", request_id="")
    hub.do(Hangup("ann/d1", "c1"))
    assert hub.invite("ann", "bob", request_id="").call_id == "c2"


def test_a_repeated_accept_or_reject_of_one_session_is_a_success() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob")
    call = hub.do(Accept("bob/d1", "i1"))
    assert hub.do(Accept("bob/d1", "i1")) is call
    assert hub.pushed == []
    hub.do(Hangup("bob/d1", "c1"))
    hub.invite("ann", "bob")
    call = hub.do(Reject("bob/d1", "i2", False))
    assert hub.do(Reject("bob/d1", "i2", False)) is call


def test_hangup_of_what_is_over_is_a_success() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    call = hub.do(Hangup("ann/d1", "c1"))
    assert hub.do(Hangup("ann/d1", "c1")) is call
    assert hub.do(Hangup("bob/d1", "c1")) is call
    assert hub.pushed == []


def test_what_is_over_is_remembered_for_a_while() -> None:
    hub = Hub("ann", "bob")
    for n in range(1, LIMITS.remembered + 2):
        hub.invite("ann", "bob")
        hub.do(Hangup("ann/d1", f"c{n}"))
    with pytest.raises(Refused) as refused:
        hub.do(Hangup("ann/d1", "c1"))
    assert refused.value.reason is Reason.CALL_UNKNOWN
    assert hub.do(Hangup("ann/d1", "c2")) is not None


def test_what_is_forgotten_leaves_nothing_behind() -> None:
    hub = Hub("ann", "bob", "cat", "dan")
    hub.invite("cat", "dan", request_id="old")
    hub.do(Hangup("cat/d1", "c1"))
    assert [c.call_id for c in hub.core.welcome("dan/d1")] == ["c1"]
    for n in range(2, LIMITS.remembered + 2):
        hub.invite("ann", "bob")
        hub.do(Hangup("ann/d1", f"c{n}"))
    assert hub.core.welcome("dan/d1") == ()
    assert hub.invite("cat", "dan", request_id="old").call_id == "c6"


# ------------------------------------------------------------------------------ in the call


def test_switch() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    call = hub.do(SwitchCallType("bob/d1", "c1", CallType.AUDIO))
    assert call is not None
    assert (call.type, call.revision) == (CallType.AUDIO, 3)
    assert hub.told() == {"ann/d1", "bob/d1"}
    assert hub.do(SwitchCallType("bob/d1", "c1", CallType.AUDIO)) is call
    assert hub.pushed == []


def test_availability() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    call = hub.do(SetAvailability("ann/d1", "c1", True, True))
    assert call is not None
    assert (call.members[0].audio, call.members[0].video) == (True, True)
    assert hub.told() == {"ann/d1", "bob/d1"}
    assert hub.do(SetAvailability("ann/d1", "c1", True, True)) is call
    assert hub.pushed == []


def test_relay_goes_to_the_session_that_joined() -> None:
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    effects = hub.core.step(hub.now, Relay("ann/d1", "c1", "bob", "sdp"))
    assert effects == (PushSignal("bob/d1", "c1", "ann", "sdp"), Reply(None))


# ------------------------------------------------------------------------------ groups


def test_three_in_a_call_the_last_one_left_ends_it() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Accept("cat/d1", "i1"))
    assert [m.join_order for m in hub.calls["c1"].members] == [1, 2, 3]
    hub.do(Hangup("ann/d1", "c1"))
    assert hub.told() == {"ann/d1", "bob/d1", "cat/d1"}
    call = hub.do(Hangup("bob/d1", "c1"))
    assert hub.told() == {"bob/d1", "cat/d1"}, "ann has left, it does not concern her any more"
    assert end(call) == (EndReason.HANGUP, "bob")


def test_the_inviter_may_leave_while_another_waits_for_the_third() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", "i1"))
    assert states(hub.do(Hangup("ann/d1", "c1"))) == [S.LEFT, S.JOINED, S.PENDING]
    call = hub.do(Hangup("bob/d1", "c1"))
    assert states(call) == [S.LEFT, S.LEFT, S.CANCELLED]
    assert end(call) == (EndReason.HANGUP, "bob")


def test_outcomes_differ_the_last_one_counts() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.invite("ann", "bob", "cat")
    assert states(hub.do(Reject("bob/d1", "i1", False))) == [S.JOINED, S.REJECTED, S.PENDING]
    hub.now = 120.0
    hub.do(Tick())
    assert hub.told() == {"ann/d1", "cat/d1"}
    assert end(hub.pushed[0][1]) == (EndReason.NO_RESPONSE, "")


# ------------------------------------------------------------------------------ sessions


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


# ------------------------------------------------------------------------------ refusals


def _invite(**how: object) -> Invite:
    command = Invite("ann/d1", "cx", "ix", 7, ("bob",), CallType.AUDIO, None, False, "", "rx")
    return replace(command, **how)  # type: ignore[arg-type]


REFUSALS: dict[str, tuple[Input, Reason]] = {
    "unknown session": (_invite(token="nobody"), Reason.SESSION_UNKNOWN),
    "renewal of an unknown session": (RenewLease("nobody"), Reason.SESSION_UNKNOWN),
    "oneself": (_invite(user_ids=("ann",)), Reason.INVITEES_INVALID),
    "nobody": (_invite(user_ids=()), Reason.INVITEES_INVALID),
    "one twice": (_invite(user_ids=("bob", "bob")), Reason.INVITEES_INVALID),
    "too many": (_invite(user_ids=("bob", "cat", "dan")), Reason.CALL_FULL),
    "a group": (_invite(group_id="g"), Reason.GROUP_UNKNOWN),
    "a stranger": (_invite(user_ids=("bob", "zoe")), Reason.USER_UNKNOWN),
    "dialling in a call": (_invite(token="cat/d1"), Reason.CALL_IN_PROGRESS),
    "dialling while it rings": (_invite(token="eve/d1"), Reason.CALL_IN_PROGRESS),
    "accept of nothing": (Accept("ann/d1", "i9"), Reason.INVITE_UNKNOWN),
    "accept of another's": (Accept("ann/d1", "i2"), Reason.INVITE_UNKNOWN),
    "accept of one's own call": (Accept("fay/d1", "i2"), Reason.INVITE_UNKNOWN),
    "accept after the end": (Accept("bob/d1", "i3"), Reason.INVITE_UNKNOWN),
    "reject of nothing": (Reject("ann/d1", "i9", False), Reason.INVITE_UNKNOWN),
    "reject after accept": (Reject("dan/d1", "i1", False), Reason.INVITE_UNKNOWN),
    "hangup of another's call": (Hangup("ann/d1", "c1"), Reason.CALL_UNKNOWN),
    "hangup of nothing": (Hangup("ann/d1", "c9"), Reason.CALL_UNKNOWN),
    "switch while it rings": (SwitchCallType("fay/d1", "c2", CallType.AUDIO), Reason.SWITCH_NOT_ALLOWED),
    "switch of nothing": (SwitchCallType("ann/d1", "c9", CallType.AUDIO), Reason.CALL_UNKNOWN),
    "switch of what is over": (SwitchCallType("ann/d1", "c3", CallType.AUDIO), Reason.CALL_UNKNOWN),
    "availability of one who rings": (SetAvailability("eve/d1", "c2", True, True), Reason.CALL_UNKNOWN),
    "signal to one who rings": (Relay("fay/d1", "c2", "eve", "x"), Reason.USER_NOT_IN_CALL),
    "signal to a stranger": (Relay("cat/d1", "c1", "ann", "x"), Reason.USER_NOT_IN_CALL),
    "signal to oneself": (Relay("cat/d1", "c1", "cat", "x"), Reason.USER_NOT_IN_CALL),
    "signal from a stranger": (Relay("ann/d1", "c1", "cat", "x"), Reason.CALL_UNKNOWN),
}  # fmt: skip


@pytest.fixture
def town() -> Hub:
    """cat and dan talk (c1), fay's call rings at eve's (c2), ann has called bob (c3)."""
    hub = Hub("ann", "bob", "cat", "dan", "eve", "fay")
    hub.connect("cat", "dan")
    hub.invite("fay", "eve")
    hub.connect("ann", "bob")
    hub.do(Hangup("ann/d1", "c3"))
    return hub


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_change_nothing(town: Hub, case: str) -> None:
    command, reason = REFUSALS[case]
    before = (town.core.calls(), [town.core.session(t) for t in town.sessions], town.core.deadline())
    with pytest.raises(Refused) as refused:
        town.core.step(town.now, command)
    assert refused.value.reason is reason
    after = (town.core.calls(), [town.core.session(t) for t in town.sessions], town.core.deadline())
    assert before == after
    assert all(a is b for a, b in zip(before[0], after[0], strict=True))


def test_a_group_call_of_two_cannot_be_switched() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", "i1"))
    with pytest.raises(Refused) as refused:
        hub.do(SwitchCallType("bob/d1", "c1", CallType.AUDIO))
    assert refused.value.reason is Reason.SWITCH_NOT_ALLOWED


def test_another_session_of_a_member_cannot_act_for_it() -> None:
    """As with several devices: the call belongs to the one that answered."""
    hub = Hub("ann", "bob")
    hub.connect("ann", "bob")
    bob = Session("bob/d2", "bob", "d2", 0.0)
    hub.core.restore((), (bob,), (), hub.now)
    with pytest.raises(Refused):
        hub.do(SetAvailability("bob/d2", "c1", True, True))
    call = hub.do(Hangup("bob/d2", "c1"))
    assert call is not None
    assert not call.ended


def test_two_requests_of_one_name_the_later_is_remembered() -> None:
    hub = Hub("ann", "bob")
    for n in range(1, LIMITS.remembered + 2):
        hub.invite("ann", "bob", request_id="")
        hub.do(Hangup("ann/d1", f"c{n}"))
    assert [c.call_id for c in hub.core.welcome("bob/d1")] == ["c5"]


def test_members_are_found_by_name() -> None:
    from mediaagentd.hub.calls import member

    hub = Hub("ann", "bob")
    call = hub.invite("ann", "bob")
    assert member(call, "bob") == Member("bob", S.PENDING)
    assert member(call, "zoe") is None
