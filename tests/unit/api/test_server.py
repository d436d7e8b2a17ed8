"""The services over a real unix socket, with ports that are fakes: statuses, streams, rights."""

from __future__ import annotations

import asyncio
import socket
import stat
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from mediaagent.hub.v1 import group_pb2 as hub_group_pb2
from mediaagent.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    call_pb2,
    call_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    group_pb2,
    media_pb2,
    media_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    view_pb2,
    view_pb2_grpc,
)
from mediaagentd import interceptors
from mediaagentd.api.clock import WallClock
from mediaagentd.api.convert import Conversion
from mediaagentd.api.house import About, House
from mediaagentd.api.server import NAMES, Server
from mediaagentd.call.events import LocalMediaChanged
from mediaagentd.calls import Calls
from mediaagentd.errors import Reason, Refused
from mediaagentd.events import EventLog, LogLimits
from mediaagentd.media.views.types import FrameFormat, Picture

from tests.fakes.groups import FakeGroups
from tests.fakes.media_port import FakeMedia
from tests.fakes.records import FakeRecords
from tests.fakes.signalling import FakeSignalling


class Daemon:
    """A server with fakes behind it and a channel in front."""

    def __init__(self, socket: Path) -> None:
        loop = asyncio.get_running_loop()
        self.signalling, self.media = FakeSignalling(), FakeMedia()
        self.log = EventLog("run", loop.time, LogLimits(heartbeat=0.05))
        self.records, self.groups = FakeRecords(), FakeGroups()
        self.calls = Calls(self.signalling, self.media, self.log, self.records)
        self.signalling.report = self.media.report = self.calls.handle
        conversion = Conversion(WallClock(loop.time, time.time), "dev-1", 1400000000)
        about = About("1.2.3", "hub:1", loop.time, loop.time())
        house = House(
            self.calls, self.media, self.log, self.records, self.groups, conversion, about,
            lambda: self.media.network_changed(None),
        )  # fmt: skip
        self.socket = socket
        self.server = Server(house, socket)
        self.channel = grpc.aio.insecure_channel(f"unix:{socket}")
        self.session = session_pb2_grpc.SessionServiceStub(self.channel)
        self.call = call_pb2_grpc.CallServiceStub(self.channel)
        self.local = media_pb2_grpc.MediaServiceStub(self.channel)
        self.view = view_pb2_grpc.ViewServiceStub(self.channel)
        self.event = event_pb2_grpc.EventServiceStub(self.channel)
        self.agent = agent_pb2_grpc.AgentServiceStub(self.channel)

    async def login(self) -> session_pb2.Session:
        request = session_pb2.LoginRequest(user_id="ann", user_sig="sig")
        reply = await self.session.Login(request)
        assert isinstance(reply, session_pb2.LoginResponse)
        return reply.session


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    made = Daemon(tmp_path / "agent.sock")
    await made.server.start()
    try:
        yield made
    finally:
        await made.channel.close()
        await made.server.stop(0)


async def refusal(call: Any) -> tuple[grpc.StatusCode, str, str]:
    """Status, reason and message of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    status = rpc_status.from_call(failed.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "mediaagent"
    return failed.value.code(), info.reason, status.message


async def until(holds: Callable[[], bool]) -> None:
    """The server learns of a client's going by a packet that nothing here can await."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def read(stream: Any, count: int) -> list[event_pb2.SubscribeResponse]:
    async with asyncio.timeout(5):
        return [await stream.read() for _ in range(count)]


async def test_login_logout(daemon: Daemon) -> None:
    session = await daemon.login()
    assert session.state == session_pb2.SESSION_STATE_ONLINE
    assert (session.user_id, session.device_id, session.sdk_app_id) == ("ann", "dev-1", 1400000000)
    assert session.HasField("login_time")
    reply = await daemon.session.Logout(session_pb2.LogoutRequest())
    assert reply.session.state == session_pb2.SESSION_STATE_LOGGED_OUT
    again = await daemon.session.Logout(session_pb2.LogoutRequest())
    assert again.session.state == session_pb2.SESSION_STATE_LOGGED_OUT


