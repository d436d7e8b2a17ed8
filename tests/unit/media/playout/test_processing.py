"""Voice processing in a simulated room: the speaker is heard by the microphone, through walls and late."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from mediaagentd.media.capture.types import RawSound
from mediaagentd.media.playout.processing import IDLE, Unprocessed, WebrtcProcessor, make_processor
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, VOICE, SoundStyle
from mediaagentd.media.voice import AS_SUITS, NOTHING, Processing, ProcessingWish

from tests.fakes.voices import babble, blocks, loudness, room

ECHO = Processing(echo_cancellation=True)
SECOND = AUDIO_CLOCK // AUDIO_FRAME
"""Blocks."""


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock of the processor."""
    time = [1000.0]
    monkeypatch.setattr("mediaagentd.media.playout.processing.time.monotonic", lambda: time[0])
    return time


@pytest.mark.parametrize("late", [0.03, 0.1, 0.2])
def test_an_echo_is_taken_out_and_a_voice_is_left(now: list[float], late: float) -> None:
    played, voice = babble(8, 1), babble(8, 2)
    voice[: 6 * AUDIO_CLOCK] = 0
    played[6 * AUDIO_CLOCK :] = 0
    heard = blocks(room(played, late) + voice)
    processor, sent = WebrtcProcessor(ECHO), []
    for number, block in enumerate(blocks(played)):
        now[0] += 0.02
        processor.played(block)
        sent.append(processor.heard(RawSound(heard[number], now[0])).samples)
    echo, left = list(heard[3 * SECOND : 6 * SECOND]), sent[3 * SECOND : 6 * SECOND]
    assert loudness(echo) - loudness(left) > 25
    assert loudness(sent[7 * SECOND :]) == pytest.approx(loudness(list(heard[7 * SECOND :])), abs=3)


def test_a_microphone_that_was_off_hears_no_echo_afterwards(now: list[float]) -> None:
    played = babble(20, 1)
    heard, shown = blocks(room(played, 0.1)), blocks(played)
    processor, sent = WebrtcProcessor(ECHO), []
    for number, block in enumerate(shown):
        now[0] += 0.02
        processor.played(block)
        if not 5 * SECOND <= number < 15 * SECOND:
            sent.append(processor.heard(RawSound(heard[number], now[0])).samples)
    first = slice(5 * SECOND, 6 * SECOND)
    assert loudness(list(heard[15 * SECOND : 16 * SECOND])) - loudness(sent[first]) > 20
    assert IDLE < 1


def test_two_channels_stay_two(now: list[float]) -> None:
    processor = WebrtcProcessor(Processing(noise_suppression=True))
    block = np.stack([blocks(babble(0.02, 3))[0]] * 2, axis=1)
    done = processor.heard(RawSound(block, now[0]))
    assert done.samples.shape == (AUDIO_FRAME, 2)
    assert done.captured == now[0]


def test_one_that_fails_leaves_the_sound_as_it_is(now: list[float]) -> None:
    processor = WebrtcProcessor(ECHO)
    assert processor.does == ECHO
    odd = RawSound(np.ones(7, np.int16), now[0])
    assert processor.heard(odd).samples is odd.samples
    assert processor.does is NOTHING
    whole = RawSound(blocks(babble(0.02, 3))[0], now[0])
    assert processor.heard(whole) is whole
    processor.played(whole.samples)


def test_where_the_package_is_missing_nothing_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "livekit", None)
    assert isinstance(make_processor(ECHO), Unprocessed)
    assert make_processor(ECHO).does is NOTHING


def test_what_suits() -> None:
    everything = Processing(True, True, True)
    assert AS_SUITS.suited(VOICE, from_card=True, to_card=True) == everything
    assert AS_SUITS.suited(VOICE, from_card=True, to_card=False) == Processing(False, True, True)
    for style in (SoundStyle(music=True), SoundStyle(stereo=True)):
        assert not AS_SUITS.suited(style, from_card=True, to_card=True)
    assert not AS_SUITS.suited(VOICE, from_card=False, to_card=True)
    told = ProcessingWish(echo_cancellation=True, gain_control=False)
    assert told.suited(VOICE, from_card=False, to_card=False) == ECHO
    assert told.suited(VOICE, from_card=True, to_card=True) == Processing(True, True, False)
    assert everything.words == ("echo cancellation", "noise suppression", "gain control")
