"""Sound whose every slot of 20 ms says its number, and what a peer of a benchmark hears of it.

A slot is two tones, one of ten below and one of ten above 2.5 kHz: a number modulo 100. Sound that was made
up for a lost packet goes on as before it, so it brings no new number: what a contender says about itself is
held against what can be read. Speech coders are not made for this: of two in a hundred the number is not
read although the packet was there (with the encoder at 24 kbit/s and FEC; none without).
"""

from __future__ import annotations

import threading
import wave
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from tests.integration.processes import REPOSITORY

SLOT = 960
"""Samples of 20 ms at 48 kHz."""

RATE = 48_000
SIDE = 10
NUMBERS = SIDE * SIDE
_LOW = 400.0 + 200.0 * np.arange(SIDE)
_HIGH = 2_600.0 + 200.0 * np.arange(SIDE)
"""Hz."""

_LEVEL = 6_000
_EDGE = 48
"""Samples in which a slot begins and ends, so that it does not click."""

_FROM = 420
"""The coder's sound is 6.5 ms late (312 samples): a decoded packet begins with the end of the slot before."""

LOUD = 500.0
"""Root mean square from which on a slot is not silent."""

NEAR = 4
"""Slots before and after that a number is compared with."""

FILE = REPOSITORY / "build" / "bench" / "sound-1.wav"

Samples = NDArray[np.int16]
_WINDOW = np.hanning(SLOT - _FROM)
_WAVES = _WINDOW * np.exp(
    -2j * np.pi * np.concatenate((_LOW, _HIGH))[:, None] * np.arange(SLOT - _FROM) / RATE
)


def slot(number: int) -> Samples:
    """The 20 ms that say `number` modulo 100; one after the other differ in both tones."""
    at = np.arange(SLOT)
    low, more = number % SIDE, number // SIDE % SIDE
    high = (low + more) % SIDE
    tones = sum(np.sin(2 * np.pi * pitch * at / RATE) for pitch in (_LOW[low], _HIGH[high]))
    said: Samples = (_LEVEL * tones * np.clip(np.minimum(at, at[::-1]) / _EDGE, 0, 1)).astype(np.int16)
    return said


def read(block: Samples) -> int:
    """The number that a slot says most likely."""
    strength = np.abs(_WAVES @ block[_FROM:].astype(np.float64))
    low, high = int(strength[:SIDE].argmax()), int(strength[SIDE:].argmax())
    return low + SIDE * ((high - low) % SIDE)


def loud(block: Samples) -> bool:
    """Whether there is any sound."""
    return float(np.sqrt(np.mean(block.astype(np.float64) ** 2))) >= LOUD


def ensure(path: Path = FILE) -> Path:
    """Writes a loop of two seconds unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".part")
        with wave.open(str(unfinished), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes(b"".join(slot(number).tobytes() for number in range(NUMBERS)))
        unfinished.rename(path)
    return path


class Heard(TypedDict):
    """Slots that were played, how many of them were not silent, and how many said the number that was due."""

    slots: int
    loud: int
    numbered: int


class Ears:
    """`heard` may be called in any thread, with 20 ms at a time."""

    def __init__(self) -> None:
        self.count = 0
        """Slots with sound so far."""
        self._listening = False
        self._kept: list[Samples] = []
        self._lock = threading.Lock()

    def heard(self, block: Samples) -> None:
        """A slot was played."""
        self.count += loud(block)
        if self._listening:
            with self._lock:
                self._kept.append(block.copy())

    def listen(self) -> None:
        """From now on."""
        with self._lock:
            self._kept.clear()
        self._listening = True

    def tell(self) -> Heard:
        """What was heard since `listen`; takes a while."""
        self._listening = False
        with self._lock:
            blocks, self._kept = self._kept, []
        sounding = [block for block in blocks if loud(block)]
        return {"slots": len(blocks), "loud": len(sounding), "numbered": in_order(list(map(read, sounding)))}


def in_order(numbers: list[int]) -> int:
    """How many of them come when their neighbours say that they should: as many slots after (or before) one
    of the `NEAR` on either side as their number says. A repeated number has no such neighbour.
    """
    places = [(number - at) % NUMBERS for at, number in enumerate(numbers)]
    return sum(
        place in places[max(0, at - NEAR) : at] or place in places[at + 1 : at + 1 + NEAR]
        for at, place in enumerate(places)
    )
