"""Sinks of the tests, and what is heard in them."""

from __future__ import annotations

import threading

import numpy as np
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.types import Samples
from mediaagentd.media.types import AUDIO_CLOCK


def loudest(sound: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * AUDIO_CLOCK / len(sound))


class Heard:
    """A sink that keeps what it hears and tells when it is enough."""

    wants_sound = True
    channels = 1

    def __init__(self, enough: int) -> None:
        self.blocks: list[Samples] = []
        self.is_open = False
        self.given_back = threading.Event()
        self.full = threading.Event()
        self._enough = enough

    def open(self) -> None:
        assert not self.is_open
        self.is_open = True

    def room(self) -> int | None:
        return None

    def write(self, samples: Samples) -> bool:
        self.blocks.append(samples)
        if len(self.blocks) == self._enough:
            self.full.set()
        return True

    def rest(self) -> None:
        self.is_open = False
        self.given_back.set()

    def close(self) -> None: ...


class Unplugged(Heard):
    """A speaker that fails once, and was plugged in again."""

    def __init__(self) -> None:
        super().__init__(1)
        self.failed = threading.Event()

    def write(self, samples: Samples) -> bool:
        if not self.failed.is_set():
            self.failed.set()
            raise Refused(Reason.DEVICE_FAILED, "unplugged")
        return super().write(samples)
