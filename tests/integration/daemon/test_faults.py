"""Fault verbs of a real daemon: what its client sees on a bad day."""

from __future__ import annotations

from pathlib import Path

from google.protobuf.duration_pb2 import Duration
from mediaagent.v1 import call_pb2, event_pb2, fault_pb2, fault_pb2_grpc, media_pb2, session_pb2

from tests.integration.daemon.driver import WITHIN, Driver, drive
from tests.integration.processes import agent, house


def seconds(value: float) -> Duration:
    made = Duration()
    made.FromNanoseconds(round(value * 1e9))
    return made


async def session_becomes(one: Driver, state: session_pb2.SessionState.ValueType) -> None:
    while True:
        changed = await one.event(event_pb2.EVENT_TYPE_SESSION_CHANGED)
        if changed.session_changed.session.state == state:
            return


async def call_becomes(one: Driver, state: call_pb2.CallState.ValueType) -> None:
    while True:
        changed = await one.event(event_pb2.EVENT_TYPE_CALL_CHANGED)
        if changed.call_changed.call.state == state:
            return


async def test_a_bad_day(tmp_path: Path) -> None:
    async with (
        house(tmp_path, "ann", video_profile="480p", faults__enabled="true") as (the_hub, (left,)),
        agent(
            tmp_path, "echo", the_hub, command="echo", user_id="echo", user_sig=the_hub.mint("echo")
        ) as right,
        drive(left) as ann,
        left.channel() as channel,
        right.channel() as other,
    ):
        fault: fault_pb2_grpc.FaultServiceAsyncStub = fault_pb2_grpc.FaultServiceStub(channel)
        off: fault_pb2_grpc.FaultServiceAsyncStub = fault_pb2_grpc.FaultServiceStub(other)
        refusal = await ann.refused(off.ClearFaults(fault_pb2.ClearFaultsRequest()))
        assert (refusal.status, refusal.reason) == ("FAILED_PRECONDITION", "FAULTS_OFF")
        await ann.login(the_hub)
        await _signalling_refused_and_slow(ann, fault)
        await _away_from_the_hub(ann, fault)
        await _camera_lost(ann, fault)
        await _connection_killed(ann, fault)
        await ann.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)


async def _signalling_refused_and_slow(ann: Driver, fault: fault_pb2_grpc.FaultServiceAsyncStub) -> None:
    await fault.RefuseSignalling(fault_pb2.RefuseSignallingRequest(duration=seconds(60)))
    to_echo = call_pb2.CallRequest(user_id="echo", type=call_pb2.CALL_TYPE_VIDEO)
    refusal = await ann.refused(ann.call.Call(to_echo, timeout=WITHIN))
    assert (refusal.status, refusal.reason) == ("UNAVAILABLE", "FAULT_INJECTED")
    assert (await fault.GetFaults(fault_pb2.GetFaultsRequest())).faults.signalling_refused.seconds > 50
    assert not (await fault.ClearFaults(fault_pb2.ClearFaultsRequest())).faults.ListFields()
    await fault.DelaySignalling(fault_pb2.DelaySignallingRequest(delay=seconds(0.2), duration=seconds(60)))
    await ann.dial("echo", call_pb2.CALL_TYPE_VIDEO)
    await ann.connected("echo")
    await fault.ClearFaults(fault_pb2.ClearFaultsRequest())


async def _away_from_the_hub(ann: Driver, fault: fault_pb2_grpc.FaultServiceAsyncStub) -> None:
    await fault.DropHubConnection(fault_pb2.DropHubConnectionRequest(duration=seconds(0.3)))
    await session_becomes(ann, session_pb2.SESSION_STATE_RECONNECTING)
    await session_becomes(ann, session_pb2.SESSION_STATE_ONLINE)
    assert (await ann.status()).call.state == call_pb2.CALL_STATE_ACTIVE


async def _camera_lost(ann: Driver, fault: fault_pb2_grpc.FaultServiceAsyncStub) -> None:
    await fault.LoseCamera(fault_pb2.LoseCameraRequest(duration=seconds(60)))
    error = (await ann.event(event_pb2.EVENT_TYPE_ERROR)).error_raised
    assert error.code == 60004
    refusal = await ann.refused(ann.media.OpenCamera(media_pb2.OpenCameraRequest(), timeout=WITHIN))
    assert (refusal.status, refusal.reason) == ("UNAVAILABLE", "DEVICE_FAILED")
    await fault.ClearFaults(fault_pb2.ClearFaultsRequest())
    opened = await ann.media.OpenCamera(media_pb2.OpenCameraRequest(), timeout=WITHIN)
    assert opened.media.is_camera_open


async def _connection_killed(ann: Driver, fault: fault_pb2_grpc.FaultServiceAsyncStub) -> None:
    await fault.KillPeerConnection(fault_pb2.KillPeerConnectionRequest(user_id="echo"))
    await call_becomes(ann, call_pb2.CALL_STATE_RECONNECTING)
    await call_becomes(ann, call_pb2.CALL_STATE_ACTIVE)
    nobody = fault_pb2.KillPeerConnectionRequest(user_id="nobody")
    refusal = await ann.refused(fault.KillPeerConnection(nobody))
    assert refusal.reason == "USER_NOT_IN_CALL"
