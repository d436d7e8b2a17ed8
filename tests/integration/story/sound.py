"""What was heard, by its tone."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path

import numpy as np
from mediaagentd.demo.watching import Watch
from numpy.typing import NDArray

RATE = 48_000
Samples = NDArray[np.float64]


def samples(file: Path) -> Samples:
    """The mono samples of a WAV file, also of one that is still being written."""
    with wave.open(str(file), "rb") as opened:
        assert (opened.getframerate(), opened.getnchannels()) == (RATE, 1)
        data = opened.readframes(opened.getnframes())
    return np.frombuffer(data, "<i2").astype(np.float64)


async def listen(file: Path, watch: Watch, seconds: float) -> Samples:
    """What was written to the file while `seconds` of pictures were seen: they pace the time. The first
    half is left out, so that what was before has left the buffers.
    """
    began = len(samples(file))
    async with asyncio.timeout(seconds * 3 + 10):
        await watch.more_numbers(int(30 * seconds))
    sound = samples(file)[began:]
    assert len(sound) > RATE * seconds / 2
    return sound[len(sound) // 2 :]


def level_of(sound: Samples, hertz: float) -> float:
    """Amplitude of that tone in the sound, in sample units."""
    window = np.hanning(len(sound))
    phase = 2j * np.pi * hertz * np.arange(len(sound)) / RATE
    return float(2 * abs((sound * window * np.exp(-phase)).sum()) / window.sum())


def pitch_of(sound: Samples) -> float:
    """The strongest frequency in the sound, in Hz."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * RATE / len(sound))
