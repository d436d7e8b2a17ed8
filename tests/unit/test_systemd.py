"""What systemd hears, and that a daemon that makes no progress stops feeding its watchdog."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from mediaagentd.systemd import Notifier


@pytest.fixture
def ears(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.setblocking(False)
        yield made


def environment(ears: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": ears.getsockname(), **more}


def test_ready_status_stopping(ears: socket.socket) -> None:
    notifier = Notifier(environment(ears))
    notifier.ready("serving")
    notifier.stopping()
    assert [ears.recv(100), ears.recv(100)] == [b"READY=1\nSTATUS=serving", b"STOPPING=1"]


def test_nobody_listens(tmp_path: Path) -> None:
    Notifier({}).ready("serving")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).ready("serving")


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_watchdog_interval(environ: dict[str, str], interval: float | None) -> None:
    assert Notifier(environ).watchdog_interval == interval


async def test_the_watchdog_is_fed_only_while_healthy(ears: socket.socket) -> None:
    answers: Iterator[bool | OSError] = iter([True, False, OSError("too many open files"), True])
    asked = asyncio.Event()

    async def healthy() -> bool:
        for answer in answers:
            if isinstance(answer, OSError):
                raise answer
            return answer
        asked.set()
        return False

    notifier = Notifier(environment(ears, WATCHDOG_USEC="2000"))
    feeding = asyncio.create_task(notifier.feed(healthy))
    async with asyncio.timeout(5):
        await asked.wait()
    feeding.cancel()
    heard = []
    with contextlib.suppress(BlockingIOError):
        while True:
            heard.append(ears.recv(100))
    assert heard == [b"WATCHDOG=1"] * 2


@pytest.mark.looptime
async def test_two_answers_that_are_late_are_no_reason_to_start_again(ears: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    answers = iter([True, False, False, True])
    good: list[float] = []
    over = asyncio.Event()

    async def healthy() -> bool:
        answer = next(answers, None)
        if answer is None:
            over.set()
        elif answer:
            good.append(loop.time())
        else:
            await asyncio.sleep(5.0)  # as long as the agent waits for its own answer
        return bool(answer)

    feeding = asyncio.create_task(Notifier(environment(ears, WATCHDOG_USEC="30000000")).feed(healthy))
    await over.wait()
    feeding.cancel()
    assert [ears.recv(100), ears.recv(100)] == [b"WATCHDOG=1"] * 2
    assert good[1] - good[0] < 30.0
