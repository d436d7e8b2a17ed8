"""Signals, from the first to the impatient one: a process of its own for each, since they end it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mediaagentd import lifecycle
from mediaagentd.media import engine

SCRIPT = """
import asyncio, sys
from mediaagentd.lifecycle import serve
from mediaagentd.systemd import Notifier

class Part:
    async def start(self):
        pass

    async def stop(self):
        print("stopping", flush=True)
        await asyncio.sleep({stop})
        print("stopped", flush=True)

async def ready():
    print("ready", flush=True)
    return ""

async def healthy():
    return True

asyncio.run(serve([Part()], Notifier({{}}), ready, healthy))
"""


@asynccontextmanager
async def serving(stop: float, *prefix: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that serves, and takes `stop` seconds to leave."""
    pipe = asyncio.subprocess.PIPE
    arguments = (*prefix, sys.executable, "-c", SCRIPT.format(stop=stop))
    process = await asyncio.create_subprocess_exec(*arguments, stdout=pipe, stderr=pipe)
    try:
        await said(process, "ready")
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def said(process: asyncio.subprocess.Process, word: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(20):
        assert (await process.stdout.readline()).decode().strip() == word


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    """Exit code (negative for a signal), what was written on stdout and stderr."""
    async with asyncio.timeout(20):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_signal_asks_to_leave(number: signal.Signals) -> None:
    async with serving(0.01) as process:
        process.send_signal(number)
        assert await ended(process) == (0, "stopping\nstopped\n", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_one_ends_at_once_and_quietly(number: signal.Signals) -> None:
    async with serving(60) as process:
        process.send_signal(number)
        await said(process, "stopping")
        process.send_signal(number)
        assert await ended(process) == (-number, "", "")


async def test_who_was_told_to_ignore_the_terminals_end_does() -> None:
    async with serving(0.01, "nohup") as process:
        status = Path(f"/proc/{process.pid}/status").read_text()  # noqa: ASYNC240 - of the kernel
        ignored = int(status.split("SigIgn:")[1].split()[0], 16)
        assert ignored & 1 << signal.SIGHUP - 1


def test_media_stops_within_a_step_of_the_daemons_stop() -> None:
    """Else it is cancelled before its threads are told."""
    assert engine.STOP < lifecycle.STEP_WITHIN < lifecycle.STOP_WITHIN
