"""Signals, from the first to the impatient one: a process of its own for each, since they end it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mediaagentd import hub_daemon, lifecycle
from mediaagentd.hub import server
from mediaagentd.media import engine
from mediaagentd.systemd import Notifier

FILES = """
import resource
from mediaagentd.lifecycle import allow_files
for limits in ((256, 512), (256, 256)):
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    allow_files()
    print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_connections_of_clients_do_not_take_the_files_of_a_call() -> None:
    done = subprocess.run([sys.executable, "-c", FILES], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["512 512", "256 256"]


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

    async def healthy(self):
        return True

async def ready():
    print("ready", flush=True)
    return ""

asyncio.run(serve([Part()], Notifier({{}}), ready))
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


class Room:
    """A part that is as healthy as it is told, and says so when it has no more to say."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.over = asyncio.Event()

    async def start(self) -> None:
        """Nothing to do."""

    async def stop(self) -> None:
        """Nothing to do."""

    async def healthy(self) -> bool:
        if not self.answers:
            self.over.set()
            return False
        return self.answers.pop(0)


async def test_the_watchdog_watches_every_part(tmp_path: Path) -> None:
    async def ready() -> str:
        return ""

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(str(tmp_path / "notify"))
        ears.setblocking(False)
        notifier = Notifier({"NOTIFY_SOCKET": ears.getsockname(), "WATCHDOG_USEC": "2000"})
        one, other = Room(False, True, True), Room(True, False, True)
        serving = asyncio.create_task(lifecycle.serve([one, other], notifier, ready))
        async with asyncio.timeout(20):
            await other.over.wait()
        serving.cancel()
        await asyncio.wait([serving])
        heard = [ears.recv(100) for _ in range(3)]
    assert heard == [b"READY=1\nSTATUS=", b"WATCHDOG=1", b"STOPPING=1"]


def test_a_hub_may_write_what_waits() -> None:
    assert hub_daemon.GRACE + server.CLOSING < hub_daemon.STOP_WITHIN < lifecycle.STOP_WITHIN


def test_media_stops_within_a_step_of_the_daemons_stop() -> None:
    """Else it is cancelled before its threads are told."""
    assert engine.STOP < lifecycle.STEP_WITHIN < lifecycle.STOP_WITHIN


async def test_what_was_cancelled_is_no_error_and_anything_else_is() -> None:
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "default_exception_handler", told.append)
        for error in (asyncio.CancelledError(), ValueError("odd"), None):
            lifecycle._unhandled(loop, {"message": "x", "exception": error})
    assert [context["exception"] for context in told] == [told[0]["exception"], None]
    assert isinstance(told[0]["exception"], ValueError)
