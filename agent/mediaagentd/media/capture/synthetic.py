"""A camera and a microphone that need no device, and look and sound alive."""

from __future__ import annotations

import functools
import math
import threading
import time
from dataclasses import dataclass

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from mediaagentd.media.capture.lettering import HEIGHT, draw_text
from mediaagentd.media.capture.pattern import BLOCKS_PER_HEIGHT, LIMIT, ROWS, draw_counter
from mediaagentd.media.capture.planes import Plane, plane
from mediaagentd.media.capture.types import RawPicture, RawSound, Samples
from mediaagentd.media.pause import pause
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, Size

LATE = 0.25
"""Seconds that a source may be late before it leaves out what it missed."""


class Pace:
    """Ticks of a fixed interval in seconds, `aligned` at its multiples; leaves out ticks when `LATE`."""

    def __init__(self, interval: float, *, aligned: bool = False) -> None:
        self._interval = interval
        self._aligned = aligned
        self._next: float | None = None
        self.due = 0.0
        """When the last tick was to be, seconds of `time.monotonic()`."""

    def wait(self, stopping: threading.Event) -> bool:
        """Waits for the next tick; False when `stopping` was set."""
        now = time.monotonic()
        if self._next is None or now - self._next > LATE:
            self._next = math.ceil(now / self._interval) * self._interval if self._aligned else now
        self.due = self._next
        left = self._next - now
        self._next += self._interval
        return pause(left, stopping)


@dataclass(frozen=True, slots=True)
class _Scene:
    """Planes larger than the picture, to pan over: two lumas that differ by noise, as a sensor's do."""

    lumas: tuple[Plane, Plane]
    chromas: tuple[Plane, Plane]
    room_x: int
    room_y: int


