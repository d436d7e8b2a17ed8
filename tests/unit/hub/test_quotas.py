"""Token buckets: how often one may invite and be invited."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.core import Core
from mediaagentd.hub.quotas import CALLEE, CALLER, Buckets, Quotas, Rate
from mediaagentd.hub.types import CallType, Hangup, Invite, Limits, Login

SLOW = Rate(burst=3, per_second=0.5)
MANY = Rate(burst=1000, per_second=1.0)


def refused(quotas: Quotas, now: float, caller: str, *callees: str) -> Refused:
    with pytest.raises(Refused) as caught:
        quotas.invite(now, caller, callees)
    return caught.value


def test_one_who_invites_too_often() -> None:
    quotas = Quotas(SLOW, MANY)
    for n in range(3):
        quotas.invite(10.0, "ann", (f"bob{n}",))
    said = refused(quotas, 10.0, "ann", "bob")
    assert said.reason is Reason.INVITING_TOO_OFTEN
    assert said.metadata == {"user_id": "ann", "retry_after": "2"}
    quotas.invite(10.0, "cat", ("bob",))
    assert refused(quotas, 11.9, "ann", "bob").metadata["retry_after"] == "1"
    quotas.invite(12.0, "ann", ("bob",))
    assert refused(quotas, 12.0, "ann", "bob").reason is Reason.INVITING_TOO_OFTEN


def test_one_who_is_invited_too_often() -> None:
    quotas = Quotas(MANY, SLOW)
    for n in range(3):
        quotas.invite(0.0, f"ann{n}", ("bob", "cat"))
    said = refused(quotas, 0.0, "dan", "bob", "cat")
    assert said.reason is Reason.INVITED_TOO_OFTEN
    assert said.metadata == {"user_id": "bob", "retry_after": "2"}


def test_one_who_is_invited_too_often_does_not_keep_others_from_ringing() -> None:
    quotas = Quotas(MANY, SLOW)
    for n in range(3):
        assert quotas.invite(0.0, f"ann{n}", ("bob",)) == frozenset()
    for _ in range(3):
        assert quotas.invite(0.0, "dan", ("bob", "eve")) == {"bob"}
    assert refused(quotas, 0.0, "dan", "bob", "eve").reason is Reason.INVITED_TOO_OFTEN
    assert quotas.invite(2.0, "dan", ("bob", "eve")) == frozenset()


def test_what_is_refused_takes_nothing() -> None:
    quotas = Quotas(SLOW, SLOW)
    for n in range(3):
        quotas.invite(0.0, f"ann{n}", ("bob",))
    for _ in range(5):
        refused(quotas, 0.0, "ann", "bob")
    for _ in range(3):
        quotas.invite(0.0, "ann", ("cat",))


def test_alone_nobody_keeps_others_from_calling_someone() -> None:
    quotas = Quotas(CALLER, CALLEE)
    let_through = 0
    for tenth in range(10_000):
        with contextlib.suppress(Refused):
            quotas.invite(tenth / 10, "flood", ("bob",))
            let_through += 1
        if tenth % 100 == 0:
            quotas.invite(tenth / 10, f"friend{tenth}", ("bob",))
    assert let_through == pytest.approx(1000 * CALLER.per_second + CALLER.burst, abs=1)


@given(
    st.lists(st.floats(0, 5), max_size=60),
    st.integers(1, 5),
    st.floats(0.1, 3),
)
def test_never_more_than_burst_and_rate(gaps: list[float], burst: int, per_second: float) -> None:
    buckets = Buckets(Rate(burst, per_second))
    now, taken = 0.0, 0
    for gap in gaps:
        now += gap
        wait = buckets.lacking("ann", now)
        if wait == 0:
            buckets.take("ann", now)
            taken += 1
        else:
            assert buckets.lacking("ann", now + wait + 1e-6) == 0
    assert taken <= burst + per_second * now + 1e-6


def test_what_is_kept_is_bounded() -> None:
    buckets = Buckets(Rate(2, 1.0), most=10)
    for n in range(10):
        buckets.take(f"u{n}", 0.0)
    buckets.take("u0", 0.0)
    buckets.take("new", 0.5)  # nobody is full again: the one that was used longest ago goes
    assert len(buckets._kept) == 10
    assert buckets.lacking("u0", 0.5) > 0
    for n in range(5):
        buckets.take(f"v{n}", 9.0)  # by now the old ones are full and forgotten, and nothing is lost by it
    assert len(buckets._kept) <= 10
    assert buckets.lacking("u9", 9.0) == 0


def test_the_core_refuses_before_anything_changed() -> None:
    core = Core(Limits(caller=Rate(1, 0.5)))
    for user in ("ann", "bob"):
        core.step(0.0, Login(user, user, "d"))
    first = invite("1")
    core.step(0.0, first)
    core.step(0.0, Hangup("ann", "call 1"))
    with pytest.raises(Refused) as refused:
        core.step(1.0, invite("2"))
    assert refused.value.reason is Reason.INVITING_TOO_OFTEN
    assert core.calls() == ()
    core.step(1.0, first)  # told again: it is the same invitation, and costs nothing
    core.step(2.0, invite("2"))
    assert [call.call_id for call in core.calls()] == ["call 2"]


def invite(name: str) -> Invite:
    return Invite(
        token="ann", call_id=f"call {name}", invite_id=f"invitation {name}", room_id=1, user_ids=("bob",),
        type=CallType.AUDIO, timeout=None, group=False, group_id="", request_id=name,
    )  # fmt: skip
