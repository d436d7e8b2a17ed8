"""A hub's client without a hub: records what it is asked, answers when the test says so, or at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mediaagentd.call.types import (
    HubCall,
    HubCommand,
    HubDone,
    HubFailed,
    Report,
    SessionChanged,
    SessionPhase,
)
from mediaagentd.errors import Refused


class FakeSignalling:
    """The `Signalling` port of `calls.py`. `answers` maps a command to what is reported at once; commands
    that it does not map wait in `commands` for `done` or `failed`. `is_silent`: no login is answered."""

    def __init__(self) -> None:
        self.report: Callable[[Report], None] = lambda report: None
        self.commands: list[tuple[int, HubCommand]] = []
        self.answers: Callable[[HubCommand], HubCall | Refused | None] = lambda command: None
        self.refuses_login: Refused | None = None
        self.is_silent = False
        self.logouts = 0
        self.has_session = False
        self.user_sig = ""
        self.logins: list[str] = []

    def renew(self, user_sig: str) -> None:
        self.user_sig = user_sig

    async def login(self, user_id: str, user_sig: str) -> None:
        self.logins.append(user_sig)
        if self.is_silent:
            await asyncio.Event().wait()
        if self.refuses_login is not None:
            raise self.refuses_login
        self.has_session = True
        self.user_sig = user_sig
        self.report(SessionChanged(SessionPhase.ONLINE, user_id))

    async def logout(self) -> None:
        self.logouts += 1
        self.has_session = False
        self.report(SessionChanged(SessionPhase.LOGGED_OUT, ""))

    def perform(self, op: int, command: HubCommand) -> None:
        self.commands.append((op, command))
        match self.answers(command):
            case None:
                pass
            case Refused() as error:
                self.report(HubFailed(op, error))
            case call:
                self.report(HubDone(op, call))

    def done(self, call: HubCall | None) -> None:
        """The hub did the oldest command that waits."""
        self.report(HubDone(self._oldest(), call))

    def failed(self, error: Refused) -> None:
        """The hub refused it."""
        self.report(HubFailed(self._oldest(), error))

    def _oldest(self) -> int:
        return next(op for op, _ in self.commands if op)
