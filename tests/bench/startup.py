"""From exec until the daemon says that it is ready, against importing its libraries and nothing else."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.figures import Figure
from tests.integration import processes

RUNS = 5
IMPORTS = "import grpc.aio, av, aiortc, structlog"


async def _start_once(directory: Path) -> float:
    begun = time.perf_counter()
    async with processes.agent(directory, "start", "127.0.0.1:1"):
        return time.perf_counter() - begun


def _import_once() -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], check=True)
    return time.perf_counter() - begun


def run_all(directory: Path) -> list[Figure]:
    """Interleaved starts after one of each that is not counted."""
    _import_once()
    asyncio.run(_start_once(directory))
    pairs = [(asyncio.run(_start_once(directory)), _import_once()) for _ in range(RUNS)]
    ours, theirs = zip(*pairs, strict=True)
    return [Figure("start until READY", "s", ours, theirs, f"python -c '{IMPORTS}'", "READY=1 received")]
