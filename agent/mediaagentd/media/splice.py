"""One endless stream out of several connections: whoever plays, decodes or records does not see where
one ended and the next began, but for a gap as long as it was. Pure.
"""

from __future__ import annotations

from typing import TypeVar

from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, VIDEO_CLOCK, AudioFrame, VideoFrame

Frame = TypeVar("Frame", AudioFrame, VideoFrame)

VIDEO_STEP = VIDEO_CLOCK // 30
"""The least distance of two pictures at a seam."""


class Splice:
    """The frames of one kind and user. Generations rise; what comes late of an older one than the newest
    that has delivered is left out.
    """

    def __init__(self, clock: int, step: int) -> None:
        self._clock = clock
        self._step = step
        self._generation: int | None = None
        self._shift = 0
        self._sequence_shift = 0
        self._last: AudioFrame | VideoFrame | None = None

    def place(self, generation: int, frame: Frame) -> Frame | None:
        """The frame at its place in the endless stream, None when it is left out."""
        if self._generation is not None and generation < self._generation:
            return None
        if generation != self._generation:
            self._join(frame)
            self._generation = generation
        if not self._shift and not self._sequence_shift:
            placed = frame
        elif isinstance(frame, AudioFrame):
            sequence = (frame.sequence + self._sequence_shift) & 0xFFFF
            placed = frame._replace(pts=frame.pts + self._shift, sequence=sequence)
        else:
            placed = frame._replace(pts=frame.pts + self._shift)
        if self._last is None or placed.pts > self._last.pts:
            self._last = placed
        return placed

    def _join(self, frame: AudioFrame | VideoFrame) -> None:
        """Puts the first frame of a generation as far behind the last one as it arrived after it."""
        last = self._last
        if last is None:
            return
        elapsed = max(0.0, frame.captured - last.captured)
        steps = max(1, round(elapsed * self._clock / self._step))
        self._shift = last.pts + steps * self._step - frame.pts
        if isinstance(frame, AudioFrame) and isinstance(last, AudioFrame):
            self._sequence_shift = last.sequence + steps - frame.sequence


def audio() -> Splice:
    """For Opus packets of 20 ms."""
    return Splice(AUDIO_CLOCK, AUDIO_FRAME)


def video() -> Splice:
    """For pictures."""
    return Splice(VIDEO_CLOCK, VIDEO_STEP)