@functools.lru_cache(maxsize=2)
def _scene(size: Size) -> _Scene:
    """Texture of several scales, a tenth larger than the picture; the same for every run."""
    random = np.random.default_rng(7)
    room_x, room_y = size.width // 10 // 2 * 2, size.height // 10 // 2 * 2
    height, width = size.height + room_y, size.width + room_x
    texture = np.full((height, width), 120.0, np.float32)
    for step, contrast in ((size.height // 4, 26.0), (size.height // 15, 14.0), (12, 9.0), (4, 5.0)):
        grid = random.standard_normal((height // step + 2, width // step + 2)).astype(np.float32)
        texture += contrast * _enlarge(grid, height, width)
    noise = random.standard_normal((2, height, width), np.float32) * 1.5
    first, second = (np.clip(texture + layer, 20, 230).astype(np.uint8) for layer in noise)
    colours = []
    for _ in range(2):
        grid = random.standard_normal((6, 8)).astype(np.float32)
        colours.append(np.clip(128 + 14 * _enlarge(grid, height // 2, width // 2), 60, 196).astype(np.uint8))
    return _Scene((first, second), (colours[0], colours[1]), room_x, room_y)


def _enlarge(grid: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Linear interpolation of a coarse grid to (height, width)."""
    rows = np.linspace(0, grid.shape[0] - 1.001, height, dtype=np.float32)
    columns = np.linspace(0, grid.shape[1] - 1.001, width, dtype=np.float32)
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], columns - left
    upright = grid[top] * (1 - down) + grid[top + 1] * down
    level: NDArray[np.float32] = upright[:, left] * (1 - right) + upright[:, left + 1] * right
    return level


class SyntheticCamera:
    """A `VideoReader`: a textured picture that is panned, with the frame's number for machines
    (`pattern`) and, for people, the wall clock, the number and a label.
    """

    def __init__(self, size: Size, fps: int, label: str = "") -> None:
        self._size = size
        self._label = label
        self._pace = Pace(1 / fps)
        self._number = 0

    def open(self) -> None:
        """Makes the scene, once per size."""
        _scene(self._size)

    def read(self, stopping: threading.Event) -> RawPicture | None:
        """The next picture when its time has come."""
        if not self._pace.wait(stopping):
            return None
        self._number = (self._number + 1) % LIMIT
        return self.picture(self._number)

    def close(self) -> None:
        """Nothing to free."""

    def picture(self, number: int) -> RawPicture:
        """The picture of that number, as of now."""
        scene, size = _scene(self._size), self._size
        frame = VideoFrame(size.width, size.height, "yuv420p")
        x = int((1 + math.sin(number / 41)) / 2 * scene.room_x) // 2 * 2
        y = int((1 + math.sin(number / 57)) / 2 * scene.room_y) // 2 * 2
        luma = plane(frame, 0)
        _pan(luma, scene.lumas[number % 2], x, y)
        _pan(plane(frame, 1), scene.chromas[0], x // 2, y // 2)
        _pan(plane(frame, 2), scene.chromas[1], x // 2, y // 2)
        self._write(luma, number)
        return RawPicture(frame, time.monotonic())

    def _write(self, luma: Plane, number: int) -> None:
        draw_counter(luma, number)
        height = luma.shape[0]
        dot = max(1, height // 180)
        now = time.time()
        clock = f"{time.strftime('%H:%M:%S', time.localtime(now))}.{int(now % 1 * 1000):03d}"
        top = (ROWS + 1) * (height // BLOCKS_PER_HEIGHT)
        for line in (clock, f"#{number:07d}", self._label):
            if line:
                draw_text(luma, f" {line} ", top, 0, dot)
            top += HEIGHT * dot


def _pan(target: Plane, source: Plane, x: int, y: int) -> None:
    height, width = target.shape
    target[:] = source[y : y + height, x : x + width]


class SyntheticMicrophone:
    """An `AudioReader`: a steady tone of `hertz`, or something like speech when that is None."""

    def __init__(self, hertz: float | None = None) -> None:
        self._hertz = hertz
        self._pace = Pace(AUDIO_FRAME / AUDIO_CLOCK)
        self._position = 0
        self._blocks = np.zeros((0, AUDIO_FRAME), np.int16)

    def open(self) -> None:
        """Makes the sound: a loop of whole periods, and of whole blocks."""
        loop = speech() if self._hertz is None else tone(self._hertz)
        self._blocks = loop.reshape(-1, AUDIO_FRAME)

    def read(self, stopping: threading.Event) -> RawSound | None:
        """The next 20 ms when their time has come."""
        if not self._pace.wait(stopping):
            return None
        block = self._blocks[self._position]
        self._position = (self._position + 1) % len(self._blocks)
        return RawSound(block, time.monotonic())

    def close(self) -> None:
        """Nothing to free."""


def tone(hertz: float, seconds: float = 1.0) -> Samples:
    """A sine of about a third of full scale; a loop of it has no click when `hertz * seconds` is whole."""
    time_axis = np.arange(int(AUDIO_CLOCK * seconds)) / AUDIO_CLOCK
    return (10_000 * np.sin(2 * np.pi * hertz * time_axis)).astype(np.int16)


@functools.lru_cache(maxsize=1)
def speech() -> Samples:
    """Four seconds of a voice without words: harmonics of a gliding pitch under four syllables a second,
    with a pause.
    """
    time_axis = np.arange(AUDIO_CLOCK * 4) / AUDIO_CLOCK
    pitch = 130 + 25 * np.sin(2 * np.pi * 0.5 * time_axis)
    phase = 2 * np.pi * np.cumsum(pitch) / AUDIO_CLOCK
    formants = ((1, 0.5), (2, 0.7), (3, 0.5), (4, 0.9), (5, 0.6), (8, 0.3), (9, 0.35), (18, 0.15))
    voice = sum((gain * np.sin(n * phase) for n, gain in formants), np.zeros_like(phase))
    syllables = np.clip(np.sin(2 * np.pi * 2 * time_axis), 0, None) ** 0.6
    talking = (time_axis % 4 < 3.2).astype(float)
    samples: Samples = (4_000 * voice * syllables * talking).astype(np.int16)
    return samples
