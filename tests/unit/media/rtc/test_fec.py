"""Packets that are lost, and what stands in for them."""

from __future__ import annotations

import random
import struct

import pylibsrtp
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from mediaagentd.media.rtc import outlet
from mediaagentd.media.rtc.fec import AHEAD, LONGEST, WINDOW, FecDecoder, FecEncoder, Recovered, Source

HEADERS = 12 + 4 + 16
"""Bytes of an RTP header with as many extensions as we negotiate, and some to spare."""


def source(number: int, size: int | None = None) -> Source:
    length = number * 37 % 90 if size is None else size
    return Source(number % 2, 96, number * 3000 & 0xFFFFFFFF, bytes([number & 0xFF]) * length)


def repairs(encoder: FecEncoder, numbers: range, share: float) -> list[bytes]:
    """What stands in for those packets."""
    found = []
    for number in numbers:
        encoder.add(number & 0xFFFF, source(number), share)
        found += encoder.repairs()
    return found


def repair(*numbers: int, count: int) -> list[bytes]:
    """So many repair packets behind those packets."""
    encoder = FecEncoder()
    for number in numbers:
        encoder.add(number & 0xFFFF, source(number), 0.0)
    encoder.add((numbers[-1] + 1) & 0xFFFF, source(numbers[-1] + 1), float(count))
    return encoder.repairs()


def test_one_lost_packet_comes_back_whole() -> None:
    decoder = FecDecoder()
    (stand_in,) = repair(*range(9), count=1)
    for number in (*range(4), *range(5, 10)):
        assert decoder.source(number, source(number)) == []
    assert decoder.repair(stand_in) == [Recovered(4, source(4))]
    assert decoder.source(4, source(4)) == []


def test_as_many_as_there_are_repair_packets_come_back_whichever_they_are() -> None:
    decoder = FecDecoder()
    first, second, third = repair(*range(9), count=3)
    for number in (0, 3, 4, 6, 7, 8, 9):
        decoder.source(number, source(number))
    assert decoder.repair(first) == decoder.repair(second) == []
    assert [each.sequence for each in decoder.repair(third)] == [1, 2, 5]


def test_a_packet_that_is_sent_again_solves_the_rest() -> None:
    decoder = FecDecoder()
    (stand_in,) = repair(*range(9), count=1)
    for number in (0, 1, 2, 3, 4, 7, 8, 9):
        decoder.source(number, source(number))
    assert decoder.repair(stand_in) == []
    assert decoder.source(6, source(6)) == [Recovered(5, source(5))]


def test_numbers_wrap() -> None:
    decoder = FecDecoder()
    (stand_in,) = repair(*range(65533, 65538), count=1)
    for number in (65533, 65534, 65535, 65537, 65538):
        decoder.source(number & 0xFFFF, source(number))
    assert decoder.repair(stand_in) == [Recovered(0, source(65536))]


def test_what_comes_twice_says_nothing_new() -> None:
    decoder = FecDecoder()
    (stand_in,) = repair(*range(9), count=1)
    for number in range(8):
        decoder.source(number, source(number))
    assert decoder.repair(stand_in) == decoder.repair(stand_in) == []
    assert decoder.source(8, source(8)) == [Recovered(9, source(9))]
    assert decoder.repair(stand_in) == []


def test_a_gap_in_the_numbers_begins_anew() -> None:
    """A picture that was cut off leaves one: nobody shall wait for a packet that never was."""
    encoder, decoder = FecEncoder(), FecDecoder()
    repairs(encoder, range(5), 0.0)
    encoder.add(6, source(6), 0.0)
    encoder.add(7, source(7), 1.0)
    (stand_in,) = encoder.repairs()
    decoder.source(7, source(7))
    assert decoder.repair(stand_in) == [Recovered(6, source(6))]


def test_a_packet_that_is_too_long_is_not_protected() -> None:
    encoder, decoder = FecEncoder(), FecDecoder()
    encoder.add(0, source(0, LONGEST + 1), 1.0)
    assert encoder.repairs() == []
    assert decoder.source(0, source(0, LONGEST + 1)) == []
    encoder.add(1, source(1, LONGEST), 1.0)
    (stand_in,) = encoder.repairs()
    assert decoder.repair(stand_in) == [Recovered(1, source(1, LONGEST))]
    assert len(stand_in) + HEADERS <= outlet.SLOT - pylibsrtp.SRTP_MAX_TRAILER_LEN, (
        "it has a place to be sealed in"
    )


