"""Logging in and out: one at a time, each to its end, whether or not the client that asked stays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Protocol

import structlog

from mediaagentd.call.types import SessionPhase, State
from mediaagentd.errors import Reason, Refused

_log = structlog.stdlib.get_logger()


class Session(Protocol):
    """The session with the hub, as far as logging in and out is concerned. What becomes of it is reported to
    the call machine.
    """

    async def login(self, user_id: str, user_sig: str) -> None:
        """Opens the session and keeps it; raises Refused."""

    async def logout(self) -> None:
        """Ends the session; bounded, never raises."""

    def renew(self, user_sig: str) -> None:
        """Keeps another UserSig for the session that there is; raises Refused."""

    @property
    def has_session(self) -> bool:
        """Whether there is a session that is looked after."""


class Logins:
    """`state` is the call machine's; `hang_up` ends what goes on here before a logout. `dismissed`: a logout
    was the last word of a client. `on_login` is told when a client's login is over, also one that failed and
    so changed no session.
    """

    def __init__(
        self, session: Session, state: Callable[[], State], hang_up: Callable[[], Awaitable[None]]
    ) -> None:
        self._session = session
        self._state = state
        self._hang_up = hang_up
        self.dismissed = False
        self.on_login: Callable[[], None] = lambda: None
        self._lock = asyncio.Lock()
        self._logging_in: set[asyncio.Task[None]] = set()
        self._logging_out: set[asyncio.Task[None]] = set()

    async def login(self, user_id: str, user_sig: str) -> None:
        """See `Calls`."""
        await _owned(self._log_in(user_id, user_sig), self._logging_in)

    async def login_standing(self, user_id: str, user_sig: str) -> None:
        """See `Calls`."""
        await _owned(self._log_in_standing(user_id, user_sig), self._logging_in)

    def renew(self, user_id: str, user_sig: str) -> None:
        """See `Calls`."""
        if self._is_here and self._state().user_id == user_id:
            self._session.renew(user_sig)

    @property
    def has_left(self) -> bool:
        """See `Calls`."""
        return self._state().session is SessionPhase.LOGGED_OUT and not self.dismissed

    async def logout(self) -> None:
        """See `Calls`."""
        await _owned(self._log_out(), self._logging_out)

    async def stop(self) -> None:
        """Gives up logins that are under way, then logs out."""
        for login in tuple(self._logging_in):
            login.cancel()
        await asyncio.gather(*self._logging_in, return_exceptions=True)
        await self.logout()

    def close(self) -> None:
        """Gives up whatever is under way."""
        for task in self._logging_in | self._logging_out:
            task.cancel()

    async def _log_in(self, user_id: str, user_sig: str) -> None:
        async with self._lock:
            self.dismissed = False
            if not self._is_here:
                try:
                    await self._session.login(user_id, user_sig)
                finally:
                    self.on_login()
                return
            present = self._state().user_id
            if present != user_id:
                raise Refused(
                    Reason.ALREADY_LOGGED_IN,
                    "another user is logged in on this agent; log out first",
                    {"user_id": present},
                )
            self._session.renew(user_sig)

    async def _log_in_standing(self, user_id: str, user_sig: str) -> None:
        async with self._lock:
            if self.has_left:  # what clients asked for before it is done by now
                await self._session.login(user_id, user_sig)

    @property
    def _is_here(self) -> bool:
        """Whether somebody is logged in, and looked after."""
        here = self._state().session in (SessionPhase.ONLINE, SessionPhase.RECONNECTING)
        return here and self._session.has_session

    async def _log_out(self) -> None:
        async with self._lock:
            self.dismissed = True
            if self._state().session is SessionPhase.LOGGED_OUT:
                return
            await self._hang_up()
            await self._session.logout()


async def _owned(work: Coroutine[None, None, None], owner: set[asyncio.Task[None]]) -> None:
    """Does it in a task that `owner` holds until it is done. Refused(SHUTTING_DOWN) when it is given up."""
    task = asyncio.get_running_loop().create_task(work)
    owner.add(task)
    task.add_done_callback(owner.discard)
    task.add_done_callback(_heed)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        waiting = asyncio.current_task()
        if waiting is not None and waiting.cancelling():
            raise
        # Not the one who waits was cancelled but the work, by `stop` or `close`.
        raise Refused(Reason.SHUTTING_DOWN, "the daemon is stopping") from None


def _heed(task: asyncio.Task[None]) -> None:
    """Whoever asked may have gone: a refusal is no error then, a defect is told in the log."""
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, Refused):
        _log.error("login_or_logout_failed", error=type(error).__name__)
