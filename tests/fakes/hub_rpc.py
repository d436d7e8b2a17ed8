"""The channel to a hub without a hub: a test says what each RPC answers."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from mediaagent.hub.v1 import hub_pb2
from mediaagentd.errors import Reason, Refused
from mediaagentd.signalling.rpc import Rpc, Session

UNREACHABLE = Refused(Reason.HUB_UNREACHABLE, "nobody there")

_ANSWERS = {
    "Login": hub_pb2.LoginResponse(session_token="new", lease=Duration(seconds=30)),
    "Logout": hub_pb2.LogoutResponse(),
    "Relay": hub_pb2.RelayResponse(),
    "Hangup": hub_pb2.HangupResponse(),
    "RenewLease": hub_pb2.RenewLeaseResponse(),
}


class FakeRpc(Rpc):
    """`script` is what the next RPCs say, in order: a refusal or a response; without one it is a success
    with a call named after the RPC. `asked` is what came, `attempts` every try."""

    def __init__(self) -> None:
        super().__init__("nowhere", "device", 1, None, False)
        self.script: list[Refused | Message] = []
        self.down = False
        self.asked: list[tuple[str, Message]] = []
        self.attempts = 0

    async def unary(self, session: Session, name: str, request: Message, timeout: float) -> Any:
        self.attempts += 1
        if self.down:
            raise UNREACHABLE
        said = self.script.pop(0) if self.script else None
        if isinstance(said, Refused):
            raise said
        self.asked.append((name, request))
        if said is not None:
            return said
        if name in _ANSWERS:
            return _ANSWERS[name]
        return getattr(hub_pb2, f"{name}Response")(call=hub_pb2.Call(call_id=name, type=1))  # type: ignore[arg-type]


class FakeStream:
    """A stream that says what it is given, and then nothing; a refusal ends it."""

    def __init__(self, *messages: hub_pb2.SubscribeResponse) -> None:
        self._messages: asyncio.Queue[hub_pb2.SubscribeResponse | Refused] = asyncio.Queue()
        for message in messages:
            self.say(message)

    def say(self, message: hub_pb2.SubscribeResponse | Refused) -> None:
        self._messages.put_nowait(message)

    async def read(self) -> hub_pb2.SubscribeResponse:
        said = await self._messages.get()
        if isinstance(said, Refused):
            raise said
        return said

    def cancel(self) -> None:
        pass


class LiveRpc(FakeRpc):
    """A hub that welcomes whoever comes, unless it is to refuse streams; each RPC takes some turns of the
    loop, or with `stay` never ends. `came`: an RPC has come; `stream` is the newest."""

    def __init__(self) -> None:
        super().__init__()
        self.stay = False
        self.came = asyncio.Event()
        self.refuse_stream: Refused | None = None
        self.stream = FakeStream()

    @staticmethod
    def answer(name: str) -> Message:
        return _ANSWERS[name]

    async def unary(self, session: Session, name: str, request: Message, timeout: float) -> Any:
        self.came.set()
        if self.stay:
            await asyncio.Event().wait()
        for _ in range(3):
            await asyncio.sleep(0)
        return await super().unary(session, name, request, timeout)

    def subscribe(self, session: Session, cursor: int) -> FakeStream:
        if self.refuse_stream is not None:
            raise self.refuse_stream
        self.stream = FakeStream(hub_pb2.SubscribeResponse(welcome=hub_pb2.Welcome()))
        return self.stream

    async def close(self) -> None:
        pass
