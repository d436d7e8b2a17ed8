"""The event log: what happened on this agent, numbered, bounded, readable by many at once.

A subscriber is a position in the one log, so that a slow one costs no memory of its own. A cursor is
"<run id>:<number>"; one of another run, or one that the log has forgotten, begins with a snapshot.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mediaagentd.call import events as call_events
from mediaagentd.errors import Reason, Refused
from mediaagentd.history import types as history

Event = call_events.Event | history.Event
"""Everything that can happen on this agent."""

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Happened:
    """An event. `time` is seconds of the machine's clock; `cursor` resumes after it."""

    cursor: str
    time: float
    event: Event


@dataclass(frozen=True, slots=True)
class SnapshotTaken(Generic[S]):
    """The present state; every event after `cursor` follows."""

    cursor: str
    state: S


@dataclass(frozen=True, slots=True)
class Resumed:
    """The cursor was good; every event after it follows."""

    cursor: str


@dataclass(frozen=True, slots=True)
class Beat:
    """Nothing happened for a while; `cursor` is the newest, even when the filter hid its event."""

    cursor: str


Message = SnapshotTaken[S] | Resumed | Happened | Beat


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much the log keeps, how far a subscriber may fall behind (both in events), and after how many
    seconds of silence it gets a heartbeat. A lag below the capacity leaves the one who is cut off room to
    resume without a loss.
    """

    capacity: int = 2048
    lag: int = 512
    heartbeat: float = 15.0


DEFAULT_LIMITS = LogLimits()


class EventLog:
    """The events of one daemon run. Everything here runs on one event loop and never blocks."""

    def __init__(self, run_id: str, clock: Callable[[], float], limits: LogLimits = DEFAULT_LIMITS) -> None:
        self._run_id = run_id
        self._clock = clock
        self._limits = limits
        self._entries: deque[Happened] = deque(maxlen=limits.capacity)
        self._newest = 0
        self._subscribers: set[asyncio.Event] = set()
        self._closed = False

    @property
    def cursor(self) -> str:
        """The newest cursor."""
        return self._cursor(self._newest)

    @property
    def subscribers(self) -> int:
        """How many read at present."""
        return len(self._subscribers)

    def publish(self, event: Event) -> None:
        """Appends the event and wakes every subscriber."""
        self._newest += 1
        self._entries.append(Happened(self._cursor(self._newest), self._clock(), event))
        self._wake()

    def close(self) -> None:
        """Ends every subscription with SHUTTING_DOWN once it has read what is there."""
        self._closed = True
        self._wake()

    def subscribe(
        self, types: frozenset[type[Event]], cursor: str, snapshot: Callable[[], S]
    ) -> Subscription[S]:
        """A new subscriber of `types` (empty for all). Snapshot and position are taken in this one
        synchronous step, so that nothing falls between them.
        """
        number = self._resumable(cursor)
        first: Message[S]
        if number is None:
            number, first = self._newest, SnapshotTaken(self.cursor, snapshot())
        else:
            first = Resumed(cursor)
        return Subscription(self, types, number, first)

    # ------------------------------------------------------------ for Subscription

    def enter(self, wake: asyncio.Event) -> None:
        """Wakes `wake` at every event from now on."""
        self._subscribers.add(wake)

    def leave(self, wake: asyncio.Event) -> None:
        """Forgets it."""
        self._subscribers.discard(wake)

    def after(self, number: int) -> Happened | None:
        """The event that follows `number`; None when there is none yet.

        Raises Refused(SHUTTING_DOWN) when there will be none.
        """
        if number >= self._newest:
            if self._closed:
                raise Refused(Reason.SHUTTING_DOWN, "the daemon is stopping")
            return None
        return self._entries[number - self._newest]

    def behind(self, number: int) -> int:
        """How many events follow `number`."""
        return self._newest - number

    @property
    def limits(self) -> LogLimits:
        """The limits it was made with."""
        return self._limits

    def _wake(self) -> None:
        for wake in self._subscribers:
            wake.set()

    def _cursor(self, number: int) -> str:
        return f"{self._run_id}:{number}"

    def _resumable(self, cursor: str) -> int | None:
        """The number in a cursor of this run whose successor is still kept, else None."""
        run_id, colon, digits = cursor.rpartition(":")
        if not colon or run_id != self._run_id or not (digits.isascii() and digits.isdecimal()):
            return None
        number = int(digits)
        oldest = self._newest - len(self._entries)
        return number if oldest <= number <= self._newest else None


class Subscription(Generic[S]):
    """One subscriber: an async iterator of messages that ends by an exception or by `close`."""

    def __init__(self, log: EventLog, types: frozenset[type[Event]], number: int, first: Message[S]) -> None:
        self._log = log
        self._types = types
        self._number = number
        self._first: Message[S] | None = first
        # A backlog that was asked for is not slowness; what the log has dropped cannot be read.
        self._lag = min(log.limits.lag + log.behind(number), log.limits.capacity)
        self._wake = asyncio.Event()
        log.enter(self._wake)

    def __aiter__(self) -> Subscription[S]:
        return self

    async def __anext__(self) -> Message[S]:
        """The next message.

        Raises Refused: SUBSCRIBER_TOO_SLOW (resume with the last cursor), SHUTTING_DOWN.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        while (happened := self._next()) is None:
            self._wake.clear()
            try:
                async with asyncio.timeout(self._log.limits.heartbeat):
                    await self._wake.wait()
            except TimeoutError:
                return Beat(self._log.cursor)
        return happened

    def close(self) -> None:
        """Lets go of the log. Idempotent."""
        self._log.leave(self._wake)

    def _next(self) -> Happened | None:
        """The next event of a wanted type that is there already."""
        if self._log.behind(self._number) > self._lag:
            self.close()
            raise Refused(
                Reason.SUBSCRIBER_TOO_SLOW,
                f"the subscriber is more than {self._lag} events behind; resume with its last cursor",
                {"limit": str(self._lag)},
            )
        while (happened := self._log.after(self._number)) is not None:
            self._number += 1
            if not self._types or type(happened.event) in self._types:
                return happened
        return None
