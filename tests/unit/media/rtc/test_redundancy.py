"""RED payloads there and back, and how much is sent along."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.media.rtc.gaps import LONGEST_ROUND_TRIP
from mediaagentd.media.rtc.redundancy import UNEVEN, Block, LossMemory, Redundancy, spreads, unpack
from mediaagentd.media.types import QUIET_LOSS, UNKNOWN_LOSS

OPUS = 96


def test_earlier_packets_travel_in_later_ones() -> None:
    red = Redundancy()
    assert red.pack(b"one", 0, 2, OPUS) is None
    second = red.pack(b"two", 960, 2, OPUS)
    third = red.pack(b"three", 1920, 2, OPUS)
    fourth = red.pack(b"four", 2880, 1, OPUS)
    assert red.pack(b"five", 3840, 0, OPUS) is None
    assert second is not None
    assert third is not None
    assert fourth is not None
    assert unpack(second, OPUS) == [Block(b"one", 960), Block(b"two", 0)]
    assert unpack(third, OPUS) == [Block(b"one", 1920), Block(b"two", 960), Block(b"three", 0)]
    assert unpack(fourth, OPUS) == [Block(b"three", 960), Block(b"four", 0)]


def test_copies_that_are_spread_survive_runs_of_losses() -> None:
    for run in range(1, 5):
        red = Redundancy()
        got: set[int] = set()
        for number in range(100):
            data = bytes([number])
            packed = red.pack(data, 960 * number, 2, OPUS, spread=True)
            if number % 20 >= run:
                blocks = [Block(data, 0)] if packed is None else unpack(packed, OPUS)
                got.update(block.data[0] for block in blocks)
        assert got == set(range(100))


def test_copies_are_spread_where_sound_waits_anyway_and_nothing_can_be_asked_for() -> None:
    far = LONGEST_ROUND_TRIP + 0.01
    assert spreads(far, UNEVEN)
    assert not spreads(far, UNEVEN / 2)
    assert not spreads(LONGEST_ROUND_TRIP, UNEVEN)
    assert not spreads(None, UNEVEN)


def test_what_is_too_old_or_too_long_is_left_out() -> None:
    red = Redundancy()
    red.pack(b"x" * 1024, 0, 2, OPUS)
    assert red.pack(b"y", 960, 2, OPUS) is None
    assert red.pack(b"z", 960 + (1 << 14), 2, OPUS) is None


def test_timestamps_wrap() -> None:
    red = Redundancy()
    red.pack(b"one", 0xFFFFFFFF - 959, 1, OPUS)
    packed = red.pack(b"two", 0, 1, OPUS)
    assert packed is not None
    assert unpack(packed, OPUS)[0] == Block(b"one", 960)


def test_other_payload_types_are_passed_over() -> None:
    red = Redundancy()
    red.pack(b"one", 0, 1, OPUS)
    packed = red.pack(b"two", 960, 1, OPUS)
    assert packed is not None
    assert unpack(packed, OPUS + 1) == []


@given(st.binary(max_size=60))
def test_a_malformed_payload_is_a_value_error(payload: bytes) -> None:
    with suppress(ValueError):
        assert sum(len(block.data) for block in unpack(payload, OPUS)) < len(payload)


def test_protection_rises_at_once_and_falls_slowly() -> None:
    memory = LossMemory()
    assert memory.depth == 0
    memory.report(0.02)
    assert memory.depth == 1
    memory.report(0.2)
    assert memory.depth == 2
    calm = 0
    while memory.depth:
        memory.report(0.0)
        calm += 1
    assert 5 <= calm <= 10
    memory.report(0.2)
    for _ in range(3):
        memory.report(0.0)
        memory.report(0.005)  # what is lost now and then remains a network that loses
    assert memory.loss > 0.2 * 0.8**6


def test_a_path_is_quiet_after_some_reports_of_no_loss_and_no_longer_when_a_packet_is_asked_for() -> None:
    memory = LossMemory(UNKNOWN_LOSS)
    assert not memory.surprise(), "nothing is known of it yet"
    memory.report(0.2)
    calm = 0
    while memory.loss >= QUIET_LOSS:
        assert not memory.surprise()
        memory.report(0.0)
        calm += 1
    assert 8 <= calm <= 15
    assert memory.surprise()
    assert not memory.surprise()
    assert memory.loss == UNKNOWN_LOSS
    assert memory.depth == 0, "FEC does for one packet now and then"


def test_a_queue_of_our_own_that_ran_over_is_no_network_that_loses() -> None:
    memory = LossMemory()
    memory.report(0.6, overran=True)
    memory.report(0.3, overran=True)
    assert memory.depth == 0
    memory.report(0.0, overran=True)
    for _ in range(3):
        memory.report(0.1, overran=True)
    assert memory.depth == 2


def test_large_packets_are_repeated_as_far_as_they_fit() -> None:
    red = Redundancy()
    for number, size in enumerate((400, 450, 500)):
        packed = red.pack(bytes(size), number * 960, 2, OPUS)
    assert packed is not None
    assert [len(block.data) for block in unpack(packed, OPUS)] == [450, 500]
    assert red.pack(bytes(900), 3 * 960, 2, OPUS) is None
