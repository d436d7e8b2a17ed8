"""A hub whose bytes are no message, now and then. gRPC hands out None for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from google.protobuf.duration_pb2 import Duration
from mediaagent.hub.v1 import hub_pb2
from mediaagentd.call.types import Accept, HubDone, HubFailed, SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.signalling.client import HubClient

from tests.fakes.hub_ears import Ears

NONSENSE = b"\xff\xff\xff"
WELCOME = hub_pb2.SubscribeResponse(welcome=hub_pb2.Welcome())


class Hub:
    """Speaks bytes: `says` is what it answers to each RPC, in order, then what is right."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.says: dict[str, list[bytes]] = {}
        self.cursors: list[int] = []
        self._server = grpc.aio.server()
        unary = {
            "Login": hub_pb2.LoginResponse(session_token="t", lease=Duration(seconds=30)),
            "RenewLease": hub_pb2.RenewLeaseResponse(),
            "Accept": hub_pb2.AcceptResponse(),
            "Logout": hub_pb2.LogoutResponse(),
        }
        handlers: dict[str, Any] = {
            name: grpc.unary_unary_rpc_method_handler(self._answer(name, right.SerializeToString()))
            for name, right in unary.items()
        }
        handlers["Subscribe"] = grpc.unary_stream_rpc_method_handler(self._subscribe)
        service = grpc.method_handlers_generic_handler("mediaagent.hub.v1.HubService", handlers)
        self._server.add_generic_rpc_handlers((service,))
        self._server.add_insecure_port(target)

    async def start(self) -> None:
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(0)

    def _answer(self, name: str, right: bytes) -> Any:
        async def answer(request: bytes, context: Any) -> bytes:
            return self.says[name].pop(0) if self.says.get(name) else right

        return answer

    async def _subscribe(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        self.cursors.append(hub_pb2.SubscribeRequest.FromString(request).cursor)
        yield WELCOME.SerializeToString()
        for said in self.says.pop("Subscribe", []):
            yield said
        await asyncio.Event().wait()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    made = Hub(f"unix:{tmp_path / 'hub.sock'}")
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def ears() -> Ears:
    return Ears()


@pytest.fixture
async def client(hub: Hub, ears: Ears) -> AsyncIterator[HubClient]:
    made = HubClient(hub.target, device_id="hall", sdk_app_id=1, listener=ears)
    yield made
    await made.close()


async def test_a_push_begins_the_stream_anew_and_is_not_asked_for_again(
    hub: Hub, ears: Ears, client: HubClient
) -> None:
    known = hub_pb2.SubscribeResponse(sequence=7, heartbeat=hub_pb2.Heartbeat()).SerializeToString()
    hub.says["Subscribe"] = [known, NONSENSE]
    with structlog.testing.capture_logs() as logs:
        await client.login("ann", "sig")
        await ears.phase(SessionPhase.RECONNECTING)
        await ears.phase(SessionPhase.ONLINE, since=3)
    assert {line["log_level"] for line in logs} == {"info"}, "it is no defect of ours"
    first, second = hub.cursors
    assert first == 0
    assert second > 7
    assert client.has_session


async def test_a_reply_is_a_failure_of_its_command_alone(hub: Hub, ears: Ears, client: HubClient) -> None:
    hub.says["Accept"] = [NONSENSE]
    await client.login("ann", "sig")
    client.perform(1, Accept("i"))
    client.perform(2, Accept("j"))
    done = await ears.until(lambda it: isinstance(it, HubDone))
    assert done.op == 2
    assert [it.error.reason for it in ears.heard if isinstance(it, HubFailed)] == [Reason.INTERNAL]
    assert client.has_session


async def test_a_reply_to_a_login_refuses_it(hub: Hub, ears: Ears, client: HubClient) -> None:
    hub.says["Login"] = [NONSENSE]
    with pytest.raises(Refused) as refused:
        await client.login("ann", "sig")
    assert refused.value.reason is Reason.INTERNAL
    await client.login("ann", "sig")
    assert client.has_session