async def test_rules_of_the_contract_are_enforced(daemon: Daemon) -> None:
    request = session_pb2.LoginRequest(user_id="a b", user_sig="sig")
    code, reason, message = await refusal(daemon.session.Login(request))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "USER_ID_INVALID")
    assert "user_id" in message
    quality = media_pb2.SetVideoQualityRequest()
    code, reason, _ = await refusal(daemon.local.SetVideoQuality(quality))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")


async def test_a_file_in_the_sockets_place_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("mine")
    daemon = Daemon(path)
    with pytest.raises(OSError, match=r"letter\.txt is there and no socket"):
        await daemon.server.start()
    await daemon.channel.close()
    assert path.read_text() == "mine"


@pytest.mark.parametrize("path", ["", "relative.mkv", "/tmp/a\0b.mkv", "/" + "x" * 4096])
async def test_a_recording_has_an_absolute_path(daemon: Daemon, path: str) -> None:
    request = view_pb2.StartLocalViewRequest(view_id="tape", file=view_pb2.FileView(path=path))
    code, reason, message = await refusal(daemon.view.StartLocalView(request))
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert "file.path" in message


@pytest.mark.parametrize("name", ["\x1b[2J", "two\nlines", "\x9b2J", "x" * 101])
@pytest.mark.parametrize("contract", [group_pb2, hub_group_pb2], ids=["agent", "hub"])
def test_a_groups_name_is_one_line_for_people(contract: Any, name: str) -> None:
    interceptors.check(
        contract.CreateGroupRequest(name="Die Müllers \N{HEAVY BLACK HEART} [1/2]", request_id="r")
    )
    with pytest.raises(Refused, match="name: ") as refused:
        interceptors.check(contract.CreateGroupRequest(name=name, request_id="r"))
    assert refused.value.reason is Reason.FIELD_INVALID


