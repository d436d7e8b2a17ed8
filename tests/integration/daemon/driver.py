"""Drives one daemon over its socket: the services, its events as they come, and what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status
from mediaagent.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    call_pb2,
    call_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    group_pb2_grpc,
    history_pb2_grpc,
    media_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    view_pb2_grpc,
)

from tests.integration.processes import Agent, Hub

WITHIN = 20.0
"""Seconds in which anything that a test waits for happens, on a loaded machine too."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a failed RPC said."""

    status: str
    reason: str
    message: str
    metadata: dict[str, str]


class Driver:
    """One client of one daemon. `event` reads the events since the driver began, each once."""

    def __init__(self, name: str, channel: grpc.aio.Channel) -> None:
        self.name = name
        self.session = session_pb2_grpc.SessionServiceStub(channel)
        self.call = call_pb2_grpc.CallServiceStub(channel)
        self.media = media_pb2_grpc.MediaServiceStub(channel)
        self.view = view_pb2_grpc.ViewServiceStub(channel)
        self.group = group_pb2_grpc.GroupServiceStub(channel)
        self.history = history_pb2_grpc.HistoryServiceStub(channel)
        self.agent = agent_pb2_grpc.AgentServiceStub(channel)
        events = event_pb2_grpc.EventServiceStub(channel)
        self._stream = events.Subscribe(event_pb2.SubscribeRequest(), wait_for_ready=True)

    async def begin(self) -> None:
        """Reads the snapshot: from here on no event is missed."""
        async with asyncio.timeout(WITHIN):
            assert (await self._read()).HasField("snapshot")

    async def login(self, hub: Hub) -> None:
        """Logs in the user of the driver's name."""
        request = session_pb2.LoginRequest(user_id=self.name, user_sig=hub.mint(self.name))
        await self.session.Login(request, timeout=WITHIN)

    async def event(self, kind: event_pb2.EventType.ValueType) -> event_pb2.Event:
        """The next event of that kind; those before it are skipped."""
        async with asyncio.timeout(WITHIN):
            while True:
                message = await self._read()
                if message.event.type == kind:
                    return message.event

    async def connected(self, user_id: str) -> None:
        """Waits for USER_ENTER of that user."""
        entered = await self.event(event_pb2.EVENT_TYPE_USER_ENTER)
        assert entered.user_entered.user_id == user_id

    async def status(self) -> agent_pb2.GetStatusResponse:
        """What can be seen of the daemon, without what changes by itself: figures, and the encoder, which is
        known once media is loaded.
        """
        reply: agent_pb2.GetStatusResponse = await self.agent.GetStatus(
            agent_pb2.GetStatusRequest(), timeout=WITHIN
        )
        for field in ("uptime", "cpu_time", "resident_bytes", "loop_lag"):
            reply.ClearField(field)
        reply.media.ClearField("video_encoder")
        return reply

    async def refused(self, rpc: Awaitable[Any]) -> Refusal:
        """What the RPC is refused with; the daemon is as it was."""
        before = await self.status()
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await rpc
        assert await self.status() == before
        return _refusal(failed.value)

    async def dial(self, user_id: str, kind: call_pb2.CallType.ValueType) -> call_pb2.Call:
        """Calls somebody."""
        reply = await self.call.Call(call_pb2.CallRequest(user_id=user_id, type=kind), timeout=WITHIN)
        assert isinstance(reply, call_pb2.CallResponse)
        return reply.call

    async def _read(self) -> event_pb2.SubscribeResponse:
        message = await self._stream.read()
        assert isinstance(message, event_pb2.SubscribeResponse), "the stream of events ended"
        return message

    async def gone(self) -> None:
        """Waits until the daemon is no more."""
        async with asyncio.timeout(WITHIN):
            with contextlib.suppress(grpc.aio.AioRpcError):
                while await self._stream.read() is not grpc.aio.EOF:
                    pass

    def end(self) -> None:
        """Lets go of the stream."""
        self._stream.cancel()


def _refusal(error: grpc.aio.AioRpcError) -> Refusal:
    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error.code()} {error.details()}"
    assert len(status.details) == 1
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "mediaagent"
    return Refusal(error.code().name, info.reason, status.message, dict(info.metadata))


@asynccontextmanager
async def drive(agent: Agent, name: str = "") -> AsyncIterator[Driver]:
    """A driver of that daemon; its name is the user's."""
    async with agent.channel() as channel:
        driver = Driver(name or agent.child.name, channel)
        await driver.begin()
        try:
            yield driver
        finally:
            driver.end()
