"""Tasks in the background that have an owner: whoever made them waits for them in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

_log = structlog.stdlib.get_logger()


class Tasks:
    """Keeps each task until it is done and logs what it raises; on the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def running(self) -> tuple[asyncio.Task[None], ...]:
        """Those that are not done yet."""
        return tuple(self._running)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs it."""
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("media_task_failed", error=repr(error))
