"""The video of one remote user: counted as it arrives, decoded only while somebody wants to see it."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

from mediaagentd.media.capture.types import PictureSink, RawPicture
from mediaagentd.media.codec.shared import SharedDecoder
from mediaagentd.media.link import Link
from mediaagentd.media.types import Size, VideoCodec, VideoFrame


class RemoteVideo:
    """On the event loop."""

    def __init__(self, link: Link, executor: Executor, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._executor = executor
        self._loop = loop
        self._decoder: SharedDecoder | None = None
        self._decoded_before = 0
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
        if self._decoder is not None:
            self._decoder.push(frame)

    def show(self, sinks: tuple[PictureSink, ...]) -> None:
        """Decodes for these sinks; for none, not at all. A decoder that starts asks for a keyframe."""
        if not sinks:
            self.close()
            return
        if self._decoder is None:
            self._decoder = SharedDecoder(self._executor, self._want_keyframe)
            self._link.request_keyframe()
        self._decoder.set_sinks((self._note, *sinks))

    def close(self) -> None:
        """Ends decoding."""
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()
            self._decoded_before += decoder.decoded

    def _note(self, picture: RawPicture) -> None:
        """In the codec thread."""
        if self.first_decoded is None:
            self.first_decoded = time.monotonic()
        self.size = Size(picture.frame.width, picture.frame.height)

    def _want_keyframe(self) -> None:
        """In any thread."""
        self._loop.call_soon_threadsafe(self._link.request_keyframe)