@pytest.mark.parametrize("method", ["CallService/Call", "EventService/Subscribe"])
@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff", b"\x12\x02\xff\xfe\x0a\x02\xff\xfe"], ids=["garbage", "no UTF-8"]
)
async def test_bytes_that_are_no_message_are_refused_like_any_bad_request(
    daemon: Daemon, method: str, data: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    path = f"/mediaagent.v1.{method}"
    if method.startswith("Event"):
        call: Any = daemon.channel.unary_stream(path)(data).read()
    else:
        call = daemon.channel.unary_unary(path)(data)
    code, reason, message = await refusal(call)
    assert (code, reason) == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID")
    assert message == "request: its bytes are no message of this method"
    assert "Traceback" not in capfd.readouterr().err


async def test_refusals_leave_with_their_reason(daemon: Daemon) -> None:
    daemon.signalling.refuses_login = Refused(Reason.USER_SIG_EXPIRED, "expired", {"code": "70001"})
    request = session_pb2.LoginRequest(user_id="ann", user_sig="sig")
    assert await refusal(daemon.session.Login(request)) == (
        grpc.StatusCode.UNAUTHENTICATED, "USER_SIG_EXPIRED", "expired",
    )  # fmt: skip
    code, reason, _ = await refusal(daemon.call.Accept(call_pb2.AcceptRequest(invite_id="i")))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_LOGGED_IN")


async def test_camera_microphone_quality(daemon: Daemon) -> None:
    await daemon.login()
    assert (await daemon.local.OpenCamera(media_pb2.OpenCameraRequest())).media.is_camera_open
    assert (await daemon.local.SetMicMute(media_pb2.SetMicMuteRequest(is_mute=True))).media.is_mic_muted
    reply = await daemon.local.SetVideoQuality(
        media_pb2.SetVideoQualityRequest(profile=media_pb2.VIDEO_PROFILE_1080P)
    )
    assert reply.effect == media_pb2.QUALITY_EFFECT_NOW
    assert reply.media.profile == media_pb2.VIDEO_PROFILE_1080P
    await daemon.local.CloseCamera(media_pb2.CloseCameraRequest())
    media = (await daemon.local.GetLocalMedia(media_pb2.GetLocalMediaRequest())).media
    assert (media.is_camera_open, media.is_mic_muted, media.camera) == (False, True, "synthetic")


async def test_switch_without_a_call_fails_and_is_an_event(daemon: Daemon) -> None:
    await daemon.login()
    stream = daemon.event.Subscribe(event_pb2.SubscribeRequest(types=[event_pb2.EVENT_TYPE_ERROR]))
    await read(stream, 1)
    code, reason, _ = await refusal(daemon.call.SwitchToVideoCall(call_pb2.SwitchToVideoCallRequest()))
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SWITCH_NOT_ALLOWED")
    message = (await read(stream, 1))[0]
    assert message.event.error_raised.code == 60002
    stream.cancel()


async def test_snapshot_first_then_events_then_heartbeats_then_resume(daemon: Daemon) -> None:
    stream = daemon.event.Subscribe(event_pb2.SubscribeRequest())
    first = (await read(stream, 1))[0]
    assert first.snapshot.session.state == session_pb2.SESSION_STATE_LOGGED_OUT
    await daemon.login()
    event = (await read(stream, 1))[0].event
    assert event.type == event_pb2.EVENT_TYPE_SESSION_CHANGED
    assert event.session_changed.session.user_id == "ann"
    beat = (await read(stream, 1))[0]
    assert beat.heartbeat.cursor == event.cursor
    stream.cancel()
    daemon.log.publish(LocalMediaChanged(True, False))
    again = daemon.event.Subscribe(event_pb2.SubscribeRequest(cursor=event.cursor))
    resumed, missed = await read(again, 2)
    assert resumed.resumed.cursor == event.cursor
    assert missed.event.local_media_changed.media.is_camera_open
    again.cancel()


async def test_a_client_that_goes_leaves_nothing_behind(daemon: Daemon) -> None:
    stream = daemon.event.Subscribe(event_pb2.SubscribeRequest())
    await read(stream, 1)
    assert daemon.log.subscribers == 1
    stream.cancel()
    await until(lambda: daemon.log.subscribers == 0)


async def test_stopping_ends_the_streams_with_their_reason(daemon: Daemon) -> None:
    stream = daemon.event.Subscribe(event_pb2.SubscribeRequest())
    await read(stream, 1)
    daemon.log.close()
    code, reason, _ = await refusal(stream.read())
    assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN")


async def test_views(daemon: Daemon) -> None:
    frames = view_pb2.FramesView(format=view_pb2.FRAME_FORMAT_JPEG)
    remote = view_pb2.StartRemoteViewRequest(user_id="bob", view_id="main", frames=frames)
    code, reason, _ = await refusal(daemon.view.StartRemoteView(remote))
    assert (code, reason) == (grpc.StatusCode.NOT_FOUND, "USER_NOT_IN_CALL")
    local = view_pb2.StartLocalViewRequest(view_id="self", frames=frames)
    assert (await daemon.view.StartLocalView(local)).view.view_id == "self"
    assert len((await daemon.view.ListViews(view_pb2.ListViewsRequest())).views) == 1
    daemon.media.pictures = [Picture(b"1", FrameFormat.JPEG, 1.5, sequence=1)]
    stream = daemon.view.WatchView(view_pb2.WatchViewRequest(view_id="self"))
    picture = await stream.read()
    assert isinstance(picture, view_pb2.WatchViewResponse)
    assert (picture.data, picture.sequence) == (b"1", 1)
    stream.cancel()
    await until(lambda: daemon.media.watchers == 0)
    await daemon.view.StopLocalView(view_pb2.StopLocalViewRequest(view_id="self"))
    stop = view_pb2.StopLocalViewRequest(view_id="self")
    assert (await refusal(daemon.view.StopLocalView(stop)))[1] == "VIEW_UNKNOWN"
    stream = daemon.view.WatchView(view_pb2.WatchViewRequest(view_id="self"))
    assert (await refusal(stream.read()))[1] == "VIEW_UNKNOWN"


async def test_snapshot_defaults(daemon: Daemon) -> None:
    assert (await refusal(daemon.view.TakeSnapshot(view_pb2.TakeSnapshotRequest())))[1] == "NO_VIDEO"
    daemon.media.camera_open = True
    png = await daemon.view.TakeSnapshot(view_pb2.TakeSnapshotRequest())
    assert (png.media_type, png.image, png.width) == ("image/png", b" None 5.0", 640)
    jpeg = await daemon.view.TakeSnapshot(
        view_pb2.TakeSnapshotRequest(user_id="bob", format=view_pb2.IMAGE_FORMAT_JPEG)
    )
    assert (jpeg.media_type, jpeg.image) == ("image/jpeg", b"bob 85 5.0")


async def test_status_and_figures(daemon: Daemon) -> None:
    await daemon.login()
    status = await daemon.agent.GetStatus(agent_pb2.GetStatusRequest())
    assert (status.version, status.hub, status.session.user_id) == ("1.2.3", "hub:1", "ann")
    assert status.resident_bytes > 1_000_000
    assert status.cpu_time.ToNanoseconds() > 0
    assert not status.HasField("call")
    assert not (await daemon.agent.GetStats(agent_pb2.GetStatsRequest())).peers


async def test_only_owner_and_group_may_open_the_socket(daemon: Daemon) -> None:
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o660


async def test_health_and_reflection(daemon: Daemon) -> None:
    health = health_pb2_grpc.HealthStub(daemon.channel)
    for name in ("", *NAMES):
        reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
        assert reply.status == health_pb2.HealthCheckResponse.SERVING
    assert await daemon.server.answers(within=5)
    await daemon.server.stop(0)
    assert not await daemon.server.answers(within=5)
    assert not daemon.socket.exists()


async def test_takes_over_the_socket_that_a_killed_daemon_left(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "agent.sock"))
    made = Daemon(tmp_path / "agent.sock")
    await made.server.start()
    assert await made.server.answers(within=5)
    await made.channel.close()
    await made.server.stop(0)


