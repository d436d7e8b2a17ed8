"""When packets are protected, how much, and who agrees to it."""

from __future__ import annotations

import pytest
from mediaagentd.media.rtc import protection
from mediaagentd.media.rtc.fec import FecDecoder, Source
from mediaagentd.media.rtc.header import Outbound
from mediaagentd.media.rtc.protection import FAR, MOST, Protection

DESCRIPTION = (
    "v=0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 opus/48000/2\r\n"
    "m=video 9 UDP/TLS/RTP/SAVPF 101 102\r\na=mid:1\r\n"
    "a=rtpmap:101 H264/90000\r\na=rtpmap:102 rtx/90000\r\na=fmtp:102 apt=101\r\n"
)


def packet(number: int) -> Outbound:
    return Outbound(101, 1, number, 3000 * number, 7, b"picture")


def shared(share_of: Protection, packets: int = 100) -> list[Outbound]:
    sent = []
    for number in range(packets):
        share_of.add([packet(number)])
        sent += share_of.due()
    return sent


@pytest.fixture
def guard() -> Protection:
    return Protection(61, 8)


def test_a_far_path_that_loses_is_protected(guard: Protection) -> None:
    guard.report(0.2, 1.2, overran=False)
    sent = shared(guard)
    assert len(sent) == guard.sent == 50  # twice what is lost of a hundred arrives
    assert [each.sequence_number for each in sent] == list(range(1, 51))
    assert {(each.payload_type, each.ssrc) for each in sent} == {(61, 8)}
    decoder = FecDecoder()
    for number in range(99):
        decoder.source(number, Source(1, 101, 3000 * number, b"picture"))
    (found,) = decoder.repair(sent[-1].payload)
    assert (found.sequence, found.source) == (99, Source(1, 101, 297000, b"picture"))


@pytest.mark.parametrize(("fraction", "round_trip"), [(0.0, 1.2), (0.01, 1.2), (0.2, 0.1), (0.2, None)])
def test_no_other_one_is(guard: Protection, fraction: float, round_trip: float | None) -> None:
    guard.report(fraction, round_trip, overran=False)
    assert shared(guard) == []


def test_a_far_path_is_protected_before_anything_is_known_of_it(guard: Protection) -> None:
    assert shared(guard) == []
    guard.expect(1.2)
    assert len(shared(guard)) == pytest.approx(50, abs=1)
    for _ in range(4):
        guard.report(0.0, 1.2, overran=False)
    assert shared(guard)
    guard.report(0.0, 1.2, overran=False)
    assert shared(guard) == [], "it loses nothing"


def test_a_report_that_tells_no_round_trip_leaves_it_as_it_was(guard: Protection) -> None:
    guard.expect(1.2)
    guard.report(0.2, None, overran=False)
    assert shared(guard)
    guard.report(0.2, 0.1, overran=False)
    guard.report(0.2, None, overran=False)
    assert shared(guard) == []


def test_where_asking_again_is_soon_nothing_is_expected(guard: Protection) -> None:
    guard.expect(FAR - 0.01)
    assert shared(guard) == []


def test_there_is_an_end_to_it(guard: Protection) -> None:
    guard.report(0.9, FAR, overran=False)
    assert len(shared(guard)) == pytest.approx(100 * MOST, abs=1)


def test_loss_by_a_queue_of_our_own_is_no_reason(guard: Protection) -> None:
    guard.report(0.3, 1.2, overran=True)
    assert shared(guard) == []


def test_it_ends_some_time_after_the_loss(guard: Protection) -> None:
    guard.report(0.2, 1.2, overran=False)
    guard.report(0.0, 1.2, overran=False)
    assert shared(guard)
    for _ in range(10):
        guard.report(0.0, 1.2, overran=False)
    assert shared(guard) == []


def test_two_of_our_own_agree() -> None:
    offered = protection.offer(DESCRIPTION)
    assert "m=video 9 UDP/TLS/RTP/SAVPF 101 102 61\r\n" in offered
    assert "a=rtpmap:61 x-mediaagent-fec/90000\r\n" in offered
    answered = protection.answer(DESCRIPTION, offered)
    assert protection.agreed(offered, answered) == protection.agreed(answered, offered) == 61


def test_a_far_end_of_another_kind_does_not() -> None:
    offered = protection.offer(DESCRIPTION)
    assert protection.answer(DESCRIPTION, DESCRIPTION) == DESCRIPTION
    assert protection.agreed(offered, DESCRIPTION) is None
    assert protection.agreed(DESCRIPTION, offered) is None


def test_the_payload_type_is_one_that_nobody_uses() -> None:
    taken = DESCRIPTION.replace("a=rtpmap:96 ", "a=rtpmap:61 ")
    assert "a=rtpmap:60 x-mediaagent-fec/90000" in protection.offer(taken)
    every = DESCRIPTION + "".join(f"a=rtpmap:{number} x/90000\r\n" for number in range(35, 64))
    assert protection.offer(every) == every


@pytest.mark.parametrize("number", ["0", "34", "62", "96"])
def test_a_payload_type_that_we_would_never_offer_is_not_taken(number: str) -> None:
    """It might be one of ours for something else."""
    offered = protection.offer(DESCRIPTION).replace("rtpmap:61 ", f"rtpmap:{number} ")
    assert protection.answer(DESCRIPTION, offered) == DESCRIPTION


def test_without_pictures_there_is_nothing_to_protect() -> None:
    sound = DESCRIPTION.partition("m=video")[0]
    assert protection.offer(sound) == sound
    bare = sound + "m=video 0 UDP/TLS/RTP/SAVPF 101\r\n"
    assert protection.offer(bare) == bare
