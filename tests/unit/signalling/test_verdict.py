"""What a refused login means. One of two clocks may be wrong after a power cut."""

from __future__ import annotations

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.usersig import mint, verify
from mediaagentd.signalling.verdict import Verdict, verdict

KEY = "key"
MADE = 1_700_000_000
YEAR = 365 * 86400
SIG = mint(1, KEY, "ann", now=MADE, expire=YEAR)


def asked(hub_clock: float) -> Refused:
    """What a hub with that clock says."""
    with pytest.raises(Refused) as refused:
        verify(SIG, user_id="ann", sdk_app_id=1, keys=(KEY,), now=hub_clock)
    return refused.value


@pytest.mark.parametrize(
    ("hub_clock", "ours", "expected"),
    [
        (0, MADE + 1000, Verdict.SOON),
        (0, 0, Verdict.SOON),
        (MADE - 3600, MADE + 2 * YEAR, Verdict.SOON),
        (MADE + 2 * YEAR, MADE + 1000, Verdict.SOON),
        (MADE + 2 * YEAR, MADE + YEAR + 200, Verdict.SOON),
        (MADE + 2 * YEAR, 0, Verdict.SOON),
        (MADE + 2 * YEAR, MADE + YEAR + 400, Verdict.LATER),
    ],
    ids=["the hub's", "both", "ours", "the hub's, ahead", "just over", "ours, and over", "over by both"],
)
def test_a_user_sig_has_expired_when_both_clocks_say_so(
    hub_clock: float, ours: float, expected: Verdict
) -> None:
    refused = asked(hub_clock)
    assert refused.reason is Reason.USER_SIG_EXPIRED
    assert verdict(refused, SIG, ours) is expected


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.INTERNAL, Verdict.SOON),
        (Reason.SESSION_UNKNOWN, Verdict.SOON),
        (Reason.LIMIT_EXCEEDED, Verdict.SOON),
        (Reason.USER_SIG_MALFORMED, Verdict.LATER),
        (Reason.USER_ID_INVALID, Verdict.LATER),
        (Reason.KICKED_OUT, Verdict.NEVER),
    ],
)
def test_the_others_do_not_look_at_a_clock(reason: Reason, expected: Verdict) -> None:
    assert verdict(Refused(reason, "no"), SIG, 0) is expected


def test_an_expired_one_that_cannot_be_read_is_believed_to_be() -> None:
    assert verdict(Refused(Reason.USER_SIG_EXPIRED, "no"), "nonsense", 0) is Verdict.LATER
