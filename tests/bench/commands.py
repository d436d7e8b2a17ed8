"""Commands over the unix socket, idle and in a call, against an empty server of the same library."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from mediaagent.v1.agent_pb2 import GetStatusRequest, GetStatusResponse
from mediaagent.v1.agent_pb2_grpc import AgentServiceStub

from tests.bench.figures import Figure, percentile
from tests.integration import processes

if TYPE_CHECKING:
    from mediaagent.v1.agent_pb2_grpc import AgentServiceAsyncStub

ROUNDS = 5
CALLS = 400


async def _empty_server(path: str) -> grpc.aio.Server:
    async def answer(request: GetStatusRequest, context: object) -> GetStatusResponse:
        return GetStatusResponse(version="empty")

    handler = grpc.unary_unary_rpc_method_handler(
        answer, GetStatusRequest.FromString, GetStatusResponse.SerializeToString
    )
    server = grpc.aio.server()
    server.add_registered_method_handlers("mediaagent.v1.AgentService", {"GetStatus": handler})
    server.add_insecure_port(path)
    await server.start()
    return server


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
    path = f"unix:{directory / 'empty.sock'}"
    server = await _empty_server(path)
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    async with _stub(agent.target) as our_stub, _stub(path) as their_stub:
        for _ in range(ROUNDS):
            ours.append(await _round(our_stub))
            theirs.append(await _round(their_stub))
    await server.stop(0)
    return [
        Figure(
            f"GetStatus {situation}, p{round(share * 100)}", "ms",
            tuple(percentile(run, share) for run in ours), tuple(percentile(run, share) for run in theirs),
            "empty grpc.aio server, in-process", f"{ROUNDS}x{CALLS} replies read",
        )
        for share in (0.5, 0.99)
    ]  # fmt: skip


def run_all(directory: Path) -> list[Figure]:
    """An idle daemon without a user."""

    async def idle() -> list[Figure]:
        async with processes.agent(directory, "idle", "127.0.0.1:1") as agent:
            return await measure(directory, agent, "idle")

    return asyncio.run(idle())
