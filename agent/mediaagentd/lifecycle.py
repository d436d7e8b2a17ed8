"""From start to stop: parts in order, signals, the watchdog, deadlines for leaving."""

from __future__ import annotations

import asyncio
import ctypes
import resource
import signal
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog

from mediaagentd.systemd import Notifier

_log = structlog.stdlib.get_logger()

STOP_WITHIN = 10.0
"""Seconds that all of a stop may take; systemd's patience (TimeoutStopSec) is longer."""

STEP_WITHIN = 2.0
"""Seconds that one step of a stop may take, unless it is told."""

EXECUTOR_THREADS = 4
"""A fixed number: threads that come and go leave memory arenas behind."""


MOST_FILES = 65536
"""Open files; what a hub with 30,000 agents needs, and more than any agent."""


class Part(Protocol):
    """What can be started and stopped."""

    async def start(self) -> None:
        """Starts; raises and leaves nothing behind when it cannot."""

    async def stop(self) -> None:
        """Stops; bounded."""

    async def healthy(self) -> bool:
        """Whether it makes progress; when it does not for long, systemd starts us again."""


def end_with_parent() -> None:
    """Asks the kernel for SIGTERM when the parent dies, even by SIGKILL: nobody else would end us."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


async def serve(
    parts: Sequence[Part],
    notifier: Notifier,
    ready: Callable[[], Awaitable[str]],
) -> None:
    """Starts the parts in order, serves until SIGTERM, SIGINT or SIGHUP, stops them in reverse under a
    deadline. `ready` is awaited once they run and gives the status line. The watchdog is fed while all of
    them are healthy. A second signal ends at once.
    """
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unhandled)
    _tame_memory(loop)
    allow_files()
    signalled = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup
            loop.add_signal_handler(number, _heed, loop, number, signalled)
    started: list[Part] = []
    watchdog: asyncio.Task[None] | None = None
    try:
        for part in parts:
            await part.start()
            started.append(part)
        notifier.ready(await ready())
        watchdog = asyncio.create_task(notifier.feed(lambda: _healthy(parts)))
        await signalled.wait()
    finally:
        notifier.stopping()
        if watchdog is not None:
            watchdog.cancel()
        await _stop(started)


def _heed(loop: asyncio.AbstractEventLoop, number: int, signalled: asyncio.Event) -> None:
    """The first signal asks to leave; the next one ends the process, without Python's KeyboardInterrupt."""
    signalled.set()
    loop.remove_signal_handler(number)
    signal.signal(number, signal.SIG_DFL)


async def _healthy(parts: Sequence[Part]) -> bool:
    return all([await part.healthy() for part in parts])


async def _stop(started: Sequence[Part]) -> None:
    try:
        async with asyncio.timeout(STOP_WITHIN):
            for part in reversed(started):
                await _stop_one(part)
    except TimeoutError:
        _log.error("not everything stopped in time", seconds=STOP_WITHIN)


async def _stop_one(part: Part) -> None:
    """What goes wrong in one part does not keep the others from stopping."""
    try:
        await part.stop()
    except Exception:
        _log.exception("stopping failed", part=type(part).__name__)


async def step(what: str, awaitable: Awaitable[object], within: float = STEP_WITHIN) -> None:
    """One step of a stop: bounded to `within` seconds, and what goes wrong in it does not keep the others
    from happening.
    """
    try:
        async with asyncio.timeout(within):
            await awaitable
    except TimeoutError:
        _log.warning("stopping took too long", step=what, seconds=within)
    except Exception:
        _log.exception("stopping failed", step=what)


def allow_files() -> None:
    """As many open files as the system lets us have, up to `MOST_FILES`: each connection of a client is one,
    and the usual 1024, made for programs that use select(), would leave none for a call.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _tame_memory(loop: asyncio.AbstractEventLoop) -> None:
    """Two memory arenas and a fixed number of threads: else a daemon that makes many calls grows in steps."""
    m_arena_max = -8
    try:
        ctypes.CDLL(None).mallopt(m_arena_max, 2)
    except (AttributeError, OSError):
        _log.debug("this libc has no mallopt")
    loop.set_default_executor(ThreadPoolExecutor(EXECUTOR_THREADS, "worker"))


def _unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What nobody has taken. gRPC leaves so what it cancels itself, the RPCs that run when a server ends: no
    error to be read in a log.
    """
    if not isinstance(context.get("exception"), asyncio.CancelledError):
        loop.default_exception_handler(context)
