"""The channel to the hub: every RPC under a deadline and with the session's secret, failures as Refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import Message
from mediaagent.hub.v1 import group_pb2, group_pb2_grpc, hub_pb2, hub_pb2_grpc

from mediaagentd.errors import Reason, Refused
from mediaagentd.interceptors import refused_from
from mediaagentd.signalling import wire

UNANSWERED = frozenset({Reason.HUB_UNREACHABLE, Reason.SHUTTING_DOWN, Reason.TIMED_OUT})
"""Reasons after which nobody knows what the hub would say: worth another attempt."""

_OF_GROUPS = frozenset(
    method.name for method in group_pb2.DESCRIPTOR.services_by_name["GroupService"].methods
)
"""RPCs of the hub's other service."""

_OPTIONS = (
    # gRPC's own pauses between connections grow to two minutes; ours decide.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # Each agent has a connection of its own, also when a test has several in one process.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
)


Authorities = Callable[[], bytes | None]
"""Who may have signed the hub's certificate, as PEM; None for those that gRPC brings along."""

_SETTLED = (grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.SHUTDOWN)


@dataclass(slots=True)
class Session:
    """Who is logged in, and what it takes to stay so. `lease` in seconds. `urgent`: a call waits for the hub
    to be reached again, so it is tried without long pauses. `spare`: the UserSig before, while no login has
    proven the present one.
    """

    user_id: str
    user_sig: str = field(repr=False)
    token: str = field(default="", repr=False)
    lease: float = 30.0
    urgent: bool = False
    spare: str = field(default="", repr=False)

    def renew(self, user_sig: str) -> None:
        """Opens the session with another UserSig from now on, should the hub lose it."""
        self.spare, self.user_sig = self.spare or self.user_sig, user_sig

    def take_spare(self) -> bool:
        """Goes back to the one before; False when there is none."""
        if not self.spare:
            return False
        self.user_sig, self.spare = self.spare, ""
        return True

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What proves the session; empty before there is one."""
        return (("authorization", f"Bearer {self.token}"),) if self.token else ()


class Rpc:
    """One channel, opened by the first RPC."""

    def __init__(
        self, target: str, device_id: str, sdk_app_id: int, ca: Authorities | None, tls: bool
    ) -> None:
        self._target = target
        self._device_id = device_id
        self._sdk_app_id = sdk_app_id
        self._ca = ca
        self._tls = tls
        self._known: bytes | None = None
        self._channel: grpc.aio.Channel | None = None

    async def login(self, session: Session, timeout: float) -> None:
        """Opens the session, or opens it again when the hub lost it. Refused."""
        await self._renew()
        request = hub_pb2.LoginRequest(
            user_id=session.user_id,
            user_sig=session.user_sig,
            device_id=self._device_id,
            sdk_app_id=self._sdk_app_id,
        )
        response: hub_pb2.LoginResponse = await self.unary(session, "Login", request, timeout)
        session.token, session.lease = response.session_token, wire.lease(response.lease)
        session.spare = ""

    async def unary(self, session: Session, name: str, request: Message, timeout: float) -> Any:
        """One command. Refused: the hub's words, HUB_UNREACHABLE when there were none, INTERNAL for an answer
        that cannot be read.
        """
        stub = self._groups() if name in _OF_GROUPS else self._stub()
        call = getattr(stub, name)(request, timeout=timeout, metadata=session.metadata)
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            raise refused_from(error) from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not we were cancelled but the RPC, by `reconnect`.
            raise Refused(Reason.HUB_UNREACHABLE, "the connection was given up") from None
        finally:
            call.cancel()  # an abandoned call would never be collected
        if answer is None:  # so gRPC says that its bytes are no message
            raise unreadable()
        return answer

    def subscribe(self, session: Session, cursor: int) -> Any:
        """The stream; the caller reads and cancels it."""
        return self._stub().Subscribe(hub_pb2.SubscribeRequest(cursor=cursor), metadata=session.metadata)

    @property
    def is_connected(self) -> bool:
        """Whether the connection stands, as far as anybody knows."""
        return self._opened().get_state() is grpc.ChannelConnectivity.READY

    async def connected(self) -> None:
        """Tries until the connection stands: by itself at most 2 s (and a fifth) after the hub is there. Ends
        too when it is given up meanwhile.
        """
        await self._renew()
        channel = self._opened()
        with contextlib.suppress(grpc.aio.UsageError):
            while (state := channel.get_state(try_to_connect=True)) not in _SETTLED:
                await channel.wait_for_state_change(state)

    async def reconnect(self) -> None:
        """Gives the connection up: RPCs on it fail with HUB_UNREACHABLE, the next one opens another. A
        connection whose other end has silently gone (a NAT that forgot it, a changed network) would
        swallow every new RPC until the keepalive finds out.
        """
        await self.close()

    async def close(self) -> None:
        """Closes the channel and what still runs on it."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def _renew(self) -> None:
        """A connection that does not stand is opened anew when other authorities are known by now: gRPC would
        hold the hub against the former ones for ever.
        """
        if self._tls and self._channel is not None and not self.is_connected and self._pem() != self._known:
            await self.close()

    def _pem(self) -> bytes | None:
        return self._ca() if self._ca is not None else None

    def _stub(self) -> hub_pb2_grpc.HubServiceAsyncStub:
        return hub_pb2_grpc.HubServiceStub(self._opened())

    def _groups(self) -> group_pb2_grpc.GroupServiceAsyncStub:
        return group_pb2_grpc.GroupServiceStub(self._opened())

    def _opened(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = self._open()
        return self._channel

    def _open(self) -> grpc.aio.Channel:
        if not self._tls:
            return grpc.aio.insecure_channel(self._target, options=_OPTIONS)
        self._known = self._pem()
        credentials = grpc.ssl_channel_credentials(root_certificates=self._known)
        return grpc.aio.secure_channel(self._target, credentials, options=_OPTIONS)


def unreadable() -> Refused:
    """What is said of bytes of the hub that are no message."""
    return Refused(Reason.INTERNAL, "the hub's words cannot be read")
