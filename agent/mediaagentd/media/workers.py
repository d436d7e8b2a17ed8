"""Threads for work of which there is much: a picture to encode, to decode or to scale."""

from __future__ import annotations

import contextlib
import queue
import threading
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any, TypeVar

import structlog

_log = structlog.stdlib.get_logger()

T = TypeVar("T")


class Workers(Executor):
    """Who has work done in other threads."""

    @abstractmethod
    def do(self, work: Callable[[], object]) -> None:
        """Has it done soon; nobody waits for it. Raises: RuntimeError once they are shut down."""

    @property
    @abstractmethod
    def crowded(self) -> bool:
        """Whether other work waits: who has much to do gives way after each piece, and is queued again."""

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """See `Executor`."""
        promised = _Promised(partial(fn, *args, **kwargs))
        self.do(promised)
        return promised.future


class WorkerThreads(Workers):
    """`count` threads, each of which calls `begin` first; they start with the first work. What nobody waits
    for is given to `do`: with a future and its locks, a thread costs three times as much to wake.
    """

    def __init__(self, count: int, name: str, begin: Callable[[], object] = lambda: None) -> None:
        self._count, self._name, self._begin = count, name, begin
        self._waiting: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._over = False

    def do(self, work: Callable[[], object]) -> None:
        """See `Workers`. What it raises is logged."""
        if self._over:
            raise RuntimeError(f"{self._name}: shut down")
        if not self._threads:
            self._start()
        self._waiting.put(work)

    @property
    def crowded(self) -> bool:
        """See `Workers`. In any thread; true too once they are shut down."""
        return not self._waiting.empty()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `Executor`. With `cancel_futures` what nobody waits for is dropped too."""
        self._over = True
        with contextlib.suppress(queue.Empty):
            while cancel_futures:
                dropped = self._waiting.get_nowait()
                if isinstance(dropped, _Promised):
                    dropped.future.cancel()
        for _ in range(self._count):
            self._waiting.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._threads:
                return
            names = (f"{self._name}_{number}" for number in range(self._count))
            self._threads = [threading.Thread(target=self._run, name=name, daemon=True) for name in names]
            for thread in self._threads:
                thread.start()

    def _run(self) -> None:
        self._begin()
        while (work := self._waiting.get()) is not None:
            try:
                work()
            except Exception:
                _log.exception("work_failed", thread=self._name)
            del work  # it holds a picture


class _Promised:
    """Work that somebody waits for."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self._work = work

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self._work())
        except Exception as error:
            self.future.set_exception(error)
