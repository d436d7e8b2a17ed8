"""When a UserSig that ends is told: in the log, and by `mediaagentd check`."""

from __future__ import annotations

import asyncio
import time

import pytest
import structlog
from mediaagentd import check, expiry
from mediaagentd.config import Config
from mediaagentd.expiry import DAY
from mediaagentd.hub.usersig import mint
from pydantic import SecretStr

APP = 1400000000
MADE = 1_700_000_000


def sig(days: float, made: float = MADE) -> str:
    return mint(APP, "key", "ann", now=made, expire=int(days * DAY))


@pytest.mark.parametrize(
    ("days", "after", "left"),
    [
        (180, 0, None),
        (180, 165.9, None),
        (180, 166.1, 13.9),
        (180, 181, -1),
        (1, 0.4, None),
        (1, 0.6, 0.4),
        (3650, 180, None),
    ],
)
def test_it_is_told_from_a_fortnight_before_and_of_a_short_one_later(
    days: float, after: float, left: float | None
) -> None:
    found = expiry.ending(sig(days), MADE + after * DAY)
    assert (found and found / DAY) == (left and pytest.approx(left))


def test_what_cannot_be_read_is_not_told() -> None:
    assert expiry.ending("nonsense", MADE) is None


@pytest.mark.looptime
async def test_the_log_has_it_once_a_day_until_it_is_replaced() -> None:
    kept = sig(20, time.time() - 10 * DAY)
    with structlog.testing.capture_logs() as logs:
        task = asyncio.create_task(expiry.watch(lambda: kept))
        await asyncio.sleep(2.5 * DAY)
        assert [line["days"] for line in logs] == [10.0] * 3
        kept = sig(365, time.time())
        await asyncio.sleep(5 * DAY)
        assert len(logs) == 3
        task.cancel()
        await asyncio.wait([task])
    assert "user_sig_ends" in str(logs)
    assert kept not in str(logs)


@pytest.mark.parametrize(
    ("user_sig", "good", "found", "advised"),
    [
        (sig(3650, time.time()), True, "good until 20", False),
        (sig(180, time.time() - 170 * DAY), True, "good until 20", True),
        (sig(180, time.time() - 190 * DAY), False, "expired on 20", True),
        (mint(APP, "key", "bob", now=time.time(), expire=1000), False, "made for another user_id", True),
        (mint(7, "key", "ann", now=time.time(), expire=1000), False, "made for another sdk_app_id", True),
        (mint(APP, "key", "ann", now=time.time(), expire=2**52), True, "good until 9999-12-31", False),
        ("nonsense", False, "is no", True),
    ],
    ids=["long", "ends", "over", "another user", "another application", "for ever", "nonsense"],
)
def test_check_tells_it(user_sig: str, good: bool, found: str, advised: bool) -> None:
    (finding,) = check._user_sig(Config(user_id="ann", user_sig=SecretStr(user_sig)))
    assert (finding.good, bool(finding.advice)) == (good, advised)
    assert found in finding.found
    assert user_sig not in finding.found


def test_check_looks_at_none_where_no_user_is_configured() -> None:
    assert list(check._user_sig(Config())) == []
