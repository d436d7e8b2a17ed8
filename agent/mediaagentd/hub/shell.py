"""The shell of the hub's core: one input at a time goes in, what is to be done comes out. No gRPC here."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.core import Core
from mediaagentd.hub.journal import Journal
from mediaagentd.hub.mailboxes import Mailboxes
from mediaagentd.hub.outbox import Outbox, Reader
from mediaagentd.hub.store import Store
from mediaagentd.hub.types import (
    Answer,
    Call,
    DropSession,
    Effect,
    Input,
    Limits,
    Missed,
    Policy,
    PushCall,
    PushMissed,
    PushSignal,
    PutSession,
    RenewLease,
    Tick,
)

_SOONEST = 0.001
"""Seconds; a timer may fire a clock's tick too early."""


def clock() -> Callable[[], float]:
    """The hub's clock: Unix seconds that go on evenly when somebody sets the machine's clock. Invitations
    keep their deadlines over a restart with it.
    """
    begin = time.time() - time.monotonic()
    return lambda: begin + time.monotonic()


def digest(token: str) -> str:
    """What stands for a session's secret everywhere behind the edge, so that neither the disk nor a dump
    opens a session. The secret has 256 random bits: no salt is needed.
    """
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class Opened:
    """A stream that begins: whose it is, what to welcome it with, and its place."""

    user_id: str
    calls: tuple[Call, ...]
    missed: tuple[Missed, ...]
    reader: Reader


class Shell:
    """Everything of a hub but its network. Tokens here are digests."""

    def __init__(self, limits: Limits, store: Store, now: Callable[[], float]) -> None:
        self.now = now
        self.mailboxes = Mailboxes(exclusive=limits.policy is Policy.SINGLE)
        self._core = Core(limits)
        self._journal = Journal(store, self._publish)
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: float | None = None
        self._stopping = False

    async def start(self) -> None:
        """Takes over what the store holds."""
        image = await self._journal.start()
        effects = self._core.restore(
            image.users, image.sessions, image.calls, self.now(), image.groups, image.missed, image.devices
        )
        for session in image.sessions:
            self.mailboxes.add(session, self._base(), restored=True)
        if effects:
            self._journal.submit(effects)
        self._set_timer()

    @property
    def makes_progress(self) -> bool:
        """See `Journal`."""
        return self._journal.makes_progress

    async def perform(self, command: Input) -> Answer:
        """Does a command and returns what it is about, when it is stored and everyone concerned
        has been pushed to. Refused: as the core says, SHUTTING_DOWN, LIMIT_EXCEEDED.
        """
        self._check_open()
        if isinstance(command, RenewLease):
            self._renew(command)
            return None
        self._journal.check_room()
        effects = self._core.step(self.now(), command)
        self._set_timer()
        return await self._journal.submit(effects)

    async def subscribe(self, token: str, cursor: int) -> Opened:
        """The session's new stream. Refused: SESSION_UNKNOWN, SHUTTING_DOWN, LIMIT_EXCEEDED."""
        self._check_open()
        outbox = self.mailboxes.find(token)
        user_id = outbox.session.user_id
        if outbox.ended:  # kicked: it is told so, and nothing else
            return Opened(user_id, (), (), outbox.open(cursor))
        self._renew(RenewLease(token))
        self._journal.check_room()
        calls, missed = self._core.welcome(token), self._core.missed(token)
        reader = outbox.open(cursor)
        try:
            # Behind all in the journal: what the welcome tells is on the disk by then.
            await self._journal.submit(())
        except BaseException:  # the agent has gone meanwhile
            reader.close()
            raise
        return Opened(user_id, calls, missed, reader)

    def outbox(self, token: str) -> Outbox:
        """The outbox of a live session. Refused: SESSION_UNKNOWN."""
        self._core.session(token)
        return self.mailboxes.find(token)

    def stop(self) -> None:
        """Takes no more commands; streams end with SHUTTING_DOWN."""
        self._stopping = True
        for outbox in self.mailboxes:
            outbox.cut(_shutting_down())

    async def close(self, timeout: float) -> None:
        """Writes what waits, for `timeout` seconds at most."""
        self.stop()
        if self._timer is not None:
            self._timer.cancel()
        await self._journal.close(timeout)

    def _renew(self, command: RenewLease) -> None:
        """A sign of life. Leases are not stored: it neither waits for the disk nor is it refused while that
        does not keep up, or a disk that is full for an hour would end every session and call.
        """
        self._core.step(self.now(), command)
        self._set_timer()

    def _check_open(self) -> None:
        if self._stopping:
            raise _shutting_down()

    def _publish(self, effect: Effect) -> None:
        match effect:
            case PutSession(session):
                self.mailboxes.add(session, self._base())
            case DropSession(token, kicked_by):
                self.mailboxes.drop(token, kicked_by)
            case PushCall(token) | PushMissed(token) | PushSignal(token):
                outbox = self.mailboxes.get(token)
                if outbox is not None:
                    outbox.push(effect)
            case _:
                pass  # stored, or answered by the journal

    def _set_timer(self) -> None:
        deadline = self._core.deadline()
        if deadline == self._alarm or self._stopping:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._alarm, self._timer = deadline, None
        if deadline is not None:
            delay = max(deadline - self.now(), _SOONEST)
            self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._alarm = None
        effects = self._core.step(self.now(), Tick())
        if effects:  # nobody waits for the others, and behind a disk that refuses for days they would pile up
            self._journal.submit(effects)
        self._set_timer()

    def _base(self) -> int:
        """Microseconds: above every sequence number of an earlier life of this hub."""
        return int(self.now() * 1e6)


def _shutting_down() -> Refused:
    return Refused(Reason.SHUTTING_DOWN, "the hub is stopping: try again")
