"""Voices and rooms for tests of sound, at `AUDIO_CLOCK`, on the scale of 16 bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mediaagentd.media.capture.types import Samples
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME
from numpy.typing import NDArray


def babble(seconds: float, seed: int) -> NDArray[np.float64]:
    """Noise in the rhythm of words."""
    count = round(seconds * AUDIO_CLOCK)
    hiss = np.convolve(np.random.default_rng(seed).standard_normal(count), [1, 0.9, 0.7, 0.4], "same")
    time = np.arange(count) / AUDIO_CLOCK
    words = np.sin(2 * np.pi * 2.3 * time + seed) + np.sin(2 * np.pi * 0.7 * time)
    return np.asarray(hiss * np.clip(words, 0, None) * 2000)


def room(played: NDArray[np.float64], late: float) -> NDArray[np.float64]:
    """What of it a microphone hears, `late` seconds after it was given to the speaker."""
    walls = np.random.default_rng(9).standard_normal(2400) * np.exp(-np.arange(2400) / 500)
    echo = np.convolve(played, 0.5 * walls / np.sqrt((walls**2).sum()))[: len(played)]
    return np.concatenate([np.zeros(round(late * AUDIO_CLOCK)), echo])[: len(played)]


def blocks(sound: NDArray[np.float64]) -> NDArray[np.int16]:
    """In rows of 20 ms."""
    return np.clip(sound, -32_000, 32_000).astype(np.int16).reshape(-1, AUDIO_FRAME)


def loudness(sound: Sequence[Samples] | Samples) -> float:
    """In dB."""
    return float(10 * np.log10(max(1e-3, np.mean(np.concatenate(sound).astype(float) ** 2))))
