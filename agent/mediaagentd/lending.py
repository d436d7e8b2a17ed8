"""An event loop whose idle time other threads may use.

What a microphone or an encoder has made is to be sent at once, by code that belongs on the loop. To wake a
sleeping loop for it costs two threads' switches, a pipe's write and read, and a wait for the interpreter.
While the loop waits for its sockets, nothing of it runs; so long another thread may do the loop's work in its
place, under a lock that the loop takes back when it wakes.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from asyncio import events
from collections.abc import Callable
from typing import Any, TypeVarTuple

Ts = TypeVarTuple("Ts")


class _Waiting(selectors.DefaultSelector):
    """Lets go of the turn for as long as it waits."""

    def __init__(self, turn: threading.Lock) -> None:
        super().__init__()
        self._turn = turn

    def select(self, timeout: float | None = None) -> list[Any]:
        self._turn.release()
        try:
            return super().select(timeout)
        finally:
            self._turn.acquire()


class LendingLoop(asyncio.SelectorEventLoop):
    """Whoever has the turn is the loop: its own thread, or one that runs a `hand_over` while that waits."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._turn.acquire()  # the loop's, but for when it waits
        super().__init__(_Waiting(self._turn))

    def lend(self, callback: Callable[[*Ts], object], *args: *Ts) -> bool:
        """Runs it in this thread, as the loop would; False, and not, when the loop is at work. What a thread
        has handed over before has been run by then.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if self._ready or self._debug:  # type: ignore[attr-defined] # of asyncio, as are those below
                return False
            before, own = self._scheduled[:1], events._get_running_loop()  # type: ignore[attr-defined]
            events._set_running_loop(self)
            try:
                callback(*args)
            except Exception as error:
                self.call_exception_handler({"message": f"Exception in {callback}", "exception": error})
            finally:
                events._set_running_loop(own)
            sooner = self._scheduled[:1] != before  # type: ignore[attr-defined] # a heap
            if self._ready or self._stopping or sooner:  # type: ignore[attr-defined]
                self._write_to_self()  # type: ignore[attr-defined]
            return True
        finally:
            self._turn.release()


def hand_over(loop: asyncio.AbstractEventLoop, callback: Callable[[*Ts], object], *args: *Ts) -> None:
    """`loop.call_soon_threadsafe`, but run here and now where `loop` lends its turn and is idle. For another
    thread than the loop's, and one that holds no lock that `callback` takes. Raises: RuntimeError when the
    loop is closed.
    """
    if not (isinstance(loop, LendingLoop) and loop.lend(callback, *args)):
        loop.call_soon_threadsafe(callback, *args)
