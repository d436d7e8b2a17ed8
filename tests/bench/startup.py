"""From exec until a client has an answer from the socket, against importing the libraries only."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from mediaagent.v1.agent_pb2 import GetStatusRequest
from mediaagent.v1.agent_pb2_grpc import AgentServiceStub
from mediaagent.v1.view_pb2 import ListViewsRequest
from mediaagent.v1.view_pb2_grpc import ViewServiceStub

from tests.bench.figures import Figure
from tests.bench.peers import tree_cpu
from tests.integration import processes

RUNS = 5
IMPORTS = "import grpc.aio, av, aiortc, structlog"


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds, CPU seconds, and until a command that needs media was served."""

    wall: float
    cpu: float
    media: float


async def _start_once(directory: Path) -> Start:
    begun = time.perf_counter()
    async with processes.agent(directory, "start", "127.0.0.1:1") as agent, agent.channel() as channel:
        reply = await AgentServiceStub(channel).GetStatus(GetStatusRequest())
        wall, cpu = time.perf_counter() - begun, tree_cpu(agent.child.pid)
        assert reply.version
        await ViewServiceStub(channel).ListViews(ListViewsRequest())
        return Start(wall, cpu, time.perf_counter() - begun)


def _seconds(*arguments: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - begun


def run_all(directory: Path) -> list[Figure]:
    """Interleaved starts after one of each that is not counted."""
    _seconds("-c", IMPORTS)
    asyncio.run(_start_once(directory))
    ours, theirs, client = [], [], []
    for _ in range(RUNS):
        ours.append(asyncio.run(_start_once(directory)))
        theirs.append(_seconds("-c", IMPORTS))
        client.append(_seconds("-m", "mediaagent", "--version"))
    others = {f"python -c '{IMPORTS}'": tuple(theirs)}
    answered = "GetStatus answered"
    return [
        Figure(
            "start until the socket answers", "s", tuple(s.wall for s in ours), answered, others, goal=0.6
        ),
        Figure("CPU until then", "s", tuple(s.cpu for s in ours), answered),
        Figure(
            "start until a command of media is served",
            "s",
            tuple(s.media for s in ours),
            "ListViews answered",
        ),
        Figure("mediaagent --version", "s", tuple(client), "exit code 0"),
    ]
