"""The event log: what happened on this agent, numbered, bounded, readable by many at once.

A subscriber is a position in the one log, so that a slow one costs no memory of its own. A cursor is
"<run id>:<number>"; one of another run, or one that the log has forgotten, begins with a snapshot.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mediaagentd.call import events as call_events
from mediaagentd.call.types import Call
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
    """Nothing was handed out for a while; `cursor` resumes after every event that the filter hid since."""

    cursor: str


Message = SnapshotTaken[S] | Resumed | Happened | Beat


@dataclass(frozen=True, slots=True)
class LogLimits:
    """How much the log keeps, how far a subscriber may fall behind (both in events), and how many seconds
    after the last message it gets a heartbeat, whatever its filter hid. A lag below the capacity leaves the
    one who is cut off room to resume without a loss. `people`: how many members and participants of calls
    the log keeps in all its events, about 200 bytes each; a call in which hundreds ring is some hundred
    kilobytes at every change.
    """

    capacity: int = 2048
    lag: int = 512
    heartbeat: float = 15.0
    people: int = 65536


DEFAULT_LIMITS = LogLimits()


class EventLog:
    """The events of one daemon run. Everything here runs on one event loop and never blocks."""

    def __init__(self, run_id: str, clock: Callable[[], float], limits: LogLimits = DEFAULT_LIMITS) -> None:
        self._run_id = run_id
        self._clock = clock
        self._limits = limits
        self._entries: deque[Happened] = deque()
        # How many people each of the entries keeps, and all of them.
        self._weights: deque[int] = deque()
        self._people = 0
        self._newest = 0
        self._last_call: Call | None = None
        self._subscribers: set[asyncio.Event] = set()
        self._closed = False

    @property
    def cursor(self) -> str:
        """The newest cursor."""
        return self.cursor_of(self._newest)

    @property
    def subscribers(self) -> int:
        """How many read at present."""
        return len(self._subscribers)

    def publish(self, event: Event) -> None:
        """Appends the event, forgets the oldest ones beyond the limits and wakes every subscriber."""
        self._newest += 1
        self._entries.append(Happened(self.cursor_of(self._newest), self._clock(), event))
        self._weights.append(self._weigh(event))
        self._people += self._weights[-1]
        while len(self._entries) > self._limits.capacity or (
            self._people > self._limits.people and len(self._entries) > 1
        ):
            self._entries.popleft()
            self._people -= self._weights.popleft()
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

    def keeps(self, number: int) -> bool:
        """Whether every event after `number` is still there."""
        return number >= self._newest - len(self._entries)

    def behind(self, number: int) -> int:
        """How many events follow `number`."""
        return self._newest - number

    @property
    def limits(self) -> LogLimits:
        """The limits it was made with."""
        return self._limits

    def cursor_of(self, number: int) -> str:
        """What resumes after `number`."""
        return f"{self._run_id}:{number}"

    def _weigh(self, event: Event) -> int:
        """How many people the event keeps in memory that the ones before it do not: those of one change
        share the call, and those between two words of the hub its members.
        """
        if isinstance(event, history.MissedCall | history.HistoryChanged):
            return len(event.record.invitees) if event.record is not None else 0
        call, before = getattr(event, "call", None), self._last_call
        if not isinstance(call, Call) or call is before:
            return 0
        self._last_call = call
        known = before is not None and call.hub.members is before.hub.members
        return len(call.participants) + (0 if known else len(call.hub.members))

    def _wake(self) -> None:
        for wake in self._subscribers:
            wake.set()

    def _resumable(self, cursor: str) -> int | None:
        """The number in a cursor of this run whose successor is still kept, else None."""
        run_id, colon, digits = cursor.rpartition(":")
        if not colon or run_id != self._run_id or not (digits.isascii() and digits.isdecimal()):
            return None
        number = int(digits)
        return number if number <= self._newest and self.keeps(number) else None


class Subscription(Generic[S]):
    """One subscriber: an async iterator of messages that ends by an exception or by `close`."""

    def __init__(self, log: EventLog, types: frozenset[type[Event]], number: int, first: Message[S]) -> None:
        self._log = log
        self._types = types
        self._number = number
        self._first: Message[S] | None = first
        # A backlog that was asked for is not slowness; what the log has dropped cannot be read.
        self._lag = min(log.limits.lag + log.behind(number), log.limits.capacity)
        self._beat_due = 0.0
        self._wake = asyncio.Event()
        log.enter(self._wake)

    def __aiter__(self) -> Subscription[S]:
        return self

    async def __anext__(self) -> Message[S]:
        """The next message.

        Raises Refused: SUBSCRIBER_TOO_SLOW (resume with the last cursor), SHUTTING_DOWN.
        """
        message = await self._message()
        self._beat_due = asyncio.get_running_loop().time() + self._log.limits.heartbeat
        return message

    def close(self) -> None:
        """Lets go of the log. Idempotent."""
        self._log.leave(self._wake)

    async def _message(self) -> Message[S]:
        """The first message, then the next event; a heartbeat when it is due and no event is there."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        loop = asyncio.get_running_loop()
        while (happened := self._next()) is None:
            # Not from now: events that are hidden from this one go on waking it.
            if loop.time() >= self._beat_due:
                return Beat(self._log.cursor_of(self._number))
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._beat_due):
                    await self._wake.wait()
        return happened

    def _next(self) -> Happened | None:
        """The next event of a wanted type that is there already."""
        behind = self._log.behind(self._number)
        if behind > self._lag or not self._log.keeps(self._number):
            self.close()
            raise Refused(
                Reason.SUBSCRIBER_TOO_SLOW,
                f"the subscriber is {behind} events behind, too many; resume with its last cursor",
                {"limit": str(self._lag)},
            )
        while (happened := self._log.after(self._number)) is not None:
            self._number += 1
            if not self._types or type(happened.event) in self._types:
                return happened
        return None
