"""Commands on their way to the hub: one after the other, in the order in which they were given."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from mediaagentd.call.types import HubCommand, HubDone, HubFailed, Report, SetAvailability
from mediaagentd.errors import Reason, Refused
from mediaagentd.signalling import wire
from mediaagentd.signalling.backoff import Backoff
from mediaagentd.signalling.rpc import UNANSWERED, Rpc, Session

_log = structlog.stdlib.get_logger()

DEADLINE = 9.5
"""Seconds in which a command that somebody waits for is answered; the machine gives up after 10."""

ATTEMPT = 5.0
"""Seconds for one attempt."""

MAX_WAITING = 64
"""Commands that may wait. Beyond it one that somebody waits for is refused; one that nobody waits for
takes the place of the oldest of its kind: the hub has been away so long that its lease has done the rest.
"""


@dataclass(slots=True, eq=False)
class _Entry:
    """A command. `over`: it was answered, is too late, or a newer one says it all."""

    op: int
    command: HubCommand | wire.AcknowledgeMissed
    timer: asyncio.TimerHandle | None = None
    over: bool = False


class Commands:
    """The queue of one session. `online` is set whenever a stream begins: a pause ends then."""

    def __init__(
        self, rpc: Rpc, session: Session, report: Callable[[Report], None], online: asyncio.Event
    ) -> None:
        self._rpc = rpc
        self._session = session
        self._report = report
        self._online = online
        self._waiting: deque[_Entry] = deque()
        self._news = asyncio.Event()

    def add(self, op: int, command: HubCommand | wire.AcknowledgeMissed) -> None:
        """Queues a command; `op` 0: nobody waits. The outcome of others is reported once, later."""
        if isinstance(command, SetAvailability) and op == 0:
            self._forget_older(command.call_id)
        entry = _Entry(op, command)
        loop = asyncio.get_running_loop()
        if len(self._waiting) >= MAX_WAITING and not self._make_room(op):
            refused = Refused(
                Reason.LIMIT_EXCEEDED, "too many commands wait for the hub", {"limit": "commands"}
            )
            loop.call_soon(self._fail, entry, refused)
            return
        if op:
            unreachable = Refused(Reason.HUB_UNREACHABLE, "the hub does not answer")
            entry.timer = loop.call_later(DEADLINE, self._fail, entry, unreachable)
        self._waiting.append(entry)
        self._news.set()

    async def run(self) -> None:
        """Sends until cancelled. A command that a defect stops is refused, and not met again."""
        while True:
            while self._waiting:
                try:
                    await self._deliver(self._waiting[0])
                except Exception:
                    self._fail(self._waiting.popleft(), Refused(Reason.INTERNAL, "a defect; the log has it"))
                    raise
                self._waiting.popleft()
            await self._news.wait()
            self._news.clear()

    def drop(self, refused: Refused) -> None:
        """The session is over: whoever waits is told so."""
        for entry in self._waiting:
            self._fail(entry, refused)
        self._waiting.clear()

    async def _deliver(self, entry: _Entry) -> None:
        """Asks until there is an answer, or nobody wants one any more."""
        name, request = wire.request(entry.command)
        backoff = Backoff(0.1, 2.0)
        while not entry.over:
            try:
                response = await self._rpc.unary(self._session, name, request, ATTEMPT)
            except Refused as refused:
                if _passes(refused, waited_for=bool(entry.op)):
                    await backoff.pause(self._online)
                    continue
                self._fail(entry, refused)
            else:
                self._settle(entry, HubDone(entry.op, wire.call_of(response)))

    def _fail(self, entry: _Entry, refused: Refused) -> None:
        if not entry.op and not entry.over:
            _log.info("hub_refused", command=type(entry.command).__name__, reason=refused.reason.name)
        self._settle(entry, HubFailed(entry.op, refused))

    def _settle(self, entry: _Entry, outcome: HubDone | HubFailed) -> None:
        if entry.over:
            return
        entry.over = True
        if entry.timer is not None:
            entry.timer.cancel()
        if entry.op:
            self._report(outcome)

    def _forget_older(self, call_id: str) -> None:
        """Of availabilities that nobody waits for, only the newest matters."""
        for entry in tuple(self._waiting):
            if entry.op or not isinstance(entry.command, SetAvailability) or entry.command.call_id != call_id:
                continue
            entry.over = True
            if entry is not self._waiting[0]:  # the first is on its way, and leaves by itself
                self._waiting.remove(entry)

    def _make_room(self, op: int) -> bool:
        """Drops the oldest that nobody waits for, but not the first, which is on its way."""
        droppable = (entry for entry in itertools.islice(self._waiting, 1, None) if entry.op == 0)
        oldest = next(droppable, None)
        if op or oldest is None:
            return False
        self._fail(oldest, Refused(Reason.LIMIT_EXCEEDED, "too many commands wait for the hub"))
        self._waiting.remove(oldest)
        return True


def _passes(refused: Refused, *, waited_for: bool) -> bool:
    """Whether the hub may yet do it: an unknown session is about to be opened anew by the stream. What nobody
    waits for outlasts a fault, and a hub that is overloaded because its disk does not keep up.
    """
    if refused.reason in UNANSWERED or refused.reason is Reason.SESSION_UNKNOWN:
        return True
    overloaded = refused.metadata.get("limit") == "backlog"
    return not waited_for and (refused.reason is Reason.FAULT_INJECTED or overloaded)
