"""The video of one remote user: counted as it arrives, decoded only while somebody wants to see it."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from mediaagentd.media.capture.types import PictureSink, RawPicture
from mediaagentd.media.codec.shared import SharedDecoder
from mediaagentd.media.link import Link
from mediaagentd.media.playout import sync
from mediaagentd.media.playout.delay import PICTURES
from mediaagentd.media.playout.pacing import Pacing
from mediaagentd.media.types import Size, VideoCodec, VideoFrame
from mediaagentd.media.workers import Workers

MOST_HELD = 30
MOST_HOLD = 1.0
"""Pictures that wait to be shown, and seconds; beyond them they are shown at once."""

RESOLUTION = 0.001
"""Seconds by which timers may be early."""


class RemoteVideo:
    """On the event loop."""

    def __init__(self, link: Link, workers: Workers, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._workers = workers
        self._loop = loop
        self._decoder: SharedDecoder | None = None
        self._decoded_before = 0
        self._pacing = Pacing()
        self._held: deque[tuple[float, VideoFrame]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self.arrived = 0
        """Whole pictures that came."""
        self.codec: VideoCodec | None = None
        """Of the last one."""
        self.first_decoded: float | None = None
        """`time.monotonic()` of the first picture decoded."""
        self.size: Size | None = None
        """Of the last picture decoded."""

    @property
    def decoded(self) -> int:
        """Pictures decoded so far."""
        return self._decoded_before + (self._decoder.decoded if self._decoder is not None else 0)

    def push(self, frame: VideoFrame) -> None:
        """The next picture of the stream."""
        self.arrived += 1
        self.codec = frame.codec
        now = self._loop.time()
        due = self._pacing.show(frame.pts, now, frame.origin)
        if self._decoder is None:
            return
        if (due <= now and not self._held) or len(self._held) >= MOST_HELD:
            self._release(now + MOST_HOLD)
            self._decoder.push(frame._replace(captured=now))
            return
        self._held.append((due, frame))
        if self._timer is None:
            self._timer = self._loop.call_at(self._held[0][0], self._on_timer)

    @property
    def own_lag(self) -> float | None:
        """See `Pacing`; None while nobody sees the pictures."""
        return None if self._decoder is None else self._pacing.own_lag

    @property
    def lag(self) -> float | None:
        """See `Pacing`; None while nobody sees the pictures."""
        return None if self._decoder is None else self._pacing.lag

    def follow_sound(self, lag: float | None) -> None:
        """Sound of that lag is to be waited for."""
        self._pacing.sound = min(PICTURES.most, sync.picture_wait(lag, self._pacing.at_once_lag))

    def show(self, sinks: tuple[PictureSink, ...]) -> None:
        """Decodes for these sinks; for none, not at all. A decoder that starts asks for a keyframe."""
        if not sinks:
            self.close()
            return
        if self._decoder is None:
            self._decoder = SharedDecoder(self._workers, self._want_keyframe)
            self._link.request_keyframe()
        self._decoder.set_sinks((self._note, *sinks))

    def close(self) -> None:
        """Ends decoding."""
        self._held.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()
            self._decoded_before += decoder.decoded

    def _on_timer(self) -> None:
        self._timer = None
        self._release(self._loop.time() + RESOLUTION)
        if self._held:
            self._timer = self._loop.call_at(self._held[0][0], self._on_timer)

    def _release(self, now: float) -> None:
        """Decodes what is due."""
        while self._held and self._held[0][0] <= now and self._decoder is not None:
            due, frame = self._held.popleft()
            self._decoder.push(frame._replace(captured=due))

    def _note(self, picture: RawPicture) -> None:
        """In the codec thread."""
        if self.first_decoded is None:
            self.first_decoded = time.monotonic()
        self.size = Size(picture.frame.width, picture.frame.height)

    def _want_keyframe(self) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._link.request_keyframe)
