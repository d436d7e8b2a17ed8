"""The demonstration's own judgement: it must notice what did not happen, and say so."""

from __future__ import annotations

import asyncio
import io
import threading

import grpc
import pytest
from mediaagent import AgentError
from mediaagent.v1 import agent_pb2, view_pb2
from mediaagentd.demo.figures import Reading, between, show
from mediaagentd.demo.pictures import luma_of_image, shows_label
from mediaagentd.demo.timeline import StepFailed, Timeline, expect
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.types import Size
from rich.console import Console


@pytest.fixture
def console() -> Console:
    return Console(file=io.StringIO(), width=120)


def printed(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_a_step_that_happens_is_printed_with_its_time(console: Console) -> None:
    timeline = Timeline(console)
    async with timeline.step("bob accepts") as step:
        step.detail = "room 7"
    assert timeline.steps[0].ok
    assert "ms" in printed(console)
    assert "bob accepts  room 7" in printed(console)
    assert "\x1b" not in printed(console)


async def test_a_step_that_takes_too_long_is_named(console: Console) -> None:
    timeline = Timeline(console)
    with pytest.raises(StepFailed, match=r"bob answers: not within 0\.01 s"):
        async with timeline.step("bob answers", within=0.01):
            await asyncio.Event().wait()
    assert "FAIL bob answers" in printed(console)


@pytest.mark.parametrize("finding", ["unexpected", "refused"])
async def test_what_is_not_as_told_fails_the_step(console: Console, finding: str) -> None:
    timeline = Timeline(console)

    async def ring() -> None:
        async with timeline.step("it rings"):
            expect(finding != "unexpected", "it is silent")
            raise AgentError("NO_CALL", grpc.StatusCode.NOT_FOUND, "no call")

    with pytest.raises(StepFailed, match="it rings: "):
        await ring()
    assert not timeline.steps[0].ok
    assert timeline.steps[0].detail


@pytest.mark.parametrize("size", [Size(640, 480), Size(1280, 720)])
def test_a_picture_is_told_by_its_label(size: Size) -> None:
    import av

    camera = SyntheticCamera(size, 30, "alice")
    camera.open()
    raw = camera.read(threading.Event())
    assert raw is not None
    png = av.CodecContext.create("png", "w")
    assert isinstance(png, av.VideoCodecContext)
    png.width, png.height, png.pix_fmt = size.width, size.height, "rgb24"
    packets = [*png.encode(raw.frame.reformat(format="rgb24")), *png.encode(None)]
    luma = luma_of_image(b"".join(bytes(packet) for packet in packets))
    assert shows_label(luma, "alice")
    assert not shows_label(luma, "bob")
    assert not shows_label(luma, "carol")


def reading(seconds: int, frames: int, cpu_ms: int) -> Reading:
    status = agent_pb2.GetStatusResponse(resident_bytes=100 << 20)
    status.uptime.FromSeconds(seconds)
    status.cpu_time.FromMilliseconds(cpu_ms)
    stats = agent_pb2.GetStatsResponse()
    stats.uptime.FromSeconds(seconds)
    peer = stats.peers.add(user_id="bob", decoded_width=1280, decoded_height=720)
    peer.video_received.frames = frames
    peer.video_received.bytes = frames * 5_000
    peer.video_codec = view_pb2.VIDEO_CODEC_H264
    return Reading(status, stats)


def test_rates_are_differences(console: Console) -> None:
    figures = between("alice", "bob", reading(10, 100, 1_000), reading(15, 250, 3_000), pictures=140)
    assert figures.fps_received == 30
    assert figures.fps_shown == 28
    assert figures.video_bitrate == 1_200_000
    assert figures.cpu_share == 0.4
    assert figures.memory_mib == 100
    assert figures.codec == "H264"
    assert figures.round_trip_ms is None
    show(console, [figures])
    assert "1280x720" in printed(console)
    assert "alice sees bob" in printed(console)
