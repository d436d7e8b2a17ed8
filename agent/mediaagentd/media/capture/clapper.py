"""A clapperboard: a white square in the picture and a beep at the beginning of every second of the machine's
monotonic clock, so that whoever watches the far end can tell whether lips and voice are together.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np

from mediaagentd.media.capture.planes import Plane, luma_of
from mediaagentd.media.capture.synthetic import Pace, SyntheticCamera, tone
from mediaagentd.media.capture.types import RawPicture, RawSound
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, Size

LASTS = 0.1
"""Seconds of a clap: three pictures, five blocks of sound."""

HERTZ = 1000.0
_BLOCK = AUDIO_FRAME / AUDIO_CLOCK
_ROUNDING = 0.001


def claps(time: float) -> bool:
    """Whether there is a clap at that time, in seconds."""
    return (time + _ROUNDING) % 1.0 < LASTS


def square(luma: Plane) -> Plane:
    """The part of a picture of shape (height, width) in which the clap is seen: in its middle."""
    height, width = luma.shape
    return luma[height // 3 : height * 2 // 3, width // 3 : width * 2 // 3]


class ClappingCamera(SyntheticCamera):
    """The synthetic camera with claps; a `VideoReader`."""

    def __init__(self, size: Size, fps: int, label: str = "") -> None:
        super().__init__(size, fps, label)
        self._pace = Pace(1 / fps, aligned=True)

    def read(self, stopping: threading.Event) -> RawPicture | None:
        """See `VideoReader.read`."""
        picture = super().read(stopping)
        if picture is None:
            return None
        if claps(self._pace.due):
            square(luma_of(picture.frame))[:] = 235
        return replace(picture, captured=self._pace.due)


class ClappingMicrophone:
    """Silence between beeps; an `AudioReader`."""

    def __init__(self) -> None:
        self._pace = Pace(_BLOCK, aligned=True)
        self._beep = tone(HERTZ)[:AUDIO_FRAME]
        self._silence = np.zeros(AUDIO_FRAME, np.int16)

    def open(self) -> None:
        """Nothing to open."""

    def read(self, stopping: threading.Event) -> RawSound | None:
        """See `AudioReader.read`: a block is there when its last sample is."""
        if not self._pace.wait(stopping):
            return None
        return RawSound(self._beep if claps(self._pace.due - _BLOCK) else self._silence, self._pace.due)

    def close(self) -> None:
        """Nothing to free."""
