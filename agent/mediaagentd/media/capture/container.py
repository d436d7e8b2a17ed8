"""Cameras and microphones that FFmpeg's demuxers read: files, V4L2 devices, network cameras."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import ColorRange, Interpolation

from mediaagentd.media.capture.convert import converted
from mediaagentd.media.capture.errors import (
    NO_CAMERA,
    NO_MICROPHONE,
    check_readable,
    failed,
    from_os_error,
)
from mediaagentd.media.capture.planes import plane
from mediaagentd.media.capture.types import RawPicture, RawSound, Samples
from mediaagentd.media.pause import pause
from mediaagentd.media.rate import RateLimit
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, Size, VideoProfile

OPEN_TIMEOUT = 5.0
READ_TIMEOUT = 2.0
"""Seconds that a network camera may take to be opened, and to send the next packet."""

LATE = 0.5
"""Seconds that a file may be behind its clock before the clock is set anew."""


def fit(size: Size, most: Size) -> Size:
    """The largest even size of the shape of `size` within `most`; never enlarges."""
    scale = min(1.0, most.width / size.width, most.height / size.height)
    return Size(
        max(2, math.floor(size.width * scale / 2 + 1e-9) * 2),
        max(2, math.floor(size.height * scale / 2 + 1e-9) * 2),
    )


def as_picture(frame: av.VideoFrame, most: Size, *, copy: bool = False) -> av.VideoFrame:
    """The frame in limited-range `yuv420p`, no larger than `most`; itself or a copy when it is so."""
    size = fit(Size(frame.width, frame.height), most)
    if frame.format.name == "yuv420p" and (frame.width, frame.height) == (size.width, size.height):
        return _copied(frame) if copy else frame
    return converted(
        frame,
        size.width,
        size.height,
        "yuv420p",
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.FAST_BILINEAR,
    )


def _copied(frame: av.VideoFrame) -> av.VideoFrame:
    copy = av.VideoFrame(frame.width, frame.height, frame.format.name)
    for index in range(len(frame.planes)):
        plane(copy, index)[:] = plane(frame, index)
    return copy


def open_container(
    what: str,
    source: str,
    *,
    code: str,
    container_format: str | None = None,
    options: dict[str, str] | None = None,
) -> InputContainer:
    """Opens for reading; `what` is the name for messages.

    Raises: Refused DEVICE_NOT_FOUND, DEVICE_PERMISSION or DEVICE_FAILED.
    """
    try:
        return av.open(
            source,
            "r",
            format=container_format,
            options=options or {},
            timeout=(OPEN_TIMEOUT, READ_TIMEOUT),
        )
    except OSError as error:
        raise from_os_error(what, error, code) from None
    except (av.FFmpegError, ValueError) as error:
        raise failed(what, str(error), code) from None


class _Clock:
    """Paces a file by its timestamps, in seconds, through any number of loops."""

    def __init__(self) -> None:
        self._start: float | None = None
        self._due = -math.inf

    def due(self, position: float) -> float:
        """When `position` is to be given, as `time.monotonic()` counts."""
        now = time.monotonic()
        if self._start is None:
            self._start = max(now, self._due) - position
        elif now - self._start - position > LATE:
            self._start = now - position
        self._due = self._start + position
        return self._due

    def wait(self, position: float, stopping: threading.Event) -> bool:
        """Waits until `position` is due; False when `stopping` was set."""
        left = self.due(position) - time.monotonic()
        return pause(left, stopping)

    def restart(self, rest: float) -> None:
        """Any position may come next; it is due `rest` seconds after the one before was."""
        self._start = None
        self._due += rest


class FileCamera:
    """A `VideoReader` of a file, over and over, at the speed of its timestamps; leaves out pictures beyond
    the profile's rate.
    """

    def __init__(self, path: Path, profile: VideoProfile) -> None:
        self._path = path
        self._size = profile.size
        self._interval = 1 / profile.fps
        self._limit = RateLimit(profile.fps)
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] = iter(())
        self._clock = _Clock()
        self._position = self._lasts = 0.0

    def open(self) -> None:
        """See `VideoReader.open`."""
        check_readable(self._path)
        name = str(self._path)
        self._container = open_container(name, name, code=NO_CAMERA)
        if not self._container.streams.video:
            raise failed(name, "there is no picture in it")
        self._frames = self._container.decode(video=0)

    def read(self, stopping: threading.Event) -> RawPicture | None:
        """See `VideoReader.read`."""
        while not stopping.is_set():
            frame = self._next()
            if not self._limit.allows(self._clock.due(self._position)):
                continue
            if not self._clock.wait(self._position, stopping):
                return None
            return RawPicture(as_picture(frame, self._size), time.monotonic())
        return None

    def close(self) -> None:
        """See `VideoReader.close`."""
        if self._container is not None:
            self._container.close()

    def _next(self) -> av.VideoFrame:
        """The next picture, its position, and how long it lasts, in seconds."""
        try:
            frame = next(self._frames, None) or self._again()
        except av.FFmpegError as error:
            raise failed(str(self._path), str(error)) from None
        self._position = self._position + self._interval if frame.time is None else frame.time
        self._lasts = max(self._interval, float(frame.duration * (frame.time_base or 0)))
        return frame

    def _again(self) -> av.VideoFrame:
        assert self._container is not None
        self._container.seek(0)
        self._clock.restart(self._lasts)
        self._frames = self._container.decode(video=0)
        frame = next(self._frames, None)
        if frame is None:
            raise failed(str(self._path), "it has no pictures")
        return frame


class FileMicrophone:
    """An `AudioReader` of a file, over and over, at the speed of its samples. In two channels when `stereo`
    is wanted and the file has them.
    """

    def __init__(self, path: Path, *, stereo: bool = False) -> None:
        self._path = path
        self._stereo = stereo
        self._container: InputContainer | None = None
        self._sound: Iterator[Samples] = iter(())
        self._waiting: Samples = np.zeros(0, np.int16)
        self._clock = _Clock()
        self._position = 0

    def open(self) -> None:
        """See `AudioReader.open`."""
        check_readable(self._path, NO_MICROPHONE)
        name = str(self._path)
        self._container = open_container(name, name, code=NO_MICROPHONE)
        if not self._container.streams.audio:
            raise failed(name, "there is no sound in it", NO_MICROPHONE)
        self._stereo = self._stereo and self._container.streams.audio[0].codec_context.channels > 1
        self._waiting = np.zeros((0, 2) if self._stereo else 0, np.int16)
        self._sound = self._decode()

    def read(self, stopping: threading.Event) -> RawSound | None:
        """See `AudioReader.read`."""
        while len(self._waiting) < AUDIO_FRAME:
            try:
                self._waiting = np.concatenate((self._waiting, next(self._sound)))
            except av.FFmpegError as error:
                raise failed(str(self._path), str(error), NO_MICROPHONE) from None
        samples, self._waiting = self._waiting[:AUDIO_FRAME], self._waiting[AUDIO_FRAME:]
        if not self._clock.wait(self._position / AUDIO_CLOCK, stopping):
            return None
        self._position += AUDIO_FRAME
        return RawSound(samples, time.monotonic())

    def close(self) -> None:
        """See `AudioReader.close`."""
        if self._container is not None:
            self._container.close()

    def _decode(self) -> Iterator[Samples]:
        """Samples without end. Raises: Refused for a file without sound."""
        assert self._container is not None
        while True:
            found = False
            layout = "stereo" if self._stereo else "mono"
            resampler = av.AudioResampler(format="s16", layout=layout, rate=AUDIO_CLOCK)
            for frame in self._container.decode(audio=0):
                for part in resampler.resample(frame):
                    found = True
                    yield part.to_ndarray().reshape(-1, *self._waiting.shape[1:]).astype(np.int16, copy=False)
            if not found:
                raise failed(str(self._path), "it has no sound", NO_MICROPHONE)
            self._container.seek(0)
