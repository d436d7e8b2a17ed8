"""Encoders and decoders that run in the codec threads and are shared by everyone who wants their stream.

Hand-over to the event loop is one `hand_over` a picture. Queues: an encoder holds one waiting
picture, the newest; a decoder holds `DECODER_QUEUE`, and when that is full, or it is `BEHIND`, drops all and
waits for a keyframe, since a picture is of no use without the ones before it. A thread does one picture of
a stream and then what has waited longer, if there is something: the streams take turns.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Callable

import structlog

from mediaagentd.lending import hand_over
from mediaagentd.media.capture.types import PictureSink, RawPicture
from mediaagentd.media.codec.image import scaled
from mediaagentd.media.codec.video import VideoDecoder, VideoEncoder
from mediaagentd.media.grading import Shape
from mediaagentd.media.rate import RateLimit
from mediaagentd.media.router import KeyframeGate
from mediaagentd.media.types import Size, VideoFrame
from mediaagentd.media.workers import Workers

_log = structlog.stdlib.get_logger()

REST = 2.0
"""Seconds without pictures after an encoder has failed, before it begins anew."""

DECODER_QUEUE = 300
"""Pictures that may wait for a decoder: what one repair lets go after five seconds, 60 a second."""

BEHIND = 1.0
"""Seconds that one may wait; more is a decoder that is too slow."""


class SharedEncoder:
    """One encoder of the local picture. `deliver` is called on the loop with each encoded picture.

    `offer` may be called in any thread, everything else on the loop.
    """

    def __init__(
        self,
        encoder: VideoEncoder,
        workers: Workers,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[VideoFrame], None],
    ) -> None:
        self._encoder = encoder
        self._workers = workers
        self._loop = loop
        self._deliver = deliver
        self._lock = threading.Lock()
        self._waiting: RawPicture | None = None
        self._running = False
        self._closed = False
        self._keyframes = KeyframeGate()
        self._keyframes.request()
        self._bitrate = encoder.bitrate
        self._shape = Shape()
        self._limit = RateLimit(0)
        self._rests_until = -math.inf
        self.dropped = 0
        """Pictures that came while the encoder was busy."""

    def offer(self, picture: RawPicture) -> None:
        """Encodes the picture as soon as the encoder is free; a newer one takes its place."""
        with self._lock:
            resting = picture.captured < self._rests_until
            if self._closed or resting or not self._limit.allows(picture.captured):
                return
            if self._running:
                self.dropped += self._waiting is not None
                self._waiting = picture
                return
            self._waiting, self._running = picture, True
        self._submit()

    def request_keyframe(self) -> None:
        """Makes one of the next pictures a keyframe: many requests make one, see `KeyframeGate`."""
        with self._lock:
            self._keyframes.request()

    def set_rate(self, bitrate: int, shape: Shape) -> None:
        """Bits a second, and what is made of the pictures, from the next one on. Another size makes a
        keyframe.
        """
        with self._lock:
            self._bitrate = bitrate
            if shape != self._shape:
                self._shape, self._limit = shape, RateLimit(shape.fps)

    def close(self) -> None:
        """Nothing is delivered after it."""
        with self._lock:
            self._closed = True
            self._waiting = None

    def _submit(self) -> None:
        try:
            self._workers.do(self._run)
        except RuntimeError:  # they are shut down: the engine stops
            self.close()

    def _run(self) -> None:
        while self._encode_next():
            if self._workers.crowded:
                self._submit()  # another thread may run from here on
                return

    def _encode_next(self) -> bool:
        """Says whether one more waits."""
        with self._lock:
            picture, self._waiting = self._waiting, None
            if picture is None or self._closed:
                self._running = False
                return False
            keyframe = self._keyframes.due(picture.captured)
            bitrate, shape = self._bitrate, self._shape
        self._encode(picture, keyframe, bitrate, shape)
        with self._lock:
            self._running = self._waiting is not None
            return self._running

    def _encode(self, picture: RawPicture, keyframe: bool, bitrate: int, shape: Shape) -> None:
        try:
            self._encoder.set_bitrate(bitrate, shape.pace)
            scale = shape.scale_of(picture.frame.width * picture.frame.height)
            frame = self._encoder.encode(smaller(picture, scale), keyframe=keyframe)
            if frame is not None:
                self._note(frame)
                hand_over(self._loop, self._hand_over, frame)
            elif keyframe:
                self.request_keyframe()
        except Exception as error:  # a codec library that fails must neither end the thread nor the picture
            _log.error("video_encoder_failed", codec=self._encoder.codec.value, error=str(error))
            self._encoder.begin_anew()
            with self._lock:
                self._rests_until, self._waiting = picture.captured + REST, None

    def _note(self, frame: VideoFrame) -> None:
        """A keyframe that another size made is one for all who have asked."""
        if frame.keyframe:
            with self._lock:
                self._keyframes.made(frame.captured)

    def _hand_over(self, frame: VideoFrame) -> None:
        if not self._closed:
            self._deliver(frame)


def smaller(picture: RawPicture, scale: float) -> RawPicture:
    """The picture with that share of its width and height, even numbers."""
    if scale >= 1:
        return picture
    frame = picture.frame
    size = Size(*(max(2, round(side * scale / 2) * 2) for side in (frame.width, frame.height)))
    return RawPicture(scaled(frame, size), picture.captured)


class SharedDecoder:
    """One decoder of a remote user's video. Sinks are called in the codec thread and must not block.

    `want_keyframe` is called in any thread when nothing can be decoded before a keyframe.
    """

    def __init__(self, workers: Workers, want_keyframe: Callable[[], None]) -> None:
        self._workers = workers
        self._want_keyframe = want_keyframe
        self._lock = threading.Lock()
        self._queue: deque[VideoFrame] = deque()
        self._decoder: VideoDecoder | None = None
        self._sinks: tuple[PictureSink, ...] = ()
        self._running = False
        self._closed = False
        self._synced = False
        self.decoded = 0
        self.dropped = 0
        self.size: Size | None = None
        """Of the last decoded picture."""

    def set_sinks(self, sinks: tuple[PictureSink, ...]) -> None:
        """Who gets the pictures."""
        self._sinks = sinks

    def push(self, frame: VideoFrame) -> None:
        """Takes the next picture of the stream, in order; `captured` is when it is to be shown."""
        with self._lock:
            if self._closed or not self._accept(frame):
                return
            self._queue.append(frame)
            if self._running:
                return
            self._running = True
        self._submit()

    def close(self) -> None:
        """Nothing is decoded after it, except what is under way."""
        with self._lock:
            self._closed = True
            self._queue.clear()

    def _submit(self) -> None:
        try:
            self._workers.do(self._run)
        except RuntimeError:  # they are shut down: the engine stops
            self.close()

    def _accept(self, frame: VideoFrame) -> bool:
        if self._queue and self._is_behind(frame.captured):
            self.dropped += len(self._queue)
            self._queue.clear()
            self._synced = False
            if not frame.keyframe:
                self._want_keyframe()
        self._synced |= frame.keyframe
        self.dropped += not self._synced
        return self._synced

    def _is_behind(self, now: float) -> bool:
        return len(self._queue) >= DECODER_QUEUE or now - self._queue[0].captured > BEHIND

    def _run(self) -> None:
        while self._decode_next():
            if self._workers.crowded:
                self._submit()  # another thread may run from here on
                return

    def _decode_next(self) -> bool:
        """Says whether one more waits."""
        with self._lock:
            if not self._queue:
                self._running = False
                return False
            frame = self._queue.popleft()
        picture = self._decode(frame)
        if picture is not None:
            self._show(picture)
        with self._lock:
            self._running = bool(self._queue)
            return self._running

    def _decode(self, frame: VideoFrame) -> RawPicture | None:
        try:
            if self._decoder is None or self._decoder.codec is not frame.codec:
                self._decoder = VideoDecoder(frame.codec)
            return self._decoder.decode(frame)
        except Exception as error:  # damaged data from a far end is no reason to stop
            _log.info("video_decoder_failed", codec=frame.codec.value, error=str(error))
            with self._lock:
                self._synced = False
                self._queue.clear()
            self._want_keyframe()
            return None

    def _show(self, picture: RawPicture) -> None:
        self.decoded += 1
        self.size = Size(picture.frame.width, picture.frame.height)
        for sink in self._sinks:
            sink(picture)
