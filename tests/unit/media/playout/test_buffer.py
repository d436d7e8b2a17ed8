"""The playout buffer by arithmetic on `now`: a slot every 20 ms, whatever the network does."""

from __future__ import annotations

from collections.abc import Iterable

from mediaagentd.media.playout.buffer import (
    EXCESS,
    GIVE_UP,
    MOST,
    PATIENCE,
    SLOT,
    TARGET,
    Fill,
    PlayoutBuffer,
)
from mediaagentd.media.types import AUDIO_FRAME, AudioFrame


def packet(number: int, start: int = 9_000) -> AudioFrame:
    return AudioFrame(b"%d" % number, start + number * AUDIO_FRAME, 0.0, number & 0xFFFF)


def play(buffer: PlayoutBuffer, arrivals: Iterable[tuple[float, int]], slots: int) -> list[str]:
    """Pulls at 0, 20, 40 ... ms what arrived before; one word per slot."""
    waiting = sorted(arrivals)
    words = []
    for index in range(slots):
        now = index * SLOT
        while waiting and waiting[0][0] <= now:
            time, number = waiting.pop(0)
            buffer.push(packet(number), time)
        slot = buffer.pull(now)
        words.append(slot.data.decode() if slot.fill is Fill.PACKET else slot.fill.name[0])
    return words


def test_it_gathers_60_ms_and_then_plays_without_a_gap() -> None:
    buffer = PlayoutBuffer()
    words = play(buffer, [(number * SLOT, number) for number in range(20)], 20)
    assert words[: TARGET - 1] == ["S"] * (TARGET - 1)
    assert words[TARGET - 1 :] == [str(number) for number in range(20 - TARGET + 1)]
    assert (buffer.played, buffer.concealed) == (20 - TARGET + 1, 0)


def test_jitter_within_the_target_is_not_heard() -> None:
    buffer = PlayoutBuffer()
    late = [(number * SLOT + (0.035 if number % 3 == 2 else 0.0), number) for number in range(30)]
    words = play(buffer, late, 30)
    assert "C" not in words
    assert "R" not in words


def test_one_lost_packet_is_recovered_from_the_next() -> None:
    buffer = PlayoutBuffer()
    words = play(buffer, [(number * SLOT, number) for number in range(12) if number != 5], 12)
    assert words[2:9] == ["0", "1", "2", "3", "4", "R", "6"]
    assert (buffer.played, buffer.concealed) == (10, 0)


def test_of_two_lost_packets_one_is_concealed() -> None:
    buffer = PlayoutBuffer()
    words = play(buffer, [(number * SLOT, number) for number in range(12) if number not in (5, 6)], 12)
    assert words[6:10] == ["4", "C", "R", "7"]
    assert buffer.concealed == 1


def test_a_far_end_that_falls_silent_is_not_loss() -> None:
    buffer = PlayoutBuffer()
    words = play(buffer, [(number * SLOT, number) for number in range(5)], 40)
    assert words.count("C") == GIVE_UP - 1
    assert words[-1] == "S"
    assert buffer.concealed == 0
    again = [(1.0 + number * SLOT, 200 + number) for number in range(5)]
    words = play(buffer, again, 60)
    assert [word for word in words if word.isdigit()] == ["200", "201", "202", "203", "204"]


def test_late_and_repeated_packets_are_ignored() -> None:
    buffer = PlayoutBuffer()
    arrivals = [(number * SLOT, number) for number in range(10)]
    words = play(buffer, [*arrivals, (0.15, 1), (0.16, 7), (0.17, 7)], 10)
    assert words[2:] == [str(number) for number in range(8)]


def test_a_burst_is_bounded_and_the_delay_comes_back_to_the_target() -> None:
    buffer = PlayoutBuffer()
    burst = [(0.0, number) for number in range(60)]
    steady = [((number - 59) * SLOT, number) for number in range(60, 2000)]
    play(buffer, [*burst, *steady], 1900)
    assert buffer.skipped >= 60 - MOST
    assert buffer.depth <= TARGET + EXCESS + 1
    assert PATIENCE * SLOT == 1.0


def test_a_restarted_stream_begins_anew() -> None:
    buffer = PlayoutBuffer()
    play(buffer, [(number * SLOT, number) for number in range(10)], 10)
    words = play(buffer, [(number * SLOT, 100_000 + number) for number in range(10)], 12)
    assert words[-1].isdigit()
