from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from mediaagent.v1.agent_pb2 import GetStatusRequest, GetStatusResponse
from mediaagent.v1.agent_pb2_grpc import AgentServiceStub
from mediaagent.v1.media_pb2 import VIDEO_PROFILE_UNSPECIFIED

from tests.integration.processes import agent

if TYPE_CHECKING:
    from mediaagent.v1.agent_pb2_grpc import AgentServiceAsyncStub

NOBODY = "127.0.0.1:1"


async def measured(stub: AgentServiceAsyncStub) -> GetStatusResponse:
    """The status once it tells what this machine holds."""
    async with asyncio.timeout(30):
        while True:
            reply: GetStatusResponse = await stub.GetStatus(GetStatusRequest())
            if reply.media.highest_profile != VIDEO_PROFILE_UNSPECIFIED:
                return reply
            await asyncio.sleep(0.05)  # nothing announces it


async def test_the_first_start_measures_and_the_next_one_remembers(tmp_path: Path) -> None:
    for start in range(2):
        async with agent(tmp_path, "ann", NOBODY, video_effort="auto") as ann, ann.channel() as channel:
            reply = await measured(AgentServiceStub(channel))
            assert reply.media.video_encoder.startswith(("libx264 ", "h264_"))
            assert ann.child.log.read_text().count("codecs_measured") == 1, start
    assert (tmp_path / "ann" / "state" / "codecs.json").is_file()


async def test_what_is_configured_is_not_measured_and_lateness_is_told(tmp_path: Path) -> None:
    async with agent(tmp_path, "ann", NOBODY, video_effort="fast") as ann, ann.channel() as channel:
        stub = AgentServiceStub(channel)
        async with asyncio.timeout(30):
            while True:
                reply: GetStatusResponse = await stub.GetStatus(GetStatusRequest())
                if reply.media.video_encoder and reply.loop_lag.ToNanoseconds():
                    break
                await asyncio.sleep(0.05)
        assert reply.media.video_encoder == "libx264 fast"
        assert reply.media.highest_profile == VIDEO_PROFILE_UNSPECIFIED
        assert reply.loop_lag.ToTimedelta().total_seconds() < 10
