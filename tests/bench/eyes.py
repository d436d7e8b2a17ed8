"""What a peer of a benchmark sees: counts pictures, notes when which one came, and compares some with the
originals. The same for every contender, so that none pays more for being watched.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import TypedDict

import av
import numpy as np
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of

from tests.bench import content


class Eyes:
    """`saw` may be called in any thread. Times are `time.monotonic()` seconds; `film` has the originals."""

    def __init__(self, film: Path = content.FILE) -> None:
        self.count = 0
        self._film = film
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
        self.saw_luma(luma_of(frame))

    def saw_luma(self, picture: content.Luma) -> None:
        """The same, without its colours."""
        now = time.monotonic()
        self.count += 1
        if self._stamping:
            self._decoded.append((read_counter(picture), now))
        if self._wanted > len(self._kept):
            self._kept.append(picture.copy())
            if len(self._kept) == self._wanted:
                self._full.set()

    def stamp(self, on: bool) -> None:
        """Begins or ends to note times."""
        self._stamping = on

    def stamps(self) -> dict[str, object]:
        """What was noted."""
        return {"captured": self._captured, "decoded": self._decoded}

    def take_stamps(self) -> dict[str, object]:
        """What was noted since the last time."""
        told = self.stamps()
        self._captured, self._decoded = [], []
        return told

    def first_since(self, when: float) -> float | None:
        """Of the pictures noted, when the first one with a number was decoded at or after `when`."""
        return next((at for number, at in self._decoded if at >= when and number is not None), None)

    def sample(self, count: int) -> Compared:
        """Waits for `count` pictures and compares them; not on the event loop."""
        self._full.clear()
        self._kept, self._wanted = [], count
        self._full.wait(count / 5 + 5)
        self._wanted = 0
        return compare(self._kept, self._film)


class Compared(TypedDict):
    """PSNR in dB of each against the original that its number names; how many had no number; how many
    different numbers there were (a frozen picture has one).
    """

    psnr: list[float]
    unread: int
    different: int


def compare(pictures: list[content.Luma], film: Path = content.FILE) -> Compared:
    """Compares pictures with the originals that they claim to be."""
    originals = content.originals(film)
    shape = luma_of(originals[0]).shape
    values: list[float] = []
    unread, numbers = 0, set()
    for picture in pictures:
        number = read_counter(picture)
        if number is None or number >= content.FRAMES:
            unread += 1
            continue
        numbers.add(number)
        values.append(psnr(_scaled(picture, shape), luma_of(originals[number])))
    return {"psnr": values, "unread": unread, "different": len(numbers)}


def _scaled(picture: content.Luma, shape: tuple[int, ...]) -> content.Luma:
    """As a viewer sees it who asked for the full size: an end that sends smaller ones pays for it."""
    if picture.shape == shape:
        return picture
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="gray")
    return luma_of(frame.reformat(shape[1], shape[0], format="gray"))


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
