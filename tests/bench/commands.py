"""Commands over the unix socket, idle and in a call, against an empty server of the same library."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from mediaagent.v1.agent_pb2 import GetStatusRequest
from mediaagent.v1.agent_pb2_grpc import AgentServiceStub

from tests.bench.figures import Figure, percentile
from tests.bench.peers import peer, python
from tests.integration import processes

if TYPE_CHECKING:
    from mediaagent.v1.agent_pb2_grpc import AgentServiceAsyncStub

WHY = (
    "The empty server beside it waits nearly as long for one of the two cores, which the encoders and "
    "decoders of two daemons hold until a tick of 4 ms. They give way by nice 5; more starves them beside "
    "other programs."
)
"""If the greatest latencies are too great."""

ROUNDS = 5
CALLS = 400
EMPTY = "empty grpc.aio server"


@asynccontextmanager
async def empty_server(directory: Path) -> AsyncIterator[str]:
    """Its address."""
    address = f"unix:{directory / 'empty.sock'}"
    async with peer(python("empty_server", address), directory / "empty.log") as server:
        await server.ask("ready")
        yield address


async def _round(stub: AgentServiceAsyncStub) -> list[float]:
    """Milliseconds of each of CALLS commands, one after the other."""
    spent = []
    for _ in range(CALLS):
        begun = time.perf_counter()
        reply = await stub.GetStatus(GetStatusRequest())
        spent.append((time.perf_counter() - begun) * 1000)
        assert reply.version
    return spent


@asynccontextmanager
async def _stub(target: str) -> AsyncIterator[AgentServiceAsyncStub]:
    async with grpc.aio.insecure_channel(target) as channel:
        yield AgentServiceStub(channel)


async def measure(directory: Path, agent: processes.Agent, situation: str) -> list[Figure]:
    """Figures of `agent`, which is in the situation named."""
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    async with empty_server(directory) as empty, _stub(agent.target) as our_stub, _stub(empty) as their_stub:
        for _ in range(ROUNDS):
            ours.append(await _round(our_stub))
            theirs.append(await _round(their_stub))
    return [
        Figure(
            f"GetStatus {situation}, p{round(share * 100)}", "ms",
            tuple(percentile(run, share) for run in ours), f"{ROUNDS} x {CALLS} replies read",
            {EMPTY: tuple(percentile(run, share) for run in theirs)}, goal=goal, why=WHY,
        )
        for share, goal in ((0.5, 1.0), (0.99, 5.0))
    ]  # fmt: skip


def run_all(directory: Path) -> list[Figure]:
    """An idle daemon without a user."""

    async def idle() -> list[Figure]:
        async with processes.agent(directory, "idle", "127.0.0.1:1") as agent:
            return await measure(directory, agent, "idle")

    return asyncio.run(idle())
