"""Processes that talk: one JSON object a line on stdin and stdout, so that a contender may be written in
anything. A line with `to` is a signal for another peer; every other line answers the oldest question.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.integration.processes import REPOSITORY

PATIENCE = 40.0
"""Seconds that an answer may take on a loaded machine."""

LONGEST_LINE = 1 << 24

_TICK = os.sysconf("SC_CLK_TCK")

Words = dict[str, Any]


class PeerError(Exception):
    """A peer of a benchmark ended or kept silent."""


class Peer:
    """The parent's handle of one process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: deque[asyncio.Future[Words]] = deque()
        self.on_signal: Callable[[Words], None] = lambda words: None
        self._reading = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid

    def cpu(self) -> float:
        """Seconds that it and everything below it have used."""
        return tree_cpu(self.pid)

    def tell(self, **words: object) -> None:
        """Says something that has no answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words).encode() + b"\n")

    async def ask(self, what: str, **words: object) -> Words:
        """Asks, and waits for the answer. Raises: PeerError."""
        answer: asyncio.Future[Words] = asyncio.get_running_loop().create_future()
        self._waiting.append(answer)
        self.tell(ask=what, **words)
        try:
            return await asyncio.wait_for(answer, PATIENCE)
        except TimeoutError:
            raise PeerError(f"no answer to {what}") from None

    async def end(self) -> None:
        """Ends the process."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            async for line in self._process.stdout:
                words: Words = json.loads(line)
                if "to" in words:
                    self.on_signal(words)
                elif self._waiting and not (answer := self._waiting.popleft()).done():
                    answer.set_result(words)
        finally:
            for future in self._waiting:
                if not future.done():
                    future.set_exception(PeerError(f"process {self.pid} ended, or talks nonsense"))


@asynccontextmanager
async def peer(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> AsyncIterator[Peer]:
    """A running peer; what it complains of goes to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as complaints:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=complaints,
            cwd=REPOSITORY, env={**os.environ, **(environment or {})}, limit=LONGEST_LINE,
        )  # fmt: skip
    handle = Peer(process)
    try:
        yield handle
    finally:
        await handle.end()


def python(module: str, *arguments: str) -> list[str]:
    """The command of a peer that is a module of ours."""
    return [sys.executable, "-W", "ignore", "-m", f"tests.bench.{module}", *arguments]


def tree_cpu(pid: int) -> float:
    """Seconds of user and system time of a process, its children that have ended, and its descendants."""
    parents: dict[int, list[int]] = {}
    times: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(entry / "stat")) is not None:
            parents.setdefault(int(fields[1]), []).append(int(entry.name))
            times[int(entry.name)] = sum(int(field) for field in fields[11:15]) / _TICK
    total, waiting = 0.0, [pid]
    while waiting:
        each = waiting.pop()
        total += times.get(each, 0.0)
        waiting += parents.get(each, [])
    return total


def _stat(path: Path) -> list[str] | None:
    """The fields behind the name, which may hold anything; None when the process has gone."""
    try:
        return path.read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None


async def line() -> Words | None:
    """A peer's side: the next question; None when the parent is gone."""
    text = await asyncio.to_thread(sys.stdin.readline)
    words: Words | None = json.loads(text) if text else None
    return words


def say(value: object) -> None:
    """A peer's side: an answer, or a signal."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()
