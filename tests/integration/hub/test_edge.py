"""The edge: errors as statuses, statuses as errors, streams that are replaced or fall behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from mediaagent.hub.v1 import hub_pb2, hub_pb2_grpc
from mediaagentd import interceptors
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.outbox import SIZE
from mediaagentd.hub.server import NAME, HubServer
from mediaagentd.sqlite import StoreError

from tests.integration.hub.conftest import APP, Bench, MakeDevice, sig

SECRET = "what a user said"


class Odd(hub_pb2_grpc.HubServiceServicer):
    """A service with defects; what it does not have is UNIMPLEMENTED."""

    async def Logout(self, request: Any, context: Any) -> Any:
        raise ValueError(SECRET)

    async def RenewLease(self, request: Any, context: Any) -> Any:
        raise Refused(Reason.LIMIT_EXCEEDED, "too much, é\n", {"limit": "x"})

    async def Accept(self, request: Any, context: Any) -> Any:
        await context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    async def Subscribe(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield hub_pb2.SubscribeResponse(sequence=1)
        if request.cursor:
            raise Refused(Reason.SUBSCRIBER_TOO_SLOW, "slow")
        raise KeyError(SECRET)


@pytest.fixture
async def odd(tmp_path: Path) -> AsyncIterator[hub_pb2_grpc.HubServiceAsyncStub]:
    server = grpc.aio.server(interceptors=interceptors.server())
    hub_pb2_grpc.add_HubServiceServicer_to_server(Odd(), server)  # type: ignore[abstract]
    server.add_insecure_port(f"unix:{tmp_path / 'odd.sock'}")
    await server.start()
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'odd.sock'}") as channel:
        yield hub_pb2_grpc.HubServiceStub(channel)
    await server.stop(0)


async def read(call: Any) -> Any:
    """The next message of a stream."""
    async with asyncio.timeout(10):
        return await call.read()


async def drained(call: Any) -> None:
    """Reads to the end."""
    while await read(call) is not grpc.aio.EOF:
        pass


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        await call
    return failed.value


async def test_a_refusal_travels_whole(odd: hub_pb2_grpc.HubServiceAsyncStub) -> None:
    error = await failure(odd.RenewLease(hub_pb2.RenewLeaseRequest()))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    refused = interceptors.refused_from(error)
    assert (refused.reason, refused.message, refused.metadata) == (
        Reason.LIMIT_EXCEEDED,
        "too much, é\n",
        {"limit": "x"},
    )


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_status(reason: Reason) -> None:
    status: Any = interceptors.status_of(Refused(reason, "m", {"k": "v"}))
    assert status.code.name == reason.status.value
    error = grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*status.trailing_metadata), details="m"
    )
    refused = interceptors.refused_from(error)
    assert (refused.reason, refused.metadata) == (reason, {"k": "v"})


@pytest.mark.parametrize("stream", [False, True])
async def test_a_defect_is_told_once_in_the_log_and_without_words(
    odd: hub_pb2_grpc.HubServiceAsyncStub, stream: bool
) -> None:
    with structlog.testing.capture_logs() as logs:
        if stream:
            call = odd.Subscribe(hub_pb2.SubscribeRequest())
            assert (await read(call)).sequence == 1
            error = await failure(call.read())
        else:
            error = await failure(odd.Logout(hub_pb2.LogoutRequest()))
    refused = interceptors.refused_from(error)
    assert refused.reason is Reason.INTERNAL
    (line,) = logs
    assert line["request_id"] == refused.metadata["request_id"]
    assert line["error"] == ("KeyError" if stream else "ValueError")
    assert SECRET not in f"{line}{refused.message}"


async def test_a_refusal_in_a_stream(odd: hub_pb2_grpc.HubServiceAsyncStub) -> None:
    call = odd.Subscribe(hub_pb2.SubscribeRequest(cursor=1))
    await call.read()
    assert interceptors.refused_from(await failure(call.read())).reason is Reason.SUBSCRIBER_TOO_SLOW


async def test_statuses_that_are_nobodys(odd: hub_pb2_grpc.HubServiceAsyncStub, tmp_path: Path) -> None:
    error = await failure(odd.Accept(hub_pb2.AcceptRequest(invite_id="i")))
    assert interceptors.refused_from(error).reason is Reason.INTERNAL
    async with grpc.aio.insecure_channel(f"unix:{tmp_path / 'nobody.sock'}") as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        error = await failure(stub.Accept(hub_pb2.AcceptRequest(invite_id="i")))
    assert interceptors.refused_from(error).reason is Reason.HUB_UNREACHABLE


@pytest.mark.parametrize(
    ("request_", "reason", "field", "rule"),
    [
        (hub_pb2.AcceptRequest(), Reason.FIELD_INVALID, "invite_id", "string.min_len"),
        (hub_pb2.AcceptRequest(invite_id="x" * 65), Reason.FIELD_INVALID, "invite_id", "string.max_len"),
        (
            hub_pb2.LoginRequest(user_id="a\nb", user_sig="x", device_id="d", sdk_app_id=1),
            Reason.USER_ID_INVALID, "user_id", "string.pattern",
        ),
        (
            hub_pb2.InviteRequest(user_ids=["a", "b c"], type=1, request_id="r"),  # type: ignore[arg-type]
            Reason.USER_ID_INVALID, "user_ids[1]", "string.pattern",
        ),
        (hub_pb2.RelayRequest(to_user_id="a"), Reason.FIELD_INVALID, "signal", "required"),
        (
            hub_pb2.RelayRequest(
                to_user_id="a", signal=hub_pb2.Signal(candidate=hub_pb2.Candidate(mid="m" * 33))
            ),
            Reason.FIELD_INVALID, "signal.candidate.mid", "string.max_len",
        ),
    ],
)  # fmt: skip
def test_rules_of_fields(request_: Any, reason: Reason, field: str, rule: str) -> None:
    with pytest.raises(Refused) as refused:
        interceptors.check(request_)
    assert refused.value.reason is reason
    assert refused.value.metadata == {"field": field, "rule": rule}
    assert field in refused.value.message
    assert rule in refused.value.message


# ------------------------------------------------------------------------------ streams of the hub


async def test_a_newer_stream_ends_the_older(hub: Bench) -> None:
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        metadata = await login(stub, "ann")
        older = stub.Subscribe(hub_pb2.SubscribeRequest(), metadata=metadata)
        assert (await read(older)).HasField("welcome")
        newer = stub.Subscribe(hub_pb2.SubscribeRequest(), metadata=metadata)
        assert (await read(newer)).HasField("welcome")
        error = await failure(older.read())
        assert interceptors.refused_from(error).reason is Reason.STREAM_REPLACED
        assert (await read(newer)).HasField("heartbeat")
        newer.cancel()


async def test_who_does_not_read_is_cut_and_resumes_without_the_lost(hub: Bench, device: MakeDevice) -> None:
    async with grpc.aio.insecure_channel(
        hub.target, options=[("grpc.http2.lookahead_bytes", 1024)]
    ) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        metadata = await login(stub, "ann")
        lazy = stub.Subscribe(hub_pb2.SubscribeRequest(), metadata=metadata)
        assert (await read(lazy)).HasField("welcome")
        bob = await device("bob")
        call = await bob.invite("ann")
        await stub.Accept(hub_pb2.AcceptRequest(invite_id=call.invite_id), metadata=metadata)
        bobs = bob.client._running
        assert bobs is not None
        sdp = "v=0\r\n" + "a=x\r\n" * 12_000
        signal = hub_pb2.Signal(call_id=call.call_id, attempt=2, offer=sdp)
        relay = hub_pb2.RelayRequest(to_user_id="ann", signal=signal)
        for _ in range(SIZE + 20):
            await bob.client._rpc.unary(bobs.session, "Relay", relay, 10)
        error = await failure(drained(lazy))
        assert interceptors.refused_from(error).reason is Reason.SUBSCRIBER_TOO_SLOW
        again = stub.Subscribe(hub_pb2.SubscribeRequest(cursor=1), metadata=metadata)
        welcome = await again.read()
        assert isinstance(welcome, hub_pb2.SubscribeResponse)
        assert not welcome.welcome.resumed
        assert [it.call_id for it in welcome.welcome.calls] == [call.call_id]
        again.cancel()


async def test_a_signal_of_a_call_that_has_no_end_of_a_name_is_refused_in_our_words(hub: Bench) -> None:
    """The refusal had the name in it, and was larger than what a client takes in."""
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        metadata = await login(stub, "ann")
        signal = hub_pb2.Signal(call_id="c" * 4000, rebuild=hub_pb2.Rebuild())
        relay = hub_pb2.RelayRequest(to_user_id="bob", signal=signal)
        error = await failure(stub.Relay(relay, metadata=metadata))
        refused = interceptors.refused_from(error)
        assert (refused.reason, refused.metadata["field"]) == (Reason.FIELD_INVALID, "signal.call_id")


async def test_a_kicked_session_is_told_when_it_comes_back(hub: Bench) -> None:
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = hub_pb2_grpc.HubServiceStub(channel)
        old = await login(stub, "ann")
        await login(stub, "ann", "hall")
        stream = stub.Subscribe(hub_pb2.SubscribeRequest(), metadata=old)
        assert [message.WhichOneof("body") async for message in stream] == ["welcome", "kicked_out"]
        error = await failure(stub.RenewLease(hub_pb2.RenewLeaseRequest(), metadata=old))
        assert interceptors.refused_from(error).reason is Reason.SESSION_UNKNOWN


async def login(stub: hub_pb2_grpc.HubServiceAsyncStub, user_id: str, device_id: str = "d") -> Any:
    request = hub_pb2.LoginRequest(
        user_id=user_id, user_sig=sig(user_id), device_id=device_id, sdk_app_id=APP
    )
    return (("authorization", f"Bearer {(await stub.Login(request)).session_token}"),)


# ------------------------------------------------------------------------------ the server


async def test_who_asks_for_too_much_at_once_waits_at_its_own_end(hub: Bench) -> None:
    """Two thousand commands of one agent under way, and no other agent's was answered."""
    local = (("grpc.use_local_subchannel_pool", 1),)
    async with (
        grpc.aio.insecure_channel(hub.target, options=local) as greedy,
        grpc.aio.insecure_channel(hub.target, options=local) as modest,
    ):
        watches = [
            health_pb2_grpc.HealthStub(greedy).Watch(health_pb2.HealthCheckRequest()) for _ in range(101)
        ]
        reads = {asyncio.ensure_future(watch.read()): watch for watch in watches}
        waiting = set(reads)
        async with asyncio.timeout(10):
            while len(waiting) > 1:
                _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        (last,) = waiting
        assert await login(hub_pb2_grpc.HubServiceStub(modest), "ann")
        assert not last.done()
        next(watch for read, watch in reads.items() if read is not last).cancel()
        async with asyncio.timeout(10):
            assert (await last).status == health_pb2.HealthCheckResponse.SERVING


async def test_health_and_free_ports(hub: Bench) -> None:
    await hub.stop()
    await hub.start(listen="127.0.0.1:0")
    assert not hub.target.endswith(":0")
    async with grpc.aio.insecure_channel(hub.target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        for name in ("", NAME):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_two_hubs_share_neither_database_nor_port(hub: Bench, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        await HubServer(replace(hub.settings, listen=f"unix:{tmp_path / 'other.sock'}")).start()
    await hub.stop()
    await hub.start(listen="127.0.0.1:0")
    with pytest.raises(OSError, match="cannot listen"):
        await HubServer(replace(hub.settings, listen=hub.target, database=None)).start()
