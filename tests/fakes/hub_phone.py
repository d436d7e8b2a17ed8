"""A device of a user as the hub's contract allows it to be: raw stubs, no call machine. It notices what no
device may see: an invitation that rings twice, a push that is older than one before it, a missed call that
was acknowledged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message
from mediaagent.hub.v1 import group_pb2_grpc, hub_pb2, hub_pb2_grpc
from mediaagentd.errors import Reason, Refused
from mediaagentd.interceptors import refused_from

WITHIN = 10.0
"""Seconds that anything may take on a loaded machine."""

AGAIN = frozenset({Reason.HUB_UNREACHABLE, Reason.SHUTTING_DOWN})
_PAUSE = 0.02
"""Seconds between attempts to reach a hub that is away."""

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 10),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 50),
    ("grpc.use_local_subchannel_pool", 1),
)


class Phone:
    """`rang` are the calls that rang here, by invitation; `calls` the newest of each; `missed` what every
    Welcome said, by invitation; `wrong` what must not be. `answers` says what it does with what rings."""

    def __init__(self, target: str, app_id: int, user_id: str, user_sig: str, device_id: str = "") -> None:
        self.user_id = user_id
        self.device_id = device_id or f"device-of-{user_id}"
        self.rang: dict[str, hub_pb2.Call] = {}
        self.calls: dict[str, hub_pb2.Call] = {}
        self.missed: dict[str, hub_pb2.MissedCall] = {}
        self.signals: list[hub_pb2.Signal] = []
        self.wrong: list[str] = []
        self.kicked_by = ""
        self.welcomes = 0
        self.policy = hub_pb2.LOGIN_POLICY_UNSPECIFIED
        self._ringing: set[str] = set()
        self._quiet: set[str] = set()
        self._acknowledged: set[str] = set()
        self._forgotten: set[str] = set()  # what was acknowledged when the present stream was asked for
        self._login = hub_pb2.LoginRequest(
            user_id=user_id, user_sig=user_sig, device_id=self.device_id, sdk_app_id=app_id
        )
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._hub = hub_pb2_grpc.HubServiceStub(self._channel)
        self._groups = group_pb2_grpc.GroupServiceStub(self._channel)
        self._token = ""
        self._cursor = 0
        self._stream: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    # ------------------------------------------------------------------------------ asking

    async def login(self) -> None:
        """Logs in, whatever it takes, and listens. What rang in an earlier login may ring again."""
        response = await self.insist("Login", self._login)
        self._token, self._cursor, self.policy = response.session_token, 0, response.policy
        welcomes = self.welcomes
        self._stream = asyncio.create_task(self._listen())
        await self.until(lambda: self.welcomes > welcomes)

    async def logout(self) -> None:
        """Leaves, and is deaf then."""
        await self._hang_up_the_stream()
        await self.insist("Logout", hub_pb2.LogoutRequest())
        self._token = ""
        self._ringing.clear()

    async def close(self) -> None:
        await self._hang_up_the_stream()
        await self._channel.close()

    async def ask(self, name: str, request: Message) -> Any:
        """One RPC. Refused."""
        stub = self._hub if hasattr(self._hub, name) else self._groups
        metadata = (("authorization", f"Bearer {self._token}"),) if self._token else ()
        try:
            return await getattr(stub, name)(request, timeout=WITHIN, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise refused_from(error) from None

    async def insist(self, name: str, request: Message) -> Any:
        """One RPC, again and again until the hub has answered it. Refused."""
        async with asyncio.timeout(3 * WITHIN):
            while True:
                try:
                    return await self.ask(name, request)
                except Refused as refused:
                    if refused.reason not in AGAIN:
                        raise
                await asyncio.sleep(_PAUSE)

    async def refused(self, name: str, request: Message) -> Refused:
        """What the hub says to a command that it refuses."""
        try:
            await self.ask(name, request)
        except Refused as refused:
            return refused
        raise AssertionError(f"the hub did {name}")

    async def acknowledge(self) -> None:
        """Says that what it has missed is kept here."""
        known = [invite_id for invite_id in self.missed if invite_id not in self._acknowledged]
        if known:
            await self.insist("AcknowledgeMissed", hub_pb2.AcknowledgeMissedRequest(invite_ids=known))
            self._acknowledged |= set(known)

    async def until(self, wanted: Callable[[], Any]) -> Any:
        """Waits until that is true."""
        async with asyncio.timeout(WITHIN):
            while not (found := wanted()):
                self._news.clear()
                await self._news.wait()
        return found

    async def ringing(self) -> hub_pb2.Call:
        """The call that rings."""
        call = await self.until(self.rings)
        assert isinstance(call, hub_pb2.Call)
        return call

    def rings(self) -> hub_pb2.Call | None:
        """The call that rings now, if any."""
        return next((self.rang[invite_id] for invite_id in self._ringing), None)

    def is_quiet(self, invite_id: str) -> bool:
        """Whether that invitation does not ring (any more)."""
        return invite_id not in self._ringing

    def invite_id(self, call: hub_pb2.Call) -> str:
        """Of the newest invitation of this user to that call."""
        return self._member(call).invitation.invite_id or call.invite_id

    # ------------------------------------------------------------------------------ listening

    async def _hang_up_the_stream(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.cancel()
            await asyncio.wait([stream])

    async def _listen(self) -> None:
        while not self.kicked_by:
            self._forgotten = set(self._acknowledged)
            request = hub_pb2.SubscribeRequest(cursor=self._cursor)
            metadata = (("authorization", f"Bearer {self._token}"),)
            stream = self._hub.Subscribe(request, metadata=metadata)
            try:
                async for message in stream:
                    self._hear(message)
            except grpc.aio.AioRpcError as error:
                if refused_from(error).reason is Reason.SESSION_UNKNOWN:
                    self._token = (await self.insist("Login", self._login)).session_token
                    self._cursor = 0
            finally:
                stream.cancel()
            await asyncio.sleep(_PAUSE)

    def _hear(self, message: hub_pb2.SubscribeResponse) -> None:
        match message.WhichOneof("body"):
            case "welcome":
                self._welcomed(message.welcome)
            case "call_changed":
                self._changed(message.call_changed)
            case "signal":
                self.signals.append(message.signal)
            case "missed_call":
                self.missed[message.missed_call.invite_id] = message.missed_call
            case "kicked_out":
                self.kicked_by = message.kicked_out.device_id
            case _:
                pass
        if message.sequence:
            if message.sequence <= self._cursor:
                self.wrong.append(f"push {message.sequence} after {self._cursor}")
            self._cursor = message.sequence
        self._news.set()

    def _welcomed(self, welcome: hub_pb2.Welcome) -> None:
        self.welcomes += 1
        for missed in welcome.missed:
            if missed.invite_id in self._forgotten:
                self.wrong.append(f"{missed.invite_id} is missed, and was acknowledged")
            self.missed[missed.invite_id] = missed
        for call in welcome.calls:
            self._changed(call)
        live = {self.invite_id(call) for call in welcome.calls if not call.ended}
        self._quiet |= self._ringing - live
        self._ringing &= live

    def _changed(self, call: hub_pb2.Call) -> None:
        known = self.calls.get(call.call_id)
        if known is not None and known.revision > call.revision:
            return
        self.calls[call.call_id] = call
        me = self._member(call)
        invite_id = self.invite_id(call)
        if me.state != hub_pb2.MEMBER_STATE_PENDING or call.ended:
            self._ringing.discard(invite_id)
            self._quiet.add(invite_id)
            return
        if invite_id in self._quiet:
            self.wrong.append(f"{invite_id} rings again")
        self._ringing.add(invite_id)
        self.rang.setdefault(invite_id, call)

    def _member(self, call: hub_pb2.Call) -> hub_pb2.Member:
        return next(member for member in call.members if member.user_id == self.user_id)


def states(call: hub_pb2.Call) -> list[str]:
    """The states of its members, in words."""
    return [hub_pb2.MemberState.Name(m.state).removeprefix("MEMBER_STATE_") for m in call.members]
