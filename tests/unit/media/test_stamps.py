"""Timestamps of sound: nothing that was captured is lost, whatever its thread and its clock do."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.media.stamps import CERTAIN, RECENT, Stamps
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

SECOND = AUDIO_CLOCK // AUDIO_FRAME


def steps(arrivals: list[float]) -> list[int]:
    """From block to block, in blocks; `arrivals` in blocks of time."""
    stamps = Stamps()
    made = [stamp for each in arrivals if (stamp := stamps.next(round(each * AUDIO_FRAME))) is not None]
    assert all((late - early) % AUDIO_FRAME == 0 for early, late in pairwise(made))
    return [(late - early) // AUDIO_FRAME for early, late in pairwise(made)]


@pytest.mark.parametrize("held", [3, 5, 9, 12])
def test_blocks_that_come_late_and_together_are_all_there(held: int) -> None:
    before, after = list(range(50)), list(range(50 + held, 200))
    assert set(steps([*before, *[50 + held] * held, *after])) == {1}


@pytest.mark.parametrize("lost", [4, 5, 9])
def test_blocks_that_are_missing_are_left_out_soon(lost: int) -> None:
    made = steps([*range(50), *range(50 + lost, 200)])
    gaps = [(number, step) for number, step in enumerate(made) if step != 1]
    assert gaps == [(49 + RECENT - 1, lost + 1)]


def test_a_microphone_that_was_off_goes_on_at_its_time() -> None:
    assert steps([*range(50), *range(550, 600)])[49] == 501


def test_a_thread_that_was_held_up_for_long_loses_nothing_that_was_kept() -> None:
    held = 2 * CERTAIN // AUDIO_FRAME
    made = steps([*range(50), *[50 + held] * held, *range(50 + held, 300)])
    assert min(made) == 1
    assert len(made) == 299


def test_what_a_sound_server_kept_for_a_process_that_stood_still_is_let_go() -> None:
    """40 s of it, at once; afterwards sound has the times at which it is captured."""
    stamps, now = Stamps(), 40 * AUDIO_CLOCK
    for number in range(50):
        stamps.next(number * AUDIO_FRAME)
    taken = [stamps.next(now) for _ in range(40 * SECOND)]
    assert len([stamp for stamp in taken if stamp is not None]) <= 52
    for number in range(10 * SECOND):
        stamp = stamps.next(now + number * AUDIO_FRAME)
    assert stamp is not None
    assert abs(stamp + stamps.usual - (now + number * AUDIO_FRAME)) <= AUDIO_FRAME


@pytest.mark.parametrize("off", [-300e-6, 300e-6])
def test_a_clock_that_drifts_is_followed_without_a_gap(off: float) -> None:
    assert set(steps([number * (1 + off) + (number % 7) / 10 for number in range(4 * 3600 * SECOND)])) == {1}


@given(st.lists(st.floats(0, 40), max_size=200))
def test_no_time_is_used_twice(waits: list[float]) -> None:
    now, arrivals = 0.0, []
    for wait in waits:
        now += wait
        arrivals.append(now)
    assert min(steps(arrivals), default=1) >= 1
