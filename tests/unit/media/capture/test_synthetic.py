"""Synthetic devices: on time, alive, and what they say they are."""

from __future__ import annotations

import threading

import numpy as np
from mediaagentd.media.capture.lettering import draw_text
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.capture.synthetic import SyntheticCamera, SyntheticMicrophone, speech, tone
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, Size


def test_two_pictures_differ_all_over() -> None:
    camera = SyntheticCamera(Size(640, 480), 30)
    first, second = (luma_of(camera.picture(number).frame).astype(int) for number in (10, 40))
    blocks = np.abs(first - second)[240:, :].reshape(8, 30, 16, 40).mean(axis=(1, 3))
    assert blocks.min() > 1, "every part of the picture moves"


def test_a_label_can_be_seen() -> None:
    size = Size(640, 480)
    plain, labelled = SyntheticCamera(size, 30).picture(5), SyntheticCamera(size, 30, "bob").picture(5)
    assert not np.array_equal(luma_of(plain.frame), luma_of(labelled.frame))


def test_text_that_does_not_fit_is_cut_off() -> None:
    luma = np.zeros((10, 10), np.uint8)
    draw_text(luma, "a very long line", 5, 5, 3)
    assert luma[:5].max() == 0


def test_the_tone_is_the_tone() -> None:
    spectrum = np.abs(np.fft.rfft(tone(440.0)))
    assert int(spectrum.argmax()) == 440


def test_speech_has_syllables_and_a_pause() -> None:
    loudness = np.abs(speech().astype(int)).reshape(-1, AUDIO_FRAME).mean(axis=1)
    assert loudness.max() > 1_000
    assert (loudness < 10).sum() > 20
    assert len(speech()) == 4 * AUDIO_CLOCK


def test_a_microphone_gives_20_ms_until_it_is_stopped() -> None:
    microphone = SyntheticMicrophone(1000.0)
    microphone.open()
    stopping = threading.Event()
    sound = [microphone.read(stopping) for _ in range(4)]
    assert all(block is not None and len(block.samples) == AUDIO_FRAME for block in sound)
    times = [block.captured for block in sound if block is not None]
    assert 0.04 < times[-1] - times[0] < 0.5
    stopping.set()
    assert microphone.read(stopping) is None
