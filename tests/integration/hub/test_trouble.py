"""A hub that does not answer, a listener with defects, a client that changes its mind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from mediaagentd.call.signal import Candidate, Signal
from mediaagentd.call.types import Accept, CallChanged, Leave, Report, SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.server import NAME
from mediaagentd.signalling import client as module
from mediaagentd.signalling.client import HubClient

from tests.fakes.hub_ears import Ears
from tests.integration.hub.conftest import APP, Bench, MakeDevice, sig


@pytest.fixture
async def mute(tmp_path: Path) -> AsyncIterator[str]:
    """A hub that takes connections and says nothing."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_unix_server(serve, str(tmp_path / "mute.sock"))
    yield f"unix:{tmp_path / 'mute.sock'}"
    gone.set()
    server.close()
    await server.wait_closed()


async def test_a_login_that_is_not_answered(
    mute: str, device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER", 0.3)
    ann = await device("ann", target=mute, login=False)
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        await ann.login()
    assert refused.value.reason is Reason.HUB_UNREACHABLE
    assert time.monotonic() - began < 3
    assert ann.ears.heard == []
    await ann.client.logout()


async def test_a_login_that_is_given_up_leaves_nothing(mute: str, device: MakeDevice) -> None:
    ann = await device("ann", target=mute, login=False)
    login = asyncio.create_task(ann.login())
    await asyncio.wait([login], timeout=0.1)
    login.cancel()
    with pytest.raises(asyncio.CancelledError):
        await login
    assert (await ann.refused(Accept("i"))).reason is Reason.NOT_LOGGED_IN
    ann.client.perform(0, Leave("c"))
    ann.client.send_signal("c", "bob", Signal(2, Candidate("", "0")))


async def test_a_second_login_ends_the_first(hub: Bench, device: MakeDevice) -> None:
    ann = await device("ann")
    await ann.client.login("eve", sig("eve"))
    bob = await device("bob")
    await bob.invite("eve")
    await ann.ears.call(lambda it: it.sponsor == "bob")
    assert not any(getattr(it, "session", None) is SessionPhase.KICKED_OUT for it in ann.ears.heard)


class Clumsy(Ears):
    """A listener that fails at whatever it is told first of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: set[object] = set()

    def report(self, report: Report) -> None:
        super().report(report)
        self._fail(type(report))

    def on_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        super().on_signal(call_id, sender, signal)
        self._fail(Signal)

    def on_missed(self, records: Any) -> None:
        self._fail("missed")

    def on_ice_servers(self, servers: Any) -> None:
        self._fail("ice")

    def _fail(self, kind: object) -> None:
        if kind not in self.failed:
            self.failed.add(kind)
            raise ValueError("what a user said")


async def test_a_listeners_defects_do_not_end_the_session(hub: Bench, device: MakeDevice) -> None:
    ears = Clumsy()
    client = HubClient(hub.target, device_id="d", sdk_app_id=APP, listener=ears)
    bob = await device("bob")
    with structlog.testing.capture_logs() as logs:
        await client.login("ann", sig("ann"))
        call = await bob.invite("ann")
        await ears.until(lambda it: isinstance(it, CallChanged))
        client.perform(1, Accept(call.invite_id))
        await bob.ears.call(lambda it: it.revision == 2)
        for mid in ("0", "1"):
            bob.client.send_signal(call.call_id, "ann", Signal(2, Candidate("", mid)))
        await ears.until(lambda it: isinstance(it, tuple) and it[2].body.mid == "1")
    assert {line["event"] for line in logs} >= {"report_failed", "signal_failed", "ice_servers_failed"}
    assert "user said" not in str(logs)
    await client.close()
    await client.close()


async def test_no_secret_reaches_the_log(hub: Bench, device: MakeDevice) -> None:
    with structlog.testing.capture_logs() as logs:
        ann = await device("ann")
        with pytest.raises(Refused):
            await ann.client.login("ann", sig("bob"))
        await ann.login()
        running = ann.client._running
        assert running is not None
        secrets = [running.session.token, ann.user_sig]
        await hub.stop()
        await ann.ears.phase(SessionPhase.RECONNECTING)
        since = len(ann.ears.heard)
        await hub.start(database=None)
        await ann.ears.phase(SessionPhase.ONLINE, since)
        secrets.append(running.session.token)
    for secret in secrets:
        assert secret
        assert secret not in str(logs)
        assert secret not in repr(running.session)


async def test_health_and_reflection_pass_the_interceptors(hub: Bench) -> None:
    async with grpc.aio.insecure_channel(hub.target) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
        async with asyncio.timeout(5):
            first = await watch.read()
        assert first.status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        info = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([ask]))
        names = [it.name async for answer in info for it in answer.list_services_response.service]
        assert NAME in names
        unknown: Any = channel.unary_unary("/mediaagent.hub.v1.HubService/Nothing")
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await unknown(b"")
        assert failed.value.code() is grpc.StatusCode.UNIMPLEMENTED
