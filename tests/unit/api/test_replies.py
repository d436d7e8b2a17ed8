"""What is answered in the corners: whose call a hangup ended, which field is wrong, what a stop says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status
from mediaagent.v1 import agent_pb2, call_pb2, event_pb2, history_pb2, history_pb2_grpc, session_pb2
from mediaagentd.api import server
from mediaagentd.call.types import CallChanged, HubCall, Member, MemberState
from mediaagentd.call.types import CallType as Kind
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.views.recording import Places, Recorder

from tests.unit.api.test_server import Daemon, daemon, read, refusal, until

__all__ = ["daemon"]


async def metadata(call: Any) -> dict[str, str]:
    """Of the refusal of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    status = rpc_status.from_call(failed.value)
    assert status is not None
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return dict(info.metadata)


async def test_what_rings_behind_a_dial_is_not_what_a_hangup_ended(daemon: Daemon) -> None:
    await daemon.login()
    dialling = asyncio.ensure_future(
        daemon.call.Call(call_pb2.CallRequest(user_id="bob", type=call_pb2.CALL_TYPE_AUDIO))
    )
    await until(lambda: bool(daemon.signalling.commands))
    members = (Member("carol", MemberState.JOINED, join_order=1), Member("ann", MemberState.PENDING))
    daemon.calls.handle(CallChanged(HubCall("c2", "i2", 7, Kind.AUDIO, "carol", members, 1)))
    reply = await daemon.call.Hangup(call_pb2.HangupRequest())
    assert (await refusal(dialling))[1] == "NO_CALL"
    assert not reply.HasField("call")
    ringing = (await daemon.call.GetCall(call_pb2.GetCallRequest())).call
    assert (ringing.invite_id, ringing.state) == ("i2", call_pb2.CALL_STATE_RINGING)


async def test_the_field_that_is_wrong_is_one_of_the_request(daemon: Daemon) -> None:
    await daemon.login()
    oneself = daemon.call.Call(call_pb2.CallRequest(user_id="ann", type=call_pb2.CALL_TYPE_AUDIO))
    assert await refusal(oneself) == (
        grpc.StatusCode.INVALID_ARGUMENT, "INVITEES_INVALID", "user_id: that is oneself",
    )  # fmt: skip
    assert await metadata(
        daemon.call.Call(call_pb2.CallRequest(user_id="ann", type=call_pb2.CALL_TYPE_AUDIO))
    ) == {"field": "user_id"}
    stub = history_pb2_grpc.HistoryServiceStub(daemon.channel)
    for field in ("from_time", "to_time"):
        chosen = history_pb2.RecordFilter()
        getattr(chosen, field).seconds = 2**40
        told = await metadata(stub.ListRecords(history_pb2.ListRecordsRequest(filter=chosen)))
        assert told == {"field": f"filter.{field}", "rule": "must be between the years 1 and 9999"}


def test_a_recording_that_cannot_be_written_names_field_and_rule(tmp_path: Path) -> None:
    path = str(tmp_path / "none" / "a.mkv")
    with pytest.raises(Refused) as refused:
        Recorder(path, Places(), with_sound=True, gone=lambda: None).opened.result(10)
    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.metadata == {"field": "file.path", "rule": "No such file or directory"}


async def test_a_connection_that_nobody_uses_is_closed_and_nobody_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "IDLE", 0.1)
    made = Daemon(tmp_path / "agent.sock")
    await made.server.start()
    try:
        await made.agent.GetStatus(agent_pb2.GetStatusRequest())
        async with asyncio.timeout(10):
            await made.channel.wait_for_state_change(grpc.ChannelConnectivity.READY)
        stream = made.event.Subscribe(event_pb2.SubscribeRequest())
        # Heartbeats come every 0.05 s: many idle times, in which the stream keeps its connection.
        assert len(await read(stream, 20)) == 20
        stream.cancel()
    finally:
        await made.channel.close()
        await made.server.stop(0)


async def test_a_login_that_a_stop_gives_up_says_so(daemon: Daemon) -> None:
    daemon.signalling.is_silent = True
    request = session_pb2.LoginRequest(user_id="ann", user_sig="sig")
    waiting = asyncio.ensure_future(refusal(daemon.session.Login(request)))
    await until(lambda: daemon.signalling.logins == ["sig"])
    await daemon.calls.stop()
    stopping = (grpc.StatusCode.UNAVAILABLE, "SHUTTING_DOWN", "the daemon is stopping")
    assert await asyncio.wait_for(waiting, 5) == stopping
