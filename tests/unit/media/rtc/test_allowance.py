"""How much may be sent again."""

from __future__ import annotations

from mediaagentd.media.rtc.allowance import MOST, SHARE, STEADY, Allowance


def spend(allowance: Allowance, size: int = 1000) -> int:
    taken = 0
    while allowance.take(size):
        taken += size
    return taken


def test_it_is_bounded_and_follows_what_is_sent() -> None:
    allowance = Allowance()
    assert allowance.ample
    assert spend(allowance) == MOST
    assert not allowance.ample
    for _ in range(20):
        allowance.sent(1000)
    assert spend(allowance) == int(20_000 * SHARE)
    for _ in range(1000):
        allowance.sent(1000)
    assert spend(allowance) == MOST


def test_time_alone_gives_a_little() -> None:
    allowance = Allowance()
    allowance.accrue(5.0)
    spend(allowance, 1)
    allowance.accrue(6.0)
    assert abs(spend(allowance, 1) - STEADY) <= 1
