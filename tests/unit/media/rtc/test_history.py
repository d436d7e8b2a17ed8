"""What can be sent again, by arithmetic on `now`."""

from __future__ import annotations

from mediaagentd.media.rtc.header import Outbound
from mediaagentd.media.rtc.history import History


def packet(number: int) -> Outbound:
    return Outbound(96, 0, number, 0, 1, b"%d" % number)


def test_what_was_sent_of_late_can_be_repeated_and_nothing_else() -> None:
    history = History(8)
    history.keep(packet(number & 0xFFFF) for number in range(0xFFFA, 0x10004))
    assert history.repeat(3, 1.0, apart=0.1) == packet(3)
    assert history.repeat(0xFFFC, 1.0, apart=0.1) == packet(0xFFFC)
    assert history.repeat(0xFFFB, 1.0, apart=0.1) is None, "its place is another's by now"
    assert history.repeat(4, 1.0, apart=0.1) is None, "not sent yet"
    assert History(8).repeat(0, 1.0, apart=0.1) is None


def test_it_is_repeated_again_only_after_a_while() -> None:
    history = History(8)
    history.keep([packet(5)])
    assert history.repeat(5, 1.0, apart=0.1)
    assert history.repeat(5, 1.05, apart=0.1) is None
    assert history.repeat(5, 1.11, apart=0.1)
    history.keep([packet(13)])
    assert history.repeat(13, 1.12, apart=0.1)
