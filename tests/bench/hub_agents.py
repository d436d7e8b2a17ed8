"""Many agents of a hub in one process: `python -m tests.bench.hub_agents TARGET APP KEY FIRST COUNT`.

Each agent is what a daemon is to the hub: a connection of its own, a session, a stream. What the process is
to do comes as lines of JSON on stdin, what came of it leaves as lines on stdout. It ends with its stdin.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import random
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import grpc
from mediaagent.hub.v1 import group_pb2, group_pb2_grpc, hub_pb2, hub_pb2_grpc
from mediaagent.v1 import call_pb2
from mediaagentd.hub.usersig import mint

_OPTIONS = (("grpc.use_local_subchannel_pool", 1), ("grpc.keepalive_time_ms", 20_000))
"""As the daemon's: without the first one all agents of a process would share a connection."""

_AT_ONCE = 32
"""Agents that come online at the same time."""

_PATIENCE = 20.0
"""Seconds after which an answer or a push counts as lost."""


def user(number: int) -> str:
    """The user id of an agent."""
    return f"user-{number}"


@dataclass(slots=True)
class Heard:
    """When the pushes of each call came, by call id; CLOCK_MONOTONIC, the same in all processes."""

    times: dict[str, list[float]] = field(default_factory=dict)
    waiting: dict[str, asyncio.Event] = field(default_factory=dict)

    def note(self, call_id: str) -> None:
        """A push of that call."""
        self.times.setdefault(call_id, []).append(time.monotonic())
        if call_id in self.waiting:
            self.waiting[call_id].set()

    async def of(self, call_id: str) -> float:
        """When the first push of that call came."""
        if call_id not in self.times:
            news = self.waiting.setdefault(call_id, asyncio.Event())
            async with asyncio.timeout(_PATIENCE):
                await news.wait()
            del self.waiting[call_id]
        return self.times[call_id][0]


class Agent:
    """One agent. What rings at it is noted, and left to ring."""

    def __init__(self, target: str, number: int, heard: Heard) -> None:
        self.user_id = user(number)
        self._heard = heard
        self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        self._stub = hub_pb2_grpc.HubServiceStub(self._channel)
        self._groups = group_pb2_grpc.GroupServiceStub(self._channel)
        self._metadata: Any = ()
        self._lease = 0.0
        self._reader: asyncio.Task[None] | None = None
        self._renewer: asyncio.Task[None] | None = None
        self.welcomes = 0

    async def online(self, user_sig: str, app: int) -> None:
        """Logs in and reads until the welcome; the rest is read by a task."""
        request = hub_pb2.LoginRequest(
            user_id=self.user_id, user_sig=user_sig, device_id="bench", sdk_app_id=app
        )
        reply = await self._stub.Login(request, timeout=_PATIENCE)
        self._metadata = (("authorization", f"Bearer {reply.session_token}"),)
        self._lease = reply.lease.ToMilliseconds() / 1000
        stream = self._stub.Subscribe(hub_pb2.SubscribeRequest(), metadata=self._metadata)
        async with asyncio.timeout(_PATIENCE):
            welcome: Any = await stream.read()
        assert welcome.HasField("welcome")
        self.welcomes += 1
        self._reader = asyncio.create_task(self._read(stream))
        self._renewer = asyncio.create_task(self._renew())

    async def make_group(self, group_id: str, members: list[str]) -> None:
        """Makes a group of itself and them."""
        request = group_pb2.CreateGroupRequest(group_id=group_id, member_ids=members, request_id=group_id)
        await self._groups.CreateGroup(request, metadata=self._metadata, timeout=_PATIENCE)

    async def invite(self, invitees: list[str], group_id: str = "") -> Any:
        """Makes a call; its reply."""
        request = hub_pb2.InviteRequest(
            user_ids=invitees,
            type=call_pb2.CALL_TYPE_AUDIO,
            group_id=group_id,
            request_id=f"{next(_REQUESTS)}",
        )
        request.timeout.FromSeconds(60)
        return (await self._stub.Invite(request, metadata=self._metadata, timeout=_PATIENCE)).call

    async def hang_up(self, call_id: str) -> None:
        """Cancels it."""
        request = hub_pb2.HangupRequest(call_id=call_id)
        await self._stub.Hangup(request, metadata=self._metadata, timeout=_PATIENCE)

    async def close(self) -> None:
        """Leaves as a crash would."""
        for task in (self._reader, self._renewer):
            if task is not None:
                task.cancel()
        await self._channel.close()

    async def _read(self, stream: Any) -> None:
        try:
            while (message := await stream.read()) is not grpc.aio.EOF:
                call = message.call_changed
                if message.HasField("call_changed") and not call.ended and call.sponsor != self.user_id:
                    self._heard.note(call.call_id)
        finally:
            stream.cancel()

    async def _renew(self) -> None:
        pause = self._lease / 3 * random.random()  # as the daemon's
        while True:
            await asyncio.sleep(pause)
            pause = self._lease / 3
            await self._stub.RenewLease(
                hub_pb2.RenewLeaseRequest(), metadata=self._metadata, timeout=_PATIENCE
            )


