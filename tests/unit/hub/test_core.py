"""The hub's core: stories of users, their calls and what everyone is told."""

from __future__ import annotations

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import (
    Accept,
    CallType,
    EndReason,
    Hangup,
    Logout,
    Member,
    MemberState,
    PushSignal,
    Reject,
    Relay,
    Reply,
    SetAvailability,
    SwitchCallType,
    Tick,
)

from tests.unit.hub.town import LIMITS, Hub, S, end, states

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
