"""What is asked for again is sent again, and its copy a little later, by a clock of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket, RtpPacket
from mediaagentd.media.rtc.video_sender import REPAIRS, VideoSender
from mediaagentd.media.types import VIDEO_CLOCK, VideoCodec, VideoFrame

from tests.virtual.clock import play

ROUND_TRIP = 0.2


class Out:
    """The wire of a sender: what leaves, and when."""

    def __init__(self) -> None:
        self.transport = None
        self.sent: list[tuple[float, int]] = []

    def answer_for(self, source: int, sender: object) -> None:
        """See `Wire`."""

    def leave(self, one: object) -> None:
        """See `Wire`."""

    def send_rtcp(self, packet: bytes) -> None:
        """See `Wire`."""

    def send(self, packets: list[bytes]) -> None:
        """See `Wire`."""
        for packet in packets:
            self.sent.append((time.monotonic(), RtpPacket.parse(packet).sequence_number))


class Stage:
    """A sender that has sent one picture of one packet over a path that loses `lost`."""

    def __init__(self, lost: float) -> None:
        self.out = Out()
        wire: Any = self.out
        self.sender = VideoSender(wire, lambda: None, lambda _: None, lambda: 0)
        self._lost = lost

    async def begin(self) -> int:
        """Its number."""
        codec = RTCRtpCodecParameters("video/H264", VIDEO_CLOCK, payloadType=96)
        await self.sender.send(RTCRtpSendParameters(codecs=[codec]))
        frame = VideoFrame(VideoCodec.H264, b"\0\0\0\1\x65" + bytes(600), 0, True, time.monotonic())
        self.sender.push(frame, VideoCodec.H264)
        self.sender.round_trip = ROUND_TRIP
        source = self.sender._ssrc
        report = RtcpReceiverInfo(source, int(256 * self._lost), 0, 0, 0, 0, 0)
        self.sender.on_rtcp(RtcpRrPacket(ssrc=1, reports=[report]))
        await asyncio.sleep(ROUND_TRIP)
        return self.out.sent[-1][1]

    def ask(self, *numbers: int) -> float:
        """Of the far end; when."""
        self.sender.on_rtcp(RtcpRtpfbPacket(RTCP_RTPFB_NACK, 1, self.sender._ssrc, list(numbers)))
        return time.monotonic()

    def since(self, then: float) -> list[float]:
        """Seconds after `then` at which packets left."""
        return [at - then for at, _ in self.out.sent if at >= then]


async def _heavy(stage: Stage, number: int) -> None:
    asked = stage.ask(number)
    await asyncio.sleep(1.0)
    assert stage.since(asked) == pytest.approx([0.0, 0.05], abs=0.001)


async def _light(stage: Stage, number: int) -> None:
    asked = stage.ask(number)
    await asyncio.sleep(ROUND_TRIP)
    assert stage.since(asked) == [0.0]
    again = stage.ask(number)
    await asyncio.sleep(1.0)
    assert stage.since(again) == pytest.approx([0.0, 0.05], abs=0.001)


async def _tight(stage: Stage, number: int) -> None:
    stage.sender._on_bitrate(800_000)
    stage.sender._on_bitrate(400_000)
    assert stage.sender.is_tight()
    await _light(stage, number)


async def _flood(stage: Stage, number: int) -> None:
    for _ in range(100):
        stage.ask(*([number] * 16))
    assert len(stage.sender._copies_due) <= 1
    assert len(stage.sender._repairs) <= REPAIRS
    await asyncio.sleep(1.0)
    assert len(stage.out.sent) == 3, "the picture, its repair, and a copy of that"


async def _ends(stage: Stage, number: int) -> None:
    asked = stage.ask(number)
    await stage.sender.stop()
    await asyncio.sleep(1.0)
    assert stage.since(asked) == [0.0]


@pytest.mark.parametrize(
    ("lost", "story"),
    [(0.2, _heavy), (0.03, _light), (0.2, _tight), (0.2, _flood), (0.2, _ends)],
    ids=["heavy", "light", "tight", "flood", "ends"],
)
def test_a_repair_has_a_copy_a_little_later(lost: float, story: Callable[[Stage, int], Any]) -> None:
    """Where much is lost, and where the repair was; on a tight path only there."""

    async def play_it(_: object) -> None:
        stage = Stage(lost)
        await story(stage, await stage.begin())
        await stage.sender.stop()

    play(play_it, seed=1)
