"""How a command of the command line ends when it is told to, or when nobody reads it any more."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from mediaagent.v1 import call_pb2, view_pb2

from tests.fakes.agent import FakeAgent
from tests.unit.client.test_cli import ENDINGS, running, started

QUICK = "-c", "import sys, mediaagent.cli as cli; cli.LEAVE_WITHIN = 0.5; sys.exit(cli.main())"
"""The command line, which leaves without ceremony after half a second."""


@pytest.mark.parametrize("number", ENDINGS)
async def test_a_login_that_waits_for_its_user_sig_ends_at_the_first_signal(
    fake: FakeAgent, socket: str, number: signal.Signals
) -> None:
    program = (
        "-c",
        (
            "import sys; from mediaagent.cli import main, running, sessions;"
            "read = sessions._user_sig;"
            "sessions._user_sig = lambda *given: (print('asks', flush=True), read(*given))[1];"
            "sys.exit(main())"
        ),
    )
    async with running(program, socket, "login", "alice") as process:
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 15) == b"asks\n"
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 15) == 130
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


async def test_ctrl_c_once_leaves_the_prompt_for_the_user_sig(fake: FakeAgent, socket: str) -> None:
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0);"
        "from mediaagent.cli import main; sys.exit(main())",
        "login", "alice",
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "MEDIAAGENT_SOCKET": socket},
    )  # fmt: skip
    os.close(theirs)
    try:
        said = await _said(ours, b"UserSig: ")
        os.write(ours, b"\x03")
        assert await asyncio.wait_for(process.wait(), 15) == 130, said
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)


async def _said(terminal: int, words: bytes) -> bytes:
    """What was written to the terminal, once the words are among it."""
    loop, said, more = asyncio.get_running_loop(), b"", asyncio.Event()
    loop.add_reader(terminal, more.set)
    try:
        async with asyncio.timeout(15):
            while words not in said:
                await more.wait()
                more.clear()
                said += os.read(terminal, 4096)
    finally:
        loop.remove_reader(terminal)
    return said


async def test_a_view_whose_reader_does_not_read_can_be_ended(fake: FakeAgent, socket: str) -> None:
    fake.picture = b"x" * (1 << 20)  # more than the pipe holds
    async with piped(QUICK, socket, "view", "bob", "-o", "-") as (process, pipe):
        await asyncio.to_thread(os.read, pipe, 1)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 130
    assert fake.views == {}


@asynccontextmanager
async def piped(
    program: tuple[str, str], socket: str, *arguments: str
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """The command line, and the end of its stdout that nobody reads but the test."""
    ours, theirs = os.pipe()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, *arguments, stdout=theirs,
        env={**os.environ, "MEDIAAGENT_SOCKET": socket},
    )  # fmt: skip
    os.close(theirs)
    try:
        yield process, ours
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        with contextlib.suppress(OSError):
            os.close(ours)


@pytest.mark.parametrize("number", ENDINGS)
async def test_a_call_that_is_ended_while_it_is_made_does_not_go_on(
    fake: FakeAgent, socket: str, number: signal.Signals
) -> None:
    fake.slow = True
    async with started(socket, "call", "bob", "--wait") as process:
        await fake.heard(call_pb2.CallRequest)
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 15) == 130
    assert fake.current is None


async def test_a_call_of_somebody_else_goes_on(fake: FakeAgent, socket: str) -> None:
    fake.slow, fake.current = True, call_pb2.Call(call_id="c0", state=call_pb2.CALL_STATE_ACTIVE)
    async with started(socket, "call", "bob", "--wait") as process:
        await fake.heard(call_pb2.CallRequest)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 15) == 130
    assert fake.current is not None


@pytest.mark.parametrize("number", ENDINGS)
async def test_a_view_that_is_ended_while_it_begins_leaves_nothing(
    fake: FakeAgent, socket: str, number: signal.Signals
) -> None:
    fake.slow = True
    async with started(socket, "view", "bob") as process:
        await fake.heard(view_pb2.StartRemoteViewRequest)
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 15) == 130
    assert fake.views == {}


@pytest.mark.parametrize("arguments", [("events",), ("events", "--json"), ("view",)], ids=" ".join)
async def test_who_has_nothing_to_say_leaves_when_nobody_reads(
    fake: FakeAgent, socket: str, arguments: tuple[str, ...]
) -> None:
    async with piped(("-m", "mediaagent"), socket, *arguments) as (process, pipe):
        if arguments[0] == "events":
            await asyncio.to_thread(os.read, pipe, 1)
        else:
            await fake.heard(view_pb2.WatchViewRequest)
        os.close(pipe)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    assert fake.views == {}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
async def test_a_stream_that_is_closed_leads_nowhere(fake: FakeAgent, socket: str, closed: str) -> None:
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", f'exec "$0" -m mediaagent mute {closed}', sys.executable,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "MEDIAAGENT_SOCKET": socket},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert (process.returncode, err) == (0, b"")
    assert bool(out) == (">&-" not in closed.split())
    assert fake.media.is_mic_muted
