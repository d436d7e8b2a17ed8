"""A far end whose senders begin anew again and again, and one that floods with new sources."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from mediaagentd.media.rtc.inbound import Inbound, Reader
from mediaagentd.media.rtc.receiver import MAX_SOURCES, SILENT
from mediaagentd.media.rtc.video_receiver import VideoReceiver
from mediaagentd.media.types import VIDEO_CLOCK, VideoFrame

from tests.virtual.clock import play

H264 = 96
SPS, IDR = b"\x67\x42", b"\x65" + bytes(40)
KEYFRAME = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (SPS, IDR))
"""Both in one packet (STAP-A, RFC 6184 section 5.7.1)."""


class In:
    """The wire of a receiver, which says nothing."""

    def __init__(self) -> None:
        self.transport = None
        self.reader = Reader()
        self.late = 0.0
        self._receiver: VideoReceiver

    def join(self, receiver: VideoReceiver, payload_types: Iterable[int]) -> None:
        """See `Wire`."""
        self._receiver = receiver

    def leave(self, one: object) -> None:
        """See `Wire`."""

    def report(self, now: float) -> None:
        """See `Wire`."""
        self._receiver.report(now)

    def send_rtcp(self, packet: bytes) -> None:
        """See `Wire`."""


async def _receiving(frames: list[VideoFrame]) -> VideoReceiver:
    wire: Any = In()
    receiver = VideoReceiver(wire, frames.append, lambda: None, lambda: None)
    codec = RTCRtpCodecParameters("video/H264", VIDEO_CLOCK, payloadType=H264)
    await receiver.receive(RTCRtpReceiveParameters(codecs=[codec]))
    return receiver


def _keyframe(ssrc: int, number: int = 0) -> Inbound:
    return Inbound(H264, 1, number, 3000 * number, ssrc, KEYFRAME)


def test_a_stream_that_begins_anew_for_the_hundredth_time_is_seen() -> None:
    async def story(_: object) -> int:
        frames: list[VideoFrame] = []
        receiver = await _receiving(frames)
        for ssrc in range(100):
            receiver.on_rtp(_keyframe(ssrc))
            await asyncio.sleep(SILENT)
        await receiver.stop()
        return len(frames)

    assert play(story, seed=1) == 100


def test_a_flood_of_sources_displaces_none_that_speaks() -> None:
    async def story(_: object) -> tuple[int, int]:
        receiver = await _receiving([])
        for number in range(200):
            receiver.on_rtp(_keyframe(1, number))
            for other in range(20):
                receiver.on_rtp(_keyframe(1000 * number + other + 2))
            await asyncio.sleep(0.1)
        counted = receiver._sources[1].reception.received
        kept = len(receiver._sources)
        await receiver.stop()
        return counted, kept

    assert play(story, seed=1) == (200, MAX_SOURCES)