async def test_a_socket_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    made = Daemon(tmp_path / "none" / "agent.sock")
    with pytest.raises(OSError, match="cannot listen on"):
        await made.server.start()
    await made.channel.close()


async def test_a_status_is_told_while_media_loads_and_a_command_waits_for_it(daemon: Daemon) -> None:
    daemon.media.there.clear()
    agent, media = (
        agent_pb2_grpc.AgentServiceStub(daemon.channel),
        media_pb2_grpc.MediaServiceStub(daemon.channel),
    )
    opening = asyncio.ensure_future(media.OpenCamera(media_pb2.OpenCameraRequest()))
    assert (await agent.GetStatus(agent_pb2.GetStatusRequest())).version == "1.2.3"
    assert not opening.done()
    assert not daemon.media.camera_open
    daemon.media.there.set()
    assert (await opening).media.is_camera_open


async def test_a_command_that_media_keeps_waiting_ends_at_its_deadline(daemon: Daemon) -> None:
    daemon.media.there.clear()
    media = media_pb2_grpc.MediaServiceStub(daemon.channel)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await media.OpenCamera(media_pb2.OpenCameraRequest(), timeout=0.05)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_client_may_say_that_the_network_changed(daemon: Daemon) -> None:
    agent = agent_pb2_grpc.AgentServiceStub(daemon.channel)
    reply = await agent.NotifyNetworkChanged(agent_pb2.NotifyNetworkChangedRequest())
    assert reply.connections == 0