_REQUESTS = itertools.count(time.monotonic_ns())


class Crowd:
    """The agents of this process and what they can be told to do."""

    def __init__(self, target: str, app: int, key: str, first: int, count: int) -> None:
        self._app = app
        self._key = key
        self._heard = Heard()
        self._agents = [Agent(target, first + n, self._heard) for n in range(count)]

    async def online(self) -> dict[str, Any]:
        """All of them come, `_AT_ONCE` at a time; milliseconds each took."""
        gate = asyncio.Semaphore(_AT_ONCE)
        now = int(time.time())

        async def one(agent: Agent) -> float:
            user_sig = mint(self._app, self._key, agent.user_id, now=now, expire=86400)
            async with gate:
                begun = time.monotonic()
                await agent.online(user_sig, self._app)
                return (time.monotonic() - begun) * 1e3

        took = await asyncio.gather(*map(one, self._agents))
        gc.collect()
        gc.freeze()  # the pauses of a thousand agents in one process are not the hub's
        return {"ms": [round(ms, 2) for ms in took]}

    async def call(self, rate: float, seconds: float) -> dict[str, Any]:
        """Invitations from the first half to the second, `rate` a second whatever becomes of them, each
        cancelled when it has rung. Milliseconds until the reply and until it rang; what was not done.
        """
        half = len(self._agents) // 2
        free = deque((self._agents[n], self._agents[n + half].user_id) for n in range(half))
        replies: list[float] = []
        rings: list[float] = []
        failed: list[str] = []

        async def one(caller: Agent, callee: str, due: float) -> None:
            try:
                call = await caller.invite([callee])
                replies.append((time.monotonic() - due) * 1e3)
                rings.append((await self._heard.of(call.call_id) - due) * 1e3)
                await caller.hang_up(call.call_id)
            except (grpc.aio.AioRpcError, TimeoutError) as error:
                failed.append(f"{getattr(error, 'details', lambda: 'not heard')()}")
            finally:
                free.append((caller, callee))

        begun = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for n in range(int(rate * seconds)):
                due = begun + n / rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if free:
                    # From the moment at which it was due: an overloaded generator must not flatter the hub.
                    tasks.create_task(one(*free.popleft(), due))
                else:
                    failed.append("nobody is free")
        spent = time.monotonic() - begun
        return {"seconds": spent, "replies": replies, "rings": rings, "failed": failed}

    async def group(self, group_id: str, members: list[str]) -> dict[str, Any]:
        """The first agent makes a group."""
        await self._agents[0].make_group(group_id, members)
        return {}

    async def ring(self, group_id: str) -> dict[str, Any]:
        """The first agent calls its group, and leaves it ringing."""
        begun = time.monotonic()
        call = await self._agents[0].invite([], group_id)
        return {"call_id": call.call_id, "begun": begun, "reply": (time.monotonic() - begun) * 1e3}

    async def cancel(self, call_id: str) -> dict[str, Any]:
        """The first agent takes it back."""
        await self._agents[0].hang_up(call_id)
        return {}

    async def heard(self, call_id: str, at_least: int) -> dict[str, Any]:
        """When that call rang at the agents here, as soon as it did at so many."""
        async with asyncio.timeout(_PATIENCE):
            while len(self._heard.times.get(call_id, ())) < at_least:
                news = self._heard.waiting.setdefault(call_id, asyncio.Event())
                news.clear()
                await news.wait()
        return {"times": self._heard.times.get(call_id, [])}

    async def close(self) -> None:
        """All of them go."""
        await asyncio.gather(*(agent.close() for agent in self._agents))


async def _serve(crowd: Crowd) -> None:
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        order = json.loads(line)
        begun = time.process_time()
        answer = await getattr(crowd, order.pop("do"))(**order)
        answer["cpu"] = time.process_time() - begun
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await crowd.close()


def main() -> None:
    """Runs the agents of the command line."""
    target, app, key, first, count = sys.argv[1:]

    async def run() -> None:
        await _serve(Crowd(target, int(app), key, int(first), int(count)))

    asyncio.run(run())


if __name__ == "__main__":
    main()
