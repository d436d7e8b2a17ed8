"""The gRPC server of the daemon: a unix socket, a TCP port if configured, health and reflection."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from mediaagent.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    call_pb2,
    call_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    fault_pb2,
    fault_pb2_grpc,
    group_pb2,
    group_pb2_grpc,
    history_pb2,
    history_pb2_grpc,
    media_pb2,
    media_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    view_pb2,
    view_pb2_grpc,
)

from mediaagentd import interceptors
from mediaagentd.api.agent import AgentService
from mediaagentd.api.calls import CallService
from mediaagentd.api.events import EventService
from mediaagentd.api.faults import FaultService
from mediaagentd.api.gate import Gate
from mediaagentd.api.groups import GroupService
from mediaagentd.api.history import HistoryService
from mediaagentd.api.house import House
from mediaagentd.api.media import MediaService
from mediaagentd.api.session import SessionService
from mediaagentd.api.views import ViewService

_FILES = (agent_pb2, call_pb2, event_pb2, fault_pb2, group_pb2, history_pb2, media_pb2, session_pb2, view_pb2)
NAMES = tuple(service.full_name for file in _FILES for service in file.DESCRIPTOR.services_by_name.values())
"""Full names of the services that are offered."""

IDLE = 300.0
"""Seconds without an RPC after which a connection is closed: a program that leaks them must not take all the
files that calls need. Whoever kept it opens another with the next RPC, without noticing."""

_OPTIONS = (
    # Two servers on one port would share its clients; the lock says so before, this in the kernel.
    ("grpc.so_reuseport", 0),
    # Else a client that pings every 30 s is cut off with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # A client whose machine went away frees its streams.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.max_receive_message_length", 1 << 20),
    # A raw 1080p picture has 3.1 MB; the default would do, a 4K snapshot would not.
    ("grpc.max_send_message_length", 64 << 20),
)


class Server:
    """Serves until stopped. Whoever may open the socket (0660, owner and group) may do everything."""

    def __init__(self, house: House, socket: Path, listen: str = "") -> None:
        self._socket = socket
        self._listen = listen
        self._house = house
        self._server: grpc.aio.Server | None = None
        self._health = health.aio.HealthServicer()

    async def start(self) -> None:
        """Binds and serves. Raises OSError when it cannot bind."""
        guards = (*interceptors.server(), Gate(self._house.engine.opened))
        options = (*_OPTIONS, ("grpc.max_connection_idle_ms", round(IDLE * 1000)))
        server = grpc.aio.server(interceptors=guards, options=options)
        _add_services(server, self._house)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection((*NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
        # A socket file that a killed daemon left; the lock says that nobody listens on it.
        if self._socket.exists() and not self._socket.is_socket():
            raise OSError(f"socket: {self._socket} is there and no socket")
        self._socket.unlink(missing_ok=True)
        self._server = server
        try:
            with _umask(0o117):
                _bind(server, f"unix:{self._socket}")
                if self._listen:
                    _bind(server, self._listen)
                await server.start()
        except BaseException:
            await self.stop(0)
            raise
        await self._tell(health_pb2.HealthCheckResponse.SERVING)

    async def stop(self, grace: float) -> None:
        """Takes no more calls, lets those under way end for `grace` seconds, removes the socket."""
        if self._server is None:
            return
        await self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._server.stop(grace)
        self._server = None
        self._socket.unlink(missing_ok=True)

    async def answers(self, within: float) -> bool:
        """Whether a client on the socket gets an answer within so many seconds; feeds the watchdog."""
        async with grpc.aio.insecure_channel(f"unix:{self._socket}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            try:
                reply = await stub.Check(health_pb2.HealthCheckRequest(), timeout=within)
            except grpc.aio.AioRpcError:
                return False
        return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)

    async def _tell(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *NAMES):
            await self._health.set(name, status)


def _add_services(server: grpc.aio.Server, house: House) -> None:
    session_pb2_grpc.add_SessionServiceServicer_to_server(SessionService(house), server)
    call_pb2_grpc.add_CallServiceServicer_to_server(CallService(house), server)
    media_pb2_grpc.add_MediaServiceServicer_to_server(MediaService(house), server)
    view_pb2_grpc.add_ViewServiceServicer_to_server(ViewService(house), server)
    event_pb2_grpc.add_EventServiceServicer_to_server(EventService(house), server)
    history_pb2_grpc.add_HistoryServiceServicer_to_server(HistoryService(house), server)
    group_pb2_grpc.add_GroupServiceServicer_to_server(GroupService(house), server)
    fault_pb2_grpc.add_FaultServiceServicer_to_server(FaultService(house), server)
    agent_pb2_grpc.add_AgentServiceServicer_to_server(AgentService(house), server)


def _bind(server: grpc.aio.Server, address: str) -> None:
    """Binds; raises OSError with the address (gRPC raises RuntimeError, or says port 0)."""
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if port == 0:
        raise OSError(f"cannot listen on {address}")


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """The mode of what is made meanwhile; the socket must never be open to others, not even briefly."""
    old = os.umask(mask)
    try:
        yield
    finally:
        os.umask(old)