def test_the_share_is_kept_over_many_packets() -> None:
    assert len(repairs(FecEncoder(), range(1000), 0.3)) == pytest.approx(300, abs=1)


def lossy(rng: random.Random, loss: float, share: float, packets: int) -> tuple[set[int], set[int]]:
    """Packets over a path that loses: those lost, and those of them that came back."""
    encoder, decoder, start = FecEncoder(), FecDecoder(), rng.randrange(65536)
    lost, got = set(), set()
    sent = {number & 0xFFFF: number for number in range(start, start + packets)}
    for number in range(start, start + packets):
        encoder.add(number & 0xFFFF, source(number), share)
        found = []
        if rng.random() >= loss:
            found = decoder.source(number & 0xFFFF, source(number))
        else:
            lost.add(number & 0xFFFF)
        for each in encoder.repairs():
            if rng.random() >= loss:
                found += decoder.repair(each)
        for sequence, what in found:
            assert what == source(sent[sequence])
            assert sequence not in got
            got.add(sequence)
    return lost, got


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.0, 0.6), st.floats(0.0, 1.5))
@example(95433, 0.15625, 0.15625)  # what was solved made another of the solved be forgotten
def test_only_what_was_sent_comes_back_and_only_once(seed: int, loss: float, share: float) -> None:
    lost, got = lossy(random.Random(seed), loss, share, 300)
    assert got <= lost


def test_twice_the_losses_bring_nearly_all_of_them_back() -> None:
    lost, got = lossy(random.Random(1), 0.2, 0.5, 3000)
    assert len(lost) > 500
    assert len(lost - got) < 0.02 * len(lost)


def test_strange_repair_packets() -> None:
    decoder = FecDecoder()
    head = struct.Struct("!HBH")
    for bad in (b"", b"\0" * 11, head.pack(0, 0, 1) + bytes(7), head.pack(0, WINDOW + 1, 1) + bytes(7)):
        with pytest.raises(ValueError, match="fec"):
            decoder.repair(bad)
    with pytest.raises(ValueError, match="fec"):
        decoder.repair(bytes(2000))
    assert decoder.repair(head.pack(0, 1, 1) + b"\xff" * 9) == []  # says it is longer than it is
    assert decoder.repair(head.pack(1, 1, 1) + bytes(7) + b"\1" * 9) == []  # something is behind it


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_a_far_end_that_lies_takes_little_room(seed: int) -> None:
    rng, decoder = random.Random(seed), FecDecoder()
    for _ in range(600):
        count = rng.randint(1, WINDOW)
        head = struct.pack("!HBH", rng.randrange(65536), count, rng.randrange(65536))
        decoder.repair(head + rng.randbytes(rng.randint(7, 60)))
        if rng.random() < 0.5:
            number = rng.randrange(65536)
            decoder.source(number, source(number))
    assert len(decoder._rows) <= 2 * WINDOW + AHEAD
    assert len(decoder._known) <= 4 * WINDOW + 1


@pytest.mark.parametrize(("ahead", "kept"), [(AHEAD, 1), (AHEAD + 1, 0)])
def test_a_repair_packet_may_speak_of_what_is_ahead_but_not_far(ahead: int, kept: int) -> None:
    decoder = FecDecoder()
    decoder.source(100, source(100))
    first = 100 + ahead - 2
    assert decoder.repair(struct.pack("!HBH", first, 3, 1) + bytes(40)) == []
    assert len(decoder._rows) == kept


def test_who_speaks_of_what_is_far_ahead_is_not_heard() -> None:
    """Each such equation would be kept for ever: what comes never reaches it."""
    decoder = FecDecoder()
    for number in range(3000):
        decoder.source(number, source(number))
        first = (number + WINDOW + 10 * (number % 2900)) & 0xFFFF
        decoder.repair(struct.pack("!HBH", first, WINDOW, number) + bytes(40))
        assert len(decoder._rows) <= 2 * WINDOW + AHEAD
    assert decoder._rows
    assert decoder._highest == 2999


def test_more_repair_packets_than_other_ones_are_not_looked_at() -> None:
    decoder, encoder = FecDecoder(), FecEncoder()
    encoder.add(0, source(0), 0.0)
    encoder.add(1, source(1), WINDOW + 8.0)
    stand_ins = encoder.repairs()
    decoder.source(1, source(1))
    for each in stand_ins[:WINDOW]:
        decoder.repair(each)
    assert decoder._credit == 0
    assert decoder.repair(stand_ins[-1]) == []
