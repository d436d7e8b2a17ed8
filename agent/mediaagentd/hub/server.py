"""The hub as a server: opens the store, serves, and leaves in the reverse order."""

from __future__ import annotations

import asyncio
import os

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from mediaagent.hub.v1 import group_pb2, group_pb2_grpc, hub_pb2, hub_pb2_grpc

from mediaagentd import interceptors
from mediaagentd.hub import certificate
from mediaagentd.hub.group_service import GroupService
from mediaagentd.hub.service import HubService
from mediaagentd.hub.settings import HubSettings
from mediaagentd.hub.shell import Shell, clock
from mediaagentd.hub.store import SqliteStore
from mediaagentd.hub.types import Limits

_log = structlog.stdlib.get_logger()

NAME = hub_pb2.DESCRIPTOR.services_by_name["HubService"].full_name
"""Full name of the service, for health and reflection."""

GROUPS = group_pb2.DESCRIPTOR.services_by_name["GroupService"].full_name
"""The same of the one for groups."""

_OPTIONS = (
    # Two hubs on one port would each be an authority on half of the calls.
    ("grpc.so_reuseport", 0),
    # Else an agent that pings every 30 s is cut off with "too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # One agent that asks for thousands of things at once must not keep the others waiting behind them: it
    # has a stream and a few commands under way, and what is more waits at its end.
    ("grpc.max_concurrent_streams", 100),
    # An agent whose network went away frees its stream.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # What is a little too large is refused in our words (interceptors), what is far too large in gRPC's.
    ("grpc.max_receive_message_length", 4 * interceptors.MAX_REQUEST),
)

CLOSING = 5.0
"""Seconds that the store may take, at the end, to write what waits."""


class HubServer:
    """One hub. `start` and `stop` once each."""

    def __init__(self, settings: HubSettings) -> None:
        self._settings = settings
        self._target = settings.listen
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._shell: Shell | None = None

    @property
    def target(self) -> str:
        """What a client's channel takes; with port 0 it is known after `start`."""
        return self._target

    @property
    def makes_progress(self) -> bool:
        """See `Journal`; False before `start` and after `stop`."""
        return self._shell is not None and self._shell.makes_progress

    async def start(self) -> None:
        """Opens the store, binds and serves. Raises StoreError when the database cannot be opened (or
        another hub has it), OSError when it cannot bind or the certificate is none.
        """
        credentials = self._credentials()
        settings = self._settings
        limits = Limits(
            lease=settings.lease,
            call_lease=settings.call_lease,
            members=settings.members,
            policy=settings.policy,
            devices=settings.devices,
            groups=settings.groups,
            group_members=settings.group_members,
            missed=settings.missed,
            caller=settings.caller,
            callee=settings.callee,
        )
        self._shell = Shell(limits, SqliteStore(self._settings.database or ":memory:"), clock())
        try:
            await self._shell.start()
            self._server = grpc.aio.server(interceptors=interceptors.server(), options=_OPTIONS)
            self._add_services(self._server, self._shell)
            self._bind(self._server, credentials)
            await self._server.start()
        except BaseException:
            await self.stop(0)
            raise
        await self._tell(health_pb2.HealthCheckResponse.SERVING)
        _log.info("hub_serving", target=self._target, persistent=self._settings.database is not None)

    async def stop(self, grace: float) -> None:
        """Ends the streams, lets commands under way end for `grace` seconds, writes what waits."""
        server, self._server = self._server, None
        shell, self._shell = self._shell, None
        if shell is not None:
            shell.stop()
        if server is not None:
            await self._tell(health_pb2.HealthCheckResponse.NOT_SERVING)
            await server.stop(grace)
        if shell is not None:
            await shell.close(CLOSING)

    def _add_services(self, server: grpc.aio.Server, shell: Shell) -> None:
        hub_pb2_grpc.add_HubServiceServicer_to_server(HubService(self._settings, shell), server)
        group_pb2_grpc.add_GroupServiceServicer_to_server(GroupService(shell), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (NAME, GROUPS, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)

    def _credentials(self) -> grpc.ServerCredentials | None:
        settings = self._settings
        if settings.tls_certificate is None or settings.tls_key is None:
            return None
        return certificate.credentials(settings.tls_certificate, settings.tls_key)

    def _bind(self, server: grpc.aio.Server, credentials: grpc.ServerCredentials | None) -> None:
        """Binds; raises OSError with the address (gRPC raises RuntimeError, or says port 0)."""
        listen = self._settings.listen
        # Who may open a unix socket may log in with a UserSig only: owner and group suffice.
        old = os.umask(0o117)
        try:
            if credentials is None:
                port = server.add_insecure_port(listen)
            else:
                port = server.add_secure_port(listen, credentials)
        except RuntimeError:
            port = 0
        finally:
            os.umask(old)
        if port == 0:
            raise OSError(f"cannot listen on {listen}")
        if not listen.startswith("unix:"):
            self._target = f"{listen.rpartition(':')[0]}:{port}"

    async def _tell(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        await asyncio.gather(*(self._health.set(name, status) for name in ("", NAME, GROUPS)))
