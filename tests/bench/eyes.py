"""What a peer of a benchmark sees: counts pictures, notes when which one came, and compares some with the
originals. The same for every contender, so that none pays more for being watched.
"""

from __future__ import annotations

import threading
import time
from typing import TypedDict

import av
import numpy as np
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of

from tests.bench import content


class Eyes:
    """`saw` may be called in any thread. Times are `time.monotonic()` seconds."""

    def __init__(self) -> None:
        self.count = 0
        self._stamping = False
        self._wanted = 0
        self._captured: list[tuple[int, float]] = []
        self._decoded: list[tuple[int | None, float]] = []
        self._kept: list[content.Luma] = []
        self._full = threading.Event()

    def showed(self, number: int, when: float) -> None:
        """Picture `number` of the loop was captured."""
        if self._stamping:
            self._captured.append((number % content.FRAMES, when))

    def saw(self, frame: av.VideoFrame) -> None:
        """A picture has been decoded."""
        now = time.monotonic()
        self.count += 1
        if self._stamping:
            self._decoded.append((read_counter(luma_of(frame)), now))
        if self._wanted > len(self._kept):
            self._kept.append(luma_of(frame).copy())
            if len(self._kept) == self._wanted:
                self._full.set()

    def stamp(self, on: bool) -> None:
        """Begins or ends to note times."""
        self._stamping = on

    def stamps(self) -> dict[str, object]:
        """What was noted."""
        return {"captured": self._captured, "decoded": self._decoded}

    def sample(self, count: int) -> Compared:
        """Waits for `count` pictures and compares them; not on the event loop."""
        self._full.clear()
        self._kept, self._wanted = [], count
        self._full.wait(count / 5 + 5)
        self._wanted = 0
        return compare(self._kept)


class Compared(TypedDict):
    """PSNR in dB of each against the original that its number names; how many had no number; how many
    different numbers there were (a frozen picture has one).
    """

    psnr: list[float]
    unread: int
    different: int


def compare(pictures: list[content.Luma]) -> Compared:
    """Compares pictures with the originals that they claim to be."""
    values: list[float] = []
    unread, numbers = 0, set()
    for picture in pictures:
        number = read_counter(picture)
        if number is None or number >= content.FRAMES or picture.shape != (content.HEIGHT, content.WIDTH):
            unread += 1
            continue
        numbers.add(number)
        values.append(psnr(picture, luma_of(content.originals()[number])))
    return {"psnr": values, "unread": unread, "different": len(numbers)}


def psnr(picture: content.Luma, original: content.Luma) -> float:
    """Peak signal to noise ratio of two lumas, in dB."""
    error = picture.astype(np.int32) - original
    mean = float(np.mean(error * error))
    return 99.0 if mean == 0 else float(10 * np.log10(255 * 255 / mean))


def latencies(captured: list[tuple[int, float]], decoded: list[tuple[int | None, float]]) -> list[float]:
    """Milliseconds from the capture of a picture to its being decoded at the far end. A number comes again
    after a loop of three seconds; the latest capture before the decoding is meant.
    """
    found = []
    for number, when in decoded:
        before = [at for shown, at in captured if shown == number and at <= when]
        if before:
            found.append((when - max(before)) * 1000)
    return found
