"""The ports of capture: what a camera and a microphone are to the rest of `media`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from mediaagentd.errors import Refused
from mediaagentd.media.types import VideoFrame as EncodedPicture

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class RawPicture:
    """A picture in 4:2:0 planes (`yuv420p`, limited range). Shared between readers: the planes are never
    written to. `captured`: `time.monotonic()` seconds. An encoder writes its own pts and picture type
    into the frame, so it holds `guard` meanwhile.
    """

    frame: VideoFrame
    captured: float
    guard: threading.Lock = field(default_factory=threading.Lock, compare=False)


class RawSound(NamedTuple):
    """20 ms of sound: `AUDIO_FRAME` samples of 16 bits at 48 kHz, (`AUDIO_FRAME`, 2) of two channels;
    `captured` as in `RawPicture`.
    """

    samples: Samples
    captured: float


Captured = RawPicture | EncodedPicture
"""What a camera gives: pictures, and what it has encoded itself."""

PictureSink = Callable[[RawPicture], None]
CaptureSink = Callable[[Captured], None]
SoundSink = Callable[[RawSound], None]
Lost = Callable[[Refused], None]
"""Told once when a source has stopped working for good. All of these are called in the source's thread and
must not block."""


class VideoSource(Protocol):
    """A camera. `probe` and `stop` block, for a bounded time: not for the event loop."""

    def probe(self) -> None:
        """Really opens the device, waits for one picture and closes it again.

        Raises: Refused DEVICE_NOT_FOUND, DEVICE_PERMISSION or DEVICE_FAILED.
        """

    def start(self, sink: CaptureSink, lost: Lost) -> None:
        """Begins to deliver; errors go to `lost`."""

    def stop(self) -> None:
        """Ends; nothing is delivered after it."""


class AudioSource(Protocol):
    """A microphone; `stop` blocks for a bounded time."""

    def start(self, sink: SoundSink, lost: Lost) -> None:
        """Begins to deliver; errors go to `lost`."""

    def stop(self) -> None:
        """Ends; nothing is delivered after it."""


class VideoReader(Protocol):
    """A camera as a driver writes it: blocking, used by one thread. `camera.ThreadedCamera` makes a
    `VideoSource` of it.
    """

    def open(self) -> None:
        """Raises Refused."""

    def read(self, stopping: threading.Event) -> Captured | None:
        """What comes next, in its time; None when `stopping` was set meanwhile. Raises Refused."""

    def close(self) -> None:
        """Frees the device; never raises."""


class AudioReader(Protocol):
    """A microphone as a driver writes it, likewise."""

    def open(self) -> None:
        """Raises Refused."""

    def read(self, stopping: threading.Event) -> RawSound | None:
        """The next 20 ms, in their time; None when `stopping` was set meanwhile. Raises Refused."""

    def close(self) -> None:
        """Frees the device; never raises."""
