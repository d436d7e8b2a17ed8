"""Commands of the client against an agent that answers over a real socket."""

from __future__ import annotations

import contextlib
import math

import grpc
import pytest
from mediaagent import Agent, AgentError, AgentUnavailable, CallType, VideoProfile, frames
from mediaagent.v1 import call_pb2, media_pb2, session_pb2, view_pb2

from tests.fakes.agent import PNG, FakeAgent


async def test_session_comes_and_goes(agent: Agent) -> None:
    assert (await agent.login("alice", "sig")).state == session_pb2.SESSION_STATE_ONLINE
    assert (await agent.session()).user_id == "alice"
    assert (await agent.logout()).state == session_pb2.SESSION_STATE_LOGGED_OUT


async def test_a_refusal_carries_reason_status_message_and_metadata(agent: Agent) -> None:
    with pytest.raises(AgentError) as refusal:
        await agent.login("alice", "expired")
    error = refusal.value
    assert (error.reason, error.status, error.code) == (
        "USER_SIG_EXPIRED",
        grpc.StatusCode.UNAUTHENTICATED,
        70001,
    )
    assert "expired" in error.message
    assert "USER_SIG_EXPIRED" in str(error)


async def test_an_agent_that_is_not_there_is_unavailable(tmp_path: object) -> None:
    async with Agent(f"{tmp_path}/nothing.sock") as agent:
        with pytest.raises(AgentUnavailable, match=r"nothing\.sock"):
            await agent.status()


async def test_an_agent_that_hangs_meets_the_deadline(fake: FakeAgent, socket: str) -> None:
    fake.hang = True
    async with Agent(socket, timeout=0.2) as agent:
        with pytest.raises(AgentUnavailable) as late:
            await agent.call("bob")
    assert late.value.reason == "TIMED_OUT"


@pytest.mark.parametrize("kind", ["video", "VIDEO", CallType.VIDEO, 2])
async def test_a_call_is_said_in_many_ways(agent: Agent, fake: FakeAgent, kind: CallType | str) -> None:
    call = await agent.call("bob", kind, timeout=2.5)
    request = fake.requests[-1]
    assert request.type == call_pb2.CALL_TYPE_VIDEO
    assert request.timeout.ToMilliseconds() == 2500
    assert request.request_id
    assert call.state == call_pb2.CALL_STATE_DIALLING


async def test_one_name_is_a_name_and_not_its_letters(agent: Agent, fake: FakeAgent) -> None:
    await agent.group_call("bob")
    assert list(fake.requests[-1].user_ids) == ["bob"]
    await agent.invite_users("bob")
    assert list(fake.requests[-1].user_ids) == ["bob"]
    await agent.groups.create("bob")
    assert list(fake.requests[-1].member_ids) == ["bob"]
    await agent.history.delete("12")
    assert list(fake.requests[-1].ids.record_ids) == ["12"]


async def test_what_cannot_be_asked_says_why(agent: Agent, fake: FakeAgent) -> None:
    with pytest.raises(ValueError, match="'smell'; audio or video"):
        await agent.call("bob", "smell")
    for timeout in (math.nan, math.inf, 1e300):
        with pytest.raises(ValueError, match="no time in seconds"):
            await agent.call("bob", timeout=timeout)
    assert fake.requests == []


async def test_no_timeout_is_absent(agent: Agent, fake: FakeAgent) -> None:
    await agent.group_call(["bob", "carol"], "audio", "family")
    request = fake.requests[-1]
    assert list(request.user_ids) == ["bob", "carol"]
    assert not request.HasField("timeout")


async def test_accept_leaves_room_and_type_to_the_agent(agent: Agent, fake: FakeAgent) -> None:
    await agent.call("bob")
    await agent.accept("i1")
    assert (fake.requests[-1].room_id, fake.requests[-1].call_type) == (0, 0)
    with pytest.raises(AgentError, match="INVITE_UNKNOWN"):
        await agent.accept("i9")


async def test_hangup_is_idempotent(agent: Agent) -> None:
    await agent.call("bob")
    ended = await agent.hangup()
    assert ended is not None
    assert ended.end_reason == call_pb2.END_REASON_HANGUP
    assert await agent.hangup() is None
    assert await agent.current_call() is None


async def test_reject_and_switch(agent: Agent, fake: FakeAgent) -> None:
    await agent.reject("i1", is_busy=True)
    assert fake.requests[-1].is_busy
    with pytest.raises(AgentError) as refusal:
        await agent.switch_to_audio_call()
    assert refusal.value.code == 60001
    assert (await agent.switch_to_video_call()).type == call_pb2.CALL_TYPE_VIDEO


async def test_camera_microphone_and_quality(agent: Agent) -> None:
    assert (await agent.open_camera()).is_camera_open
    assert not (await agent.close_camera()).is_camera_open
    assert (await agent.set_mic_mute(True)).is_mic_muted
    reply = await agent.set_video_quality("1080p")
    assert reply.media.profile == VideoProfile.P1080.proto
    assert reply.effect == media_pb2.QUALITY_EFFECT_NOW
    assert (await agent.local_media()).is_mic_muted


async def test_a_watched_view_is_let_go(agent: Agent, fake: FakeAgent) -> None:
    reply = await agent.start_remote_view("bob", "left", frames("i420", max_width=320))
    assert reply.view.frames.format == view_pb2.FRAME_FORMAT_I420
    assert [view.view_id for view in await agent.views()] == ["left"]
    async with contextlib.aclosing(agent.watch_view("left")) as pictures:
        seen = [(await anext(pictures)).sequence for _ in range(3)]
    assert seen == [1, 2, 3]
    await agent.stop_remote_view("left")
    while fake.watching:  # The cancel travels; the agent must notice it.
        await agent.status()


async def test_a_view_that_is_not_there(agent: Agent) -> None:
    with pytest.raises(AgentError, match="VIEW_UNKNOWN"):
        await anext(agent.watch_view("nowhere"))


async def test_other_kinds_of_views(agent: Agent, fake: FakeAgent) -> None:
    await agent.start_remote_view("bob", "tape", view_pb2.FileView(path="/tmp/x.mkv"))
    assert fake.requests[-1].file.path == "/tmp/x.mkv"
    await agent.start_remote_view("bob", "page", view_pb2.WebrtcView(offer_sdp="v=0"))
    assert fake.requests[-1].webrtc.offer_sdp == "v=0"
    await agent.start_remote_view("bob", "wall", view_pb2.WindowView(display=":0"))
    assert fake.requests[-1].window.display == ":0"
    await agent.start_local_view("mirror")
    await agent.stop_local_view("mirror")


async def test_snapshot_and_figures(agent: Agent) -> None:
    assert (await agent.take_snapshot("bob")).image == PNG
    assert (await agent.status()).version == "fake"
    assert (await agent.stats()).peers[0].user_id == "bob"
    assert await agent.notify_network_changed() == 2
