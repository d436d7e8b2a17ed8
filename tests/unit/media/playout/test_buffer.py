"""The playout buffer by arithmetic on `now`: a slot every 20 ms, whatever the network does."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from mediaagentd.media.playout.buffer import GIVE_UP, MOST, PATIENCE, Fill, PlayoutBuffer
from mediaagentd.media.playout.delay import SLOT, SOUND
from mediaagentd.media.types import AUDIO_FRAME, AudioFrame

PLAIN = b"\xff"
"""CELT: nothing of the packet before is in it."""

DOUBLING = b"\x78\x40"
"""Hybrid with the flag that the packet before is in it."""


def packet(number: int, head: bytes = PLAIN, start: int = 9_000, sequence: int | None = None) -> AudioFrame:
    data = head + b" %d" % number
    return AudioFrame(data, start + number * AUDIO_FRAME, 0.0, (number if sequence is None else sequence))


def word(data: bytes) -> str:
    return data.split(b" ")[1].decode()


def play(
    buffer: PlayoutBuffer, arrivals: Iterable[tuple[float, AudioFrame]], slots: int, phase: float = 0.0
) -> list[str]:
    """Pulls every 20 ms what arrived before; one word per slot: a number, two that are merged, R, C or S."""
    waiting = sorted(arrivals, key=lambda arrival: arrival[0])
    words = []
    for index in range(slots):
        now = phase + index * SLOT
        while waiting and waiting[0][0] <= now:
            time, frame = waiting.pop(0)
            buffer.push(frame, time)
        slot = buffer.pull(now)
        match slot.fill:
            case Fill.PACKET:
                words.append("+".join(word(data) for data in (slot.data, slot.second) if data))
            case _:
                words.append(slot.fill.name[0])
    return words


def steady(numbers: Iterable[int], head: bytes = PLAIN, delay: float = 0.0) -> list[tuple[float, AudioFrame]]:
    return [(number * SLOT + delay, packet(number, head)) for number in numbers]


def test_it_waits_at_first_and_then_plays_without_a_gap() -> None:
    words = play(buffer := PlayoutBuffer(), steady(range(20)), 20)
    assert words[:4] == ["S", "S", "0", "1"]
    assert words[4:] == [str(number) for number in range(2, 18)]
    assert (buffer.played, buffer.concealed) == (18, 0)


def test_on_a_calm_network_the_delay_shrinks_and_nothing_is_lost() -> None:
    words = play(buffer := PlayoutBuffer(), steady(range(500)), 500, phase=0.001)
    assert buffer.target == SOUND.least < SOUND.first
    assert "C" not in words
    assert [number for each in words if each != "S" for number in each.split("+")] == [
        str(number) for number in range(len(words) - words.count("S") + sum("+" in each for each in words))
    ]


def test_the_delay_grows_to_the_jitter_and_then_everything_is_in_time() -> None:
    generator = random.Random(1)
    arrivals = [(number * SLOT + generator.uniform(0, 0.120), packet(number)) for number in range(3000)]
    buffer = PlayoutBuffer()
    play(buffer, arrivals, 3000)
    assert 0.110 < buffer.target < 0.130
    assert buffer.concealed < 60
    assert buffer.played > 2_900


def test_a_lost_packet_is_recovered_only_from_one_that_carries_it() -> None:
    kept = [number for number in range(60) if number != 30]
    words = play(doubled := PlayoutBuffer(), steady(kept, DOUBLING), 60)
    assert "R" in words
    assert doubled.concealed == 0
    words = play(plain := PlayoutBuffer(), steady(kept), 60)
    assert words[words.index("29") + 1] == "C"
    assert plain.concealed == 1


def test_sound_that_repairs_counts_as_arriving_when_it_does() -> None:
    """Under loss the delay grows to what the repairs need, and then they are in time."""
    generator = random.Random(2)
    arrivals: list[tuple[float, AudioFrame]] = []
    for number in range(4000):
        late = 0.0
        while generator.random() < 0.2:
            late += SLOT  # the next packet has it too
        arrivals.append((number * SLOT + late, packet(number)))
    buffer = PlayoutBuffer()
    play(buffer, arrivals, 4000)
    assert buffer.played / (buffer.played + buffer.concealed) > 0.985
    assert 0.04 < buffer.target < 0.09


def test_a_stall_delays_sound_and_loses_none() -> None:
    arrivals = [(0.6 if 0.5 <= at < 0.6 else at, frame) for at, frame in steady(range(1500))]
    words = play(buffer := PlayoutBuffer(), arrivals, 1500)
    heard = [number for each in words if each not in "SCR" for number in each.split("+")]
    assert heard == [str(number) for number in range(len(heard))]
    assert buffer.concealed <= 5
    assert sum("+" in each for each in words) == 4  # calm again, the delay is given back


@pytest.mark.parametrize("drift", [-50e-6, 50e-6], ids=["its clock is fast", "its clock is slow"])
def test_who_was_muted_for_hours_is_heard_as_before_whatever_the_clocks_did(drift: float) -> None:
    muted = round(10 * 3600 / SLOT)
    buffer = PlayoutBuffer()
    play(buffer, steady(range(500)), 520)
    last = 500 + muted
    begins = last * SLOT * (1 + drift)
    arrivals = [(begins + number * SLOT, packet(last + number)) for number in range(150)]
    words = play(buffer, arrivals, 150, phase=begins + 0.001)
    assert buffer.target <= SOUND.first
    assert buffer.waiting(begins + 150 * SLOT) == pytest.approx(0.04, abs=SLOT)
    assert words.count("C") <= 1


@pytest.mark.parametrize("later", [0.0, 0.1, 0.4, 1.0])
def test_who_was_quiet_is_heard_again_although_it_comes_later(later: float) -> None:
    """Time went on while nothing was sent (DTX): over a longer way all that follows was late, for ever."""
    silence = AudioFrame(b"\x78 ", packet(100).pts, 0.0, 100)
    again = [(number * SLOT + later, packet(number, sequence=number - 299)) for number in range(400, 700)]
    buffer = PlayoutBuffer()
    words = play(buffer, [*steady(range(100)), (100 * SLOT, silence), *again], 700 + round(later / SLOT))
    heard = [int(number) for word in words if word[:1].isdigit() for number in word.split("+")]
    assert heard[-250:] == list(range(heard[-1] - 249, heard[-1] + 1))
    assert heard[-1] > 690
    assert buffer.late == 0


def test_a_far_end_that_falls_silent_is_not_loss() -> None:
    again = [(number * SLOT, packet(number, sequence=number - 195)) for number in range(200, 220)]
    words = play(buffer := PlayoutBuffer(), [*steady(range(5)), *again], 220)
    assert words.count("C") == GIVE_UP - 1
    assert words[100] == "S"
    assert [each for each in words if each.isdigit()][5:9] == ["200", "201", "202", "203"]
    assert buffer.concealed == 0


def test_quiet_that_is_not_sent_is_not_loss() -> None:
    """DTX: the timestamps jump, the sequence numbers do not."""
    hush = (20 * SLOT, AudioFrame(b" h", 9_000 + 20 * AUDIO_FRAME, 0.0, 20))
    again = [(number * SLOT, packet(number, sequence=number - 19)) for number in range(40, 60)]
    words = play(buffer := PlayoutBuffer(), [*steady(range(20)), hush, *again], 60)
    assert words[25:35] == ["C"] * 10  # comfort noise
    assert buffer.concealed == 0
    assert buffer.played >= 36


def test_late_and_repeated_packets_are_ignored() -> None:
    arrivals = [*steady(range(10)), (0.15, packet(1)), (0.16, packet(7)), (0.17, packet(7))]
    words = play(buffer := PlayoutBuffer(), arrivals, 10)
    assert words[2:] == [str(number) for number in range(8)]
    assert buffer.late >= 1


def test_a_burst_is_bounded_and_the_delay_comes_back() -> None:
    burst = [(0.0, packet(number)) for number in range(80)]
    after = [((number - 79) * SLOT, packet(number)) for number in range(80, 2000)]
    buffer = PlayoutBuffer()
    play(buffer, [*burst, *after], 1900)
    assert buffer.depth <= MOST
    waited = buffer.waiting(1900 * SLOT)
    assert waited is not None
    assert PATIENCE * SLOT == 0.3


def test_clocks_that_differ_cost_a_slot_now_and_then() -> None:
    """A far end that is 1000 ppm fast, for two minutes: six slots too many."""
    arrivals = [(number * SLOT * 0.999, packet(number)) for number in range(6000)]
    words = play(buffer := PlayoutBuffer(), arrivals, 6000, phase=0.003)
    assert buffer.concealed == 0
    assert 5 <= sum("+" in each for each in words) <= 9


def test_a_restarted_stream_begins_anew() -> None:
    buffer = PlayoutBuffer()
    play(buffer, steady(range(10)), 10)
    words = play(buffer, [(number * SLOT, packet(100_000 + number)) for number in range(10)], 12)
    assert words[-1].isdigit()
