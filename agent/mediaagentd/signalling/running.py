"""A session while it lasts: its stream, its queues, its lease, and the task that owns them all."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Sequence

import structlog

from mediaagentd.call.types import SessionChanged, SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.expiry import watch
from mediaagentd.signalling.backoff import Backoff
from mediaagentd.signalling.commands import Commands
from mediaagentd.signalling.listener import Listener
from mediaagentd.signalling.rpc import Rpc, Session
from mediaagentd.signalling.signals import Signals
from mediaagentd.signalling.stream import CAP, Stream

_log = structlog.stdlib.get_logger()

_CALM = 60.0
"""Seconds without a defect after which the next one is met without a long pause."""


class Running:
    """One session from its login to its end. `over`, `is_told` and `stop` are for the one who made it."""

    def __init__(
        self, rpc: Rpc, session: Session, listener: Listener, device_id: str, heartbeat: float
    ) -> None:
        loop = asyncio.get_running_loop()
        self.session = session
        self._report = listener.report
        self._stream = Stream(rpc, session, listener, device_id, heartbeat)
        self._welcomed = loop.create_task(self._stream.online.wait())
        self.commands = Commands(rpc, session, listener.report, self._stream.online)
        self.signals = Signals(rpc, session, self._stream.online)
        self._doubts: list[asyncio.Task[None]] = []
        self._ended: SessionChanged | None = None
        self._listening: asyncio.Task[SessionChanged] | None = None
        self._task = loop.create_task(self._run(), name="hub-session")

    @property
    def over(self) -> bool:
        """Whether the session has ended by itself: kicked out, or refused by the hub."""
        return self._ended is not None or self._task.done()

    @property
    def is_told(self) -> bool:
        """Whether the listener believes in this session: told of its beginning and not of its end."""
        return not self.over and self._stream.online.is_set()

    async def welcomed(self) -> None:
        """Waits for the first welcome. Refused: KICKED_OUT when a newer login came before it, else what the
        hub said.
        """
        await asyncio.wait({self._welcomed, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self.over:
            raise self._stream.refused or _kicked_out()

    def network_changed(self, lost: bool) -> None:
        """See `HubClient`."""
        self._doubts.append(
            asyncio.get_running_loop().create_task(self._stream.doubt(lost), name="hub-doubt")
        )
        self._doubts = [doubt for doubt in self._doubts if not doubt.done()]

    def renew(self, user_sig: str) -> None:
        """See `HubClient`."""
        self.session.renew(user_sig)
        self._stream.hurry()

    def set_urgent(self, urgent: bool) -> None:
        """See `HubClient`."""
        if urgent and not self.session.urgent:
            self._stream.hurry()
        self.session.urgent = urgent

    def cancel(self) -> None:
        """Ends it, and at once what it hears: nothing of the session is reported any more. `stop` is still
        to be awaited.
        """
        if self._listening is not None:
            self._listening.cancel()  # itself: it may be about to run, before the one who would cancel it
        self._task.cancel()
        self._welcomed.cancel()

    async def stop(self) -> None:
        """Stops everything; whoever waits for a command is told."""
        self.cancel()
        await asyncio.wait({self._task, self._welcomed})

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        backoff = Backoff(0.25, CAP)
        try:
            begun = loop.time()
            while not await self._attend():
                self._stream.begin_anew()
                if loop.time() - begun > _CALM:
                    backoff.reset()
                await backoff.pause()
                begun = loop.time()
        finally:
            await _end(self._doubts)
            kicked = self._ended is not None and self._ended.session is SessionPhase.KICKED_OUT
            self.commands.drop(_kicked_out() if kicked else Refused(Reason.NOT_LOGGED_IN, "logged out"))

    async def _attend(self) -> bool:
        """Does all that the session needs until it is over; then its end has been reported. False: a part of
        it ended that must not, and without it the session would only seem to live.
        """
        stream = self._listening = asyncio.create_task(self._stream.run(), name="hub-stream")
        helpers = (
            asyncio.create_task(self.commands.run(), name="hub-commands"),
            asyncio.create_task(self.signals.run(), name="hub-signals"),
            asyncio.create_task(self._stream.keep_lease(), name="hub-lease"),
            asyncio.create_task(watch(lambda: self.session.user_sig), name="hub-expiry"),
        )
        try:
            await asyncio.wait((stream, *helpers), return_when=asyncio.FIRST_COMPLETED)
            if stream.done() and not stream.cancelled() and stream.exception() is None:
                self._ended = stream.result()
                self._report(self._ended)
                return True
            for part in (stream, *helpers):
                if part.done():
                    _tell(part)
            return False
        finally:
            await _end((stream, *helpers))


async def _end(tasks: Sequence[asyncio.Task[SessionChanged] | asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


def _tell(part: asyncio.Task[SessionChanged] | asyncio.Task[None]) -> None:
    """A defect of ours: told without the error's words, which may be a user's."""
    error = None if part.cancelled() else part.exception()
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    where = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    _log.error("hub_session_part_ended", part=part.get_name(), error=type(error).__name__, where=where)


def _kicked_out() -> Refused:
    return Refused(Reason.KICKED_OUT, "another device of this user has logged in", {"code": "6208"})
