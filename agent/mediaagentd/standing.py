"""The configured user, logged in from the start and for as long as the daemon runs: nobody may be there to do
it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog

from mediaagentd.calls import Calls
from mediaagentd.config import Config, ConfigError
from mediaagentd.errors import Refused
from mediaagentd.expiry import DAY
from mediaagentd.signalling.backoff import Backoff
from mediaagentd.signalling.stream import CAP
from mediaagentd.signalling.verdict import Verdict, verdict

_log = structlog.stdlib.get_logger()

SLOW = (30.0, 600.0)
"""Seconds between attempts, first and at most, while somebody has to mend something."""


class StandingLogin:
    """Logs in, and again whenever the session has ended without a client's wish: soon where that may pass
    by itself, else slowly and with the UserSig as the configuration has it by then. A newer login elsewhere
    and a client's logout are respected. `read` reads the configuration again; it may block.
    """

    def __init__(self, calls: Calls, config: Config, read: Callable[[], Config] | None) -> None:
        self._calls = calls
        self._user_id = config.user_id
        self._user_sig = config.user_sig.get_secret_value()
        self._read = read
        self._news = asyncio.Event()
        self._settled = asyncio.Event()
        self._soon = Backoff(0.5, CAP)
        self._later = Backoff(*SLOW, floor=0.5)
        calls.on_login(self.look)

    def look(self) -> None:
        """The session changed, or a client tried to log in."""
        self._news.set()

    async def settled(self, within: float) -> None:
        """Waits until the user is logged in or was refused, at most `within` seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._settled.wait()

    async def run(self) -> None:
        """Until cancelled; a defect is told in the log, and it goes on."""
        while True:
            try:
                await self._stay()
            except Exception as error:
                _log.error("standing_login_failed", error=type(error).__name__)
                await asyncio.sleep(SLOW[0])

    async def _stay(self) -> None:
        while True:
            await self._until_wanted()
            try:
                await self._calls.login_standing(self._user_id, self._user_sig)
            except Refused as refused:
                await self._refused(refused)
            else:
                self._settled.set()
                self._soon.reset()
                self._later.reset()
                await self._until_wanted()
                # The hub has refused it just now, or wants us no more: no reason to hurry.
                await self._pause_for_another()

    async def _until_wanted(self) -> None:
        """Waits until nobody is logged in; once a day a UserSig that was replaced meanwhile is kept."""
        loop = asyncio.get_running_loop()
        look = loop.time() + DAY  # whatever becomes of the session until then
        while not self._calls.has_left:
            self._news.clear()
            try:
                async with asyncio.timeout_at(look):
                    await self._news.wait()
            except TimeoutError:
                look = loop.time() + DAY
                await self._keep_another()

    async def _refused(self, refused: Refused) -> None:
        match verdict(refused, self._user_sig, time.time()):
            case Verdict.SOON:
                _log.warning("login failed", reason=refused.reason.name)
                await self._soon.pause()
            case Verdict.LATER:
                _log.error("login refused", reason=refused.reason.name, message=refused.message)
                self._settled.set()
                await self._pause_for_another()
            case Verdict.NEVER:
                _log.error("login refused", reason=refused.reason.name, message=refused.message)
                self._settled.set()
                self._news.clear()
                await self._news.wait()

    async def _pause_for_another(self) -> None:
        """Waits, unless the configuration has another UserSig at once."""
        if not await self._reads_another():
            await self._later.pause()
            await self._reads_another()

    async def _keep_another(self) -> None:
        if self._calls.state.user_id == self._user_id and await self._reads_another():
            try:
                self._calls.renew(self._user_id, self._user_sig)
            except Refused as refused:
                _log.error("user_sig not kept", reason=refused.reason.name, message=refused.message)

    async def _reads_another(self) -> bool:
        """Whether the configuration has another UserSig of this user now, which is used from now on."""
        if self._read is None:
            return False
        try:
            config = await asyncio.to_thread(self._read)
        except (ConfigError, OSError) as error:  # half written, or not there while it is being replaced
            _log.warning("configuration not read again", error=str(error))
            return False
        user_sig = config.user_sig.get_secret_value()
        if config.user_id != self._user_id or user_sig in ("", self._user_sig):
            return False
        _log.info("another user_sig is configured")
        self._user_sig = user_sig
        return True
