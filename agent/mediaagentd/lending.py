"""An event loop whose idle time other threads may use.

What a microphone or an encoder has made is to be sent at once, by code that belongs on the loop. To wake a
sleeping loop for it costs two threads' switches, a pipe's write and read, and a wait for the interpreter.
While the loop waits for its sockets, nothing of it runs; so long another thread may do the loop's work in its
place, under a lock that the loop takes back when it wakes. And what the loop need not wake for by itself is
`Polled`: looked at by whoever has the turn anyway. Where nothing but that goes on, timers too are left to
who has the turn, and are late by 20 ms at the most while a microphone has it fifty times a second.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from asyncio import events
from collections.abc import Callable
from typing import Any, Protocol, TypeVarTuple

Ts = TypeVarTuple("Ts")

STALL = 0.1
"""Seconds that nobody has borrowed the turn, at a wake-up of the loop's own, after which it waits for what is
polled again.
"""

WAIT = 0.005
"""Seconds that `attend` waits for a loop at work."""

APART = 0.005
"""Seconds from one turn to the next that is counted: a burst is one occasion to poll."""

ROUNDS = 4
"""Of the loop that who borrows the turn does at the most; what remains wakes the loop."""


class Polled(Protocol):
    """What the loop does not wake for; see `LendingLoop.poll`."""

    def poll(self) -> None:
        """Does what there is to do, as the loop would."""

    def stop(self) -> None:
        """Nobody polls any more."""


class _Waiting(selectors.DefaultSelector):
    """Lets go of the turn for as long as it waits."""

    def __init__(self, loop: LendingLoop) -> None:
        super().__init__()
        self._loop = loop
        self.turn = threading.Lock()
        self.turn.acquire()  # the loop's, but for when it waits
        self.since = math.inf  # when there was last nothing more to do
        self.lent = False  # a round of the loop is done by who borrowed the turn: sockets are the loop's own

    def select(self, timeout: float | None = None) -> list[Any]:
        if self.lent:
            return []
        self.since = time.monotonic()
        if timeout and self._loop.patient:
            timeout = max(timeout, self._loop.alarm - self.since)
        self.turn.release()
        try:
            found = super().select(timeout)
        finally:
            self.turn.acquire()
            self._loop._on_woken()
        # Who had the turn meanwhile may have closed a file, and its number be another's now.
        known = self.get_map()
        return [each for each in found if known.get(each[0].fd) is each[0]]


class LendingLoop(asyncio.SelectorEventLoop):
    """Whoever has the turn is the loop: its own thread, or one that runs a `hand_over` while that waits."""

    def __init__(self) -> None:
        self._polled: tuple[Polled, ...] = ()
        self._returned = -math.inf
        self.borrowed = 0
        """Times that the turn was, `APART`."""
        self.patient = False
        """Whether timers are left to who borrows the turn, until `alarm`."""
        self._connections = 0
        self.alarm = 0.0
        """When the loop wakes at the latest, in its time, when timers are left to others; see `lag.py`."""
        self._known = 0
        self._borrowing = 0.0  # when it was last found to be borrowed
        self._waiting = _Waiting(self)
        self._turn = self._waiting.turn
        super().__init__(self._waiting)

    @property
    def idle(self) -> float:
        """Seconds since it was last at work, itself or who had the turn, for who has it."""
        return max(0.0, time.monotonic() - self._waiting.since)

    def lend(self, callback: Callable[[*Ts], object], *args: *Ts) -> bool:
        """Runs it in this thread, as the loop would; False, and not, when the loop is at work. What a thread
        has handed over before has been run by then.
        """
        if not self._turn.acquire(blocking=False):
            return False
        try:
            if self._ready or self._debug:  # type: ignore[attr-defined] # of asyncio, as are those below
                return False
            self._in_its_place(callback, *args)
            return True
        finally:
            self._turn.release()

    def poll(self, polled: Polled) -> None:
        """From now on it is polled by whoever borrows the turn, behind what that is borrowed for, and when
        the loop wakes. Once nobody has borrowed it for `STALL` seconds, as far as the loop sees when it wakes
        (see `alarm`), it is told to stop.
        """
        self._polled = (*self._polled, polled)
        self._settle()
        self._known, self._borrowing = self.borrowed, time.monotonic()

    def leave(self, polled: Polled) -> None:
        """It is polled no more."""
        self._polled = tuple(each for each in self._polled if each is not polled)
        self._settle()

    def expect(self, more: int) -> None:
        """So many more connections, or fewer: while one of them is not polled, no timer is to be late."""
        self._connections += more
        self._settle()

    def _settle(self) -> None:
        self.patient = bool(self._polled) and len(self._polled) >= self._connections

    def stop_polling(self) -> None:
        """Nobody will borrow the turn in a while: all that is polled is told so now."""
        for each in self._polled:
            each.stop()

    def attend(self) -> None:
        """Polls in this thread, when the loop is idle within `WAIT` seconds."""
        if self._polled and self._turn.acquire(timeout=WAIT):
            try:
                if not self._debug:  # type: ignore[attr-defined]
                    self._in_its_place(_nothing)
            finally:
                self._turn.release()

    def _in_its_place(self, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        before, patient = self._scheduled[:1], self.patient  # type: ignore[attr-defined] # a heap
        own = events._get_running_loop()
        self.borrowed += time.monotonic() - self._returned >= APART
        events._set_running_loop(self)
        try:
            try:
                callback(*args)
            except Exception as error:
                self.call_exception_handler({"message": f"Exception in {callback}", "exception": error})
            self._poll()
            if self.patient:
                self._catch_up()
        finally:
            events._set_running_loop(own)
            self._returned = self._waiting.since = time.monotonic()
        late = not self.patient and (patient or self._scheduled[:1] != before)  # type: ignore[attr-defined]
        if self._ready or self._stopping or late:  # type: ignore[attr-defined]
            self._write_to_self()  # type: ignore[attr-defined]

    def _catch_up(self) -> None:
        """Runs the timers that are due, and what follows from all that was done."""
        self._waiting.lent = True
        try:
            for _ in range(ROUNDS):
                timers = self._scheduled  # type: ignore[attr-defined]
                if not self._ready and not (timers and timers[0]._when <= time.monotonic()):  # type: ignore[attr-defined]
                    break
                self._run_once()  # type: ignore[attr-defined]
        finally:
            self._waiting.lent = False

    def _on_woken(self) -> None:
        """In the loop's own thread, which runs what this makes ready."""
        if not self._polled:
            return
        now = time.monotonic()
        if self.borrowed != self._known:
            self._known, self._borrowing = self.borrowed, now
        if now - self._borrowing <= STALL:
            self._poll()
        else:
            self.stop_polling()

    def _poll(self) -> None:
        for each in self._polled:
            try:
                each.poll()
            except Exception as error:
                self.call_exception_handler({"message": f"Exception in {each}", "exception": error})


def _nothing() -> None:
    """To be borrowed for."""


def attend(loop: asyncio.AbstractEventLoop) -> None:
    """`LendingLoop.attend`, where it is one."""
    if isinstance(loop, LendingLoop):
        loop.attend()


def stop_polling(loop: asyncio.AbstractEventLoop) -> None:
    """`LendingLoop.stop_polling`, where it is one."""
    if isinstance(loop, LendingLoop):
        loop.stop_polling()


def hand_over(loop: asyncio.AbstractEventLoop, callback: Callable[[*Ts], object], *args: *Ts) -> None:
    """`loop.call_soon_threadsafe`, but run here and now where `loop` lends its turn and is idle. For another
    thread than the loop's, and one that holds no lock that `callback` takes. Raises: RuntimeError when the
    loop is closed.
    """
    if not (isinstance(loop, LendingLoop) and loop.lend(callback, *args)):
        loop.call_soon_threadsafe(callback, *args)
