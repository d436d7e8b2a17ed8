"""The hub's core: what it refuses changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import (
    Accept,
    CallType,
    Hangup,
    Input,
    Invite,
    Reject,
    Relay,
    RenewLease,
    Session,
    SetAvailability,
    SwitchCallType,
)

from tests.unit.hub.town import Hub


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
