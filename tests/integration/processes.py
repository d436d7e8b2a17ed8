"""Real hubs and daemons as child processes, for every test that wants the whole thing.

A process is ready when it says so the way it says so to systemd (READY=1 on NOTIFY_SOCKET): nothing is
polled, nothing sleeps. Each is ended by its own process id, and its log is shown when a test fails.

    async with house(tmp_path, "ann") as (the_hub, (ann,)):
        async with ann.channel() as channel:
            await SessionServiceStub(channel).Login(LoginRequest(user_id="ann", user_sig=the_hub.mint("ann")))
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from mediaagentd.children import end, free_port, until_ready

REPOSITORY = Path(__file__).resolve().parents[2]
APP_ID = 1400000000
KEY = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
"""The key of the public UserSig vector: a test's hub has no secret."""

READY_WITHIN = 30.0
"""Seconds that a start may take on a loaded machine."""

STOP_WITHIN = 15.0
"""Seconds that a stop may take; the daemon's own deadline is shorter."""


class NotReadyError(Exception):
    """The process ended or kept silent instead of getting ready; the message has its log's end."""


@dataclass(slots=True)
class ChildProcess:
    """One process of ours. `log` is the file with what it wrote to stdout and stderr."""

    name: str
    process: asyncio.subprocess.Process
    log: Path
    exit_code: int | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def signal(self, number: int) -> None:
        """Sends a signal, if it still lives."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def wait(self, timeout: float = STOP_WITHIN) -> int:
        """Its exit code; TimeoutError when it does not end."""
        async with asyncio.timeout(timeout):
            self.exit_code = await self.process.wait()
        return self.exit_code

    async def stop(self) -> int:
        """SIGTERM, then SIGKILL when it does not listen. Returns its exit code."""
        self.exit_code = await end(self.process, STOP_WITHIN)
        return self.exit_code

    def tail(self, lines: int = 40) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


@dataclass(slots=True)
class Hub:
    """A running hub."""

    child: ChildProcess
    target: str

    def mint(self, user_id: str, *, app_id: int = APP_ID, key: str = KEY, expire: int = 3600) -> str:
        """A UserSig of that user, made now, good for `expire` seconds (negative: expired already)."""
        from mediaagentd.hub.usersig import mint

        now = int(time.time())
        made = now + min(expire, 0) * 2 if expire < 0 else now
        return mint(app_id, key, user_id, now=made, expire=abs(expire))


@dataclass(slots=True)
class Agent:
    """A running daemon."""

    child: ChildProcess
    socket: Path
    directory: Path

    @property
    def target(self) -> str:
        """What a gRPC channel takes."""
        return f"unix:{self.socket}"

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        """A channel of its own, closed at the end."""
        async with grpc.aio.insecure_channel(self.target) as channel:
            yield channel


async def spawn(
    name: str,
    arguments: list[str],
    directory: Path,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> ChildProcess:
    """Starts `<prefix> mediaagentd <arguments>`, its log in `directory`, and does not wait for anything."""
    directory.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a test's own directory
    log = directory / f"{name}.log"
    clean = {key: value for key, value in os.environ.items() if not key.startswith("MEDIAAGENT_")}
    paths = os.pathsep.join([str(REPOSITORY / "agent"), str(REPOSITORY / "clients" / "python")])
    with log.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(
            *prefix, sys.executable, "-m", "mediaagentd", *arguments,
            stdin=asyncio.subprocess.DEVNULL, stdout=stream, stderr=stream, cwd=directory,
            env={**clean, "PYTHONPATH": paths, "HOME": str(directory), "PYTHONUNBUFFERED": "1",
                 **(environment or {})},
        )  # fmt: skip
    return ChildProcess(name, process, log)


@asynccontextmanager
async def running(
    name: str,
    arguments: list[str],
    directory: Path,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> AsyncIterator[ChildProcess]:
    """A process that has said READY=1, and that is ended at the end. Raises NotReadyError."""
    directory.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - a test's own directory
    # Not in the test's own directory, which may be too deep for a unix socket's path; and not an
    # abstract address, which ends at the border of a network namespace.
    with (
        tempfile.TemporaryDirectory(prefix="mediaagent-notify-") as place,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears,
    ):
        address = f"{place}/socket"
        ears.bind(address)
        ears.setblocking(False)
        child = await spawn(
            name, arguments, directory, {**(environment or {}), "NOTIFY_SOCKET": address}, prefix
        )
        try:
            if failed := await until_ready(child.process, ears, READY_WITHIN):
                raise NotReadyError(f"{name} {failed}:\n{child.tail()}")
            yield child
        finally:
            await child.stop()


@asynccontextmanager
async def hub(
    directory: Path,
    *,
    port: int | None = None,
    address: str = "127.0.0.1",
    prefix: Sequence[str] = (),
    **settings: str,
) -> AsyncIterator[Hub]:
    """A hub with its database in `directory`; `settings` are keys of the `[hub]` section."""
    target = f"{address}:{port or free_port()}"
    environment = {
        "MEDIAAGENT_SDK_APP_ID": str(APP_ID),
        "MEDIAAGENT_HUB__LISTEN": target,
        "MEDIAAGENT_HUB__KEYS": KEY,
        # A machine without a network has no other addresses.
        "MEDIAAGENT_HUB__ALLOWED_CANDIDATES": "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/10",
        "MEDIAAGENT_HUB__DATABASE": str(directory / "hub.sqlite"),
        **{f"MEDIAAGENT_HUB__{key.upper()}": value for key, value in settings.items()},
    }
    async with running("hub", ["hub"], directory, environment, prefix) as child:
        yield Hub(child, target)


def agent_environment(directory: Path, name: str, target: str, **settings: str) -> dict[str, str]:
    """What configures a daemon with synthetic devices whose files are all below `directory / name`."""
    return {
        "MEDIAAGENT_SDK_APP_ID": str(APP_ID),
        "MEDIAAGENT_HUB_TARGET": target,
        "MEDIAAGENT_SOCKET": str(directory / name / "agent.sock"),
        "MEDIAAGENT_STATE_DIR": str(directory / name / "state"),
        "MEDIAAGENT_DEVICE_ID": name,
        "MEDIAAGENT_CAMERA": "synthetic",
        "MEDIAAGENT_MICROPHONE": "synthetic",
        "MEDIAAGENT_SPEAKER": "null",
        "MEDIAAGENT_VIDEO_EFFORT": "fast",  # else every daemon of a test measures this machine
        **{f"MEDIAAGENT_{key.upper()}": value for key, value in settings.items()},
    }


@asynccontextmanager
async def agent(
    directory: Path,
    name: str,
    the_hub: Hub | str,
    *,
    command: str = "run",
    prefix: Sequence[str] = (),
    **settings: str,
) -> AsyncIterator[Agent]:
    """A daemon that serves. `the_hub` may be an address where nobody listens; `settings` are keys of the
    configuration (`camera="none"`)."""
    target = the_hub if isinstance(the_hub, str) else the_hub.target
    environment = agent_environment(directory, name, target, **settings)
    async with running(name, [command], directory / name, environment, prefix) as child:
        yield Agent(child, Path(environment["MEDIAAGENT_SOCKET"]), directory / name)


@asynccontextmanager
async def together(*daemons: AbstractAsyncContextManager[Agent]) -> AsyncIterator[list[Agent]]:
    """Daemons that start together, since each is loading for most of its start, and leave together."""
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as starting:
            starts = [starting.create_task(stack.enter_async_context(daemon)) for daemon in daemons]
        agents = [start.result() for start in starts]
        try:
            yield agents
        finally:
            for one in agents:
                one.child.signal(signal.SIGTERM)  # each is waited for when its turn comes


@asynccontextmanager
async def household(
    the_hub: AbstractAsyncContextManager[Hub], *daemons: AbstractAsyncContextManager[Agent]
) -> AsyncIterator[tuple[Hub, list[Agent]]]:
    """A hub that starts together with its daemons, and leaves after them."""
    async with AsyncExitStack() as home, AsyncExitStack() as guests:
        async with asyncio.TaskGroup() as starting:
            host = starting.create_task(home.enter_async_context(the_hub))
            inmates = starting.create_task(guests.enter_async_context(together(*daemons)))
        yield host.result(), inmates.result()


@asynccontextmanager
async def house(directory: Path, *names: str, **settings: str) -> AsyncIterator[tuple[Hub, list[Agent]]]:
    """A hub and a daemon of each of the names, all of them with these settings."""
    port = free_port()
    daemons = (agent(directory, name, f"127.0.0.1:{port}", **settings) for name in names)
    async with household(hub(directory, port=port), *daemons) as started:
        yield started
