"""One `frames` view at work: pictures in, coded once, handed to every reader.

Bounds: a view codes one picture at a time and leaves out what comes meanwhile; a reader of JPEG or I420 holds
one picture, the newest; a reader of ENCODED holds `ENCODED_QUEUE` and, when that is full or it is `BEHIND`,
loses all up to the next keyframe.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from functools import partial

import structlog

from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.codec.image import JpegEncoder, i420, scaled
from mediaagentd.media.rate import RateLimit, within
from mediaagentd.media.types import Size, VideoCodec, VideoFrame
from mediaagentd.media.views.types import DEFAULT_JPEG_QUALITY, FrameFormat, FramesView, Picture
from mediaagentd.media.workers import Workers

_log = structlog.stdlib.get_logger()

ENCODED_QUEUE = 300
"""Encoded pictures that may wait for a reader: what one repair lets go after five seconds, 60 a second."""

BEHIND = 2.0
"""Seconds that one may wait; more is a reader that is too slow."""


def epoch(monotonic: float) -> float:
    """Seconds since the epoch of an instant of `time.monotonic()`."""
    return time.time() - time.monotonic() + monotonic


class Reader:
    """One who reads a view; on the loop."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._pictures: deque[Picture] = deque()
        self._ready = asyncio.Event()
        self._ended = self._stands = False
        self._codec: VideoCodec | None = None
        self._sequence = 0
        self._dropped = 0

    def put(self, picture: Picture) -> bool:
        """Takes a picture; False when a keyframe is needed before anything can be read. For one who does not
        read none is: the far end would make them for ever, and everybody else has less of those.
        """
        if picture.format is FrameFormat.ENCODED and not self._follows(picture):
            self._dropped += self._sequence > 0
            return self._stands
        if len(self._pictures) >= self._bound or self._is_behind(picture):
            self._dropped += len(self._pictures)
            self._pictures.clear()
            if picture.format is FrameFormat.ENCODED and not picture.keyframe:
                self._codec, self._stands = None, True
                self._dropped += 1
                return True
        self._pictures.append(picture)
        self._ready.set()
        return True

    def end(self) -> None:
        """The view is over."""
        self._ended = True
        self._ready.set()

    async def next(self) -> Picture | None:
        """The next picture; None when the view is over."""
        self._stands = False
        while not self._pictures:
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        self._sequence += 1
        return replace(self._pictures.popleft(), sequence=self._sequence, dropped=self._dropped)

    def _is_behind(self, picture: Picture) -> bool:
        if not self._pictures or picture.format is not FrameFormat.ENCODED:
            return False
        return picture.captured - self._pictures[0].captured > BEHIND

    def _follows(self, picture: Picture) -> bool:
        if picture.keyframe:
            self._codec = picture.codec
        return self._codec is picture.codec


class FrameStream:
    """See the module. `changed` is called when readers come or go, since that decides what runs."""

    def __init__(
        self,
        view: FramesView,
        workers: Workers,
        loop: asyncio.AbstractEventLoop,
        changed: Callable[[], None],
    ) -> None:
        self.view = view
        self._workers = workers
        self._loop = loop
        self._changed = changed
        self._readers: set[Reader] = set()
        self._limit = RateLimit(view.max_fps)
        self._jpeg = JpegEncoder(view.jpeg_quality or DEFAULT_JPEG_QUALITY)
        self._busy = threading.Lock()
        self._ended = False
        self._failed = False

    @property
    def wants_encoded(self) -> bool:
        """Whether somebody reads encoded pictures."""
        return bool(self._readers) and self.view.format is FrameFormat.ENCODED

    @property
    def wants_decoded(self) -> bool:
        """Whether somebody reads pictures that must be decoded."""
        return bool(self._readers) and self.view.format is not FrameFormat.ENCODED

    async def pictures(self) -> AsyncGenerator[Picture, None]:
        """What a new reader sees, until the view ends or the generator is closed."""
        reader = Reader(ENCODED_QUEUE if self.view.format is FrameFormat.ENCODED else 1)
        if self._ended:
            return
        self._readers.add(reader)
        self._changed()
        try:
            while (picture := await reader.next()) is not None:
                yield picture
        finally:
            self._readers.discard(reader)
            self._changed()

    def on_encoded(self, frame: VideoFrame) -> bool:
        """An encoded picture, on the loop; False when a reader needs a keyframe."""
        picture = Picture(
            frame.data, FrameFormat.ENCODED, epoch(frame.captured), codec=frame.codec, keyframe=frame.keyframe
        )
        content = True
        for reader in self._readers:
            content &= reader.put(picture)
        return content

    def on_picture(self, picture: RawPicture) -> None:
        """A decoded picture, in any thread; returns at once."""
        if not self._busy.acquire(blocking=False):
            return
        if not self._limit.allows(picture.captured):
            self._busy.release()
            return
        try:
            self._workers.do(partial(self._code, picture))
        except RuntimeError:  # they are shut down: the engine stops
            self._busy.release()

    def end(self) -> None:
        """The view is over; on the loop."""
        self._ended = True
        for reader in self._readers:
            reader.end()

    def _code(self, raw: RawPicture) -> None:
        try:
            picture = self._coded(raw)
            self._loop.call_soon_threadsafe(self._hand_out, picture)
        except Exception as error:  # a codec library that fails must not end the thread unseen
            if not self._failed:
                _log.error("view_picture_failed", format=self.view.format.name, error=str(error))
            self._failed = True
        finally:
            self._busy.release()

    def _coded(self, raw: RawPicture) -> Picture:
        view = self.view
        size = within(Size(raw.frame.width, raw.frame.height), view.max_width, view.max_height)
        frame = scaled(raw.frame, size)
        data = i420(frame) if view.format is FrameFormat.I420 else self._jpeg.encode(frame)
        return Picture(data, view.format, epoch(raw.captured), size)

    def _hand_out(self, picture: Picture) -> None:
        for reader in self._readers:
            reader.put(picture)
