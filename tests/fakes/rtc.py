"""Two ends of a WebRTC connection for tests: an observer that records, frames that decode, waiting on
events."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import (
    AUDIO_FRAME,
    VIDEO_CLOCK,
    AudioFrame,
    Feedback,
    VideoCodec,
    VideoFrame,
)


class Recorder:
    """A `PeerObserver` that keeps what it is told; `until` waits for it."""

    def __init__(self) -> None:
        self.connected = 0
        self.closed: list[str] = []
        self.candidates: list[str] = []
        self.video: list[VideoFrame] = []
        self.audio: list[AudioFrame] = []
        self.keyframe_requests = 0
        self.feedback: list[Feedback] = []
        self.audio_loss: list[float] = []
        self._changed = asyncio.Event()

    def on_connected(self) -> None:
        self.connected += 1
        self._changed.set()

    def on_candidate(self, candidate: str, mid: str) -> None:
        self.candidates.append(candidate)
        self._changed.set()

    def on_closed(self, reason: str, *, by_far_end: bool = False) -> None:
        self.closed.append(reason)
        self._changed.set()

    def on_video(self, frame: VideoFrame) -> None:
        self.video.append(frame)
        self._changed.set()

    def on_audio(self, frame: AudioFrame) -> None:
        self.audio.append(frame)
        self._changed.set()

    def on_keyframe_request(self) -> None:
        self.keyframe_requests += 1
        self._changed.set()

    def on_feedback(self, feedback: Feedback) -> None:
        self.feedback.append(feedback)
        self._changed.set()

    def on_audio_loss(self, loss: float) -> None:
        self.audio_loss.append(loss)
        self._changed.set()

    async def until_connected(self) -> None:
        """Waits until media can flow."""
        await self.until(lambda: bool(self.connected))

    async def until_received(self, frames: int) -> None:
        """Waits for so many frames of each kind."""
        await self.until(lambda: len(self.video) >= frames <= len(self.audio))

    async def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        """Waits until what was recorded fulfils the condition."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


async def until_no_tasks_but(known: set[asyncio.Task[Any]], seconds: float = 2.0) -> None:
    """Waits until every task that has been started since has ended."""
    if started := asyncio.all_tasks() - known:
        _, pending = await asyncio.wait(started, timeout=seconds)
        assert not pending


class Picture:
    """Encodes a moving picture; `frame` gives the next encoded one."""

    def __init__(self, codec: VideoCodec, width: int = 160, height: int = 96) -> None:
        name = {VideoCodec.VP8: "libvpx", VideoCodec.H264: "libx264"}[codec]
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base = Fraction(1, VIDEO_CLOCK)
        context.framerate = Fraction(30, 1)
        context.bit_rate = 400_000
        context.gop_size = 3000
        context.options = (
            {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
            if codec is VideoCodec.VP8
            else {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
        )
        self._codec, self._context, self._count = codec, context, 0

    def frame(self, *, key: bool = False) -> VideoFrame:
        """The next picture; the first is a keyframe."""
        size = (self._context.height, self._context.width, 3)
        rows, columns = np.mgrid[0 : size[0], 0 : size[1]]
        wave = (np.sin((columns + 5 * self._count) / 9) * 90 + 128 + rows % 32).clip(0, 255)
        image = np.repeat(wave[:, :, None], 3, axis=2).astype(np.uint8)
        picture = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        picture.pts = pts = self._count * VIDEO_CLOCK // 30
        picture.time_base = Fraction(1, VIDEO_CLOCK)
        if key:
            picture.pict_type = av.video.frame.PictureType.I
        self._count += 1
        packets = self._context.encode(picture)
        data = b"".join(bytes(packet) for packet in packets)
        if self._codec is VideoCodec.H264:  # as it arrives: long start codes
            data = re.sub(rb"(?<!\x00)\x00\x00\x01", b"\x00\x00\x00\x01", data)
        return VideoFrame(self._codec, data, pts, any(p.is_keyframe for p in packets), time.monotonic())


def decode(frames: list[VideoFrame]) -> Iterator[np.ndarray]:
    """The luma planes of encoded pictures."""
    name = {VideoCodec.VP8: "libvpx", VideoCodec.H264: "h264"}[frames[0].codec]
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, av.VideoCodecContext)
    for frame in frames:
        for picture in context.decode(av.Packet(frame.data)):
            yield picture.reformat(format="gray").to_ndarray()


def opus(index: int) -> AudioFrame:
    """A packet that says 20 ms of CELT silence and its own number."""
    return AudioFrame(b"\xfc\xff\xfe" + index.to_bytes(4, "big"), index * AUDIO_FRAME, time.monotonic())


def peer(observer: Recorder, *codecs: VideoCodec, loopback: bool = True) -> Peer:
    """A peer without servers."""
    return Peer(
        ice_servers=(),
        video_codecs=codecs or tuple(VideoCodec),
        observer=observer,
        allow_loopback=loopback,
    )


async def connect(caller: Peer, callee: Peer, *observers: Recorder) -> None:
    """Offer, answer, and media can flow."""
    await caller.accept_answer(await callee.accept_offer(await caller.create_offer()))
    for observer in observers:
        await observer.until_connected()
