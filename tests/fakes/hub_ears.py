"""The listener of a HubClient: keeps what it is told, and lets a test wait for it instead of sleeping."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Sequence
from typing import Any

from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import (
    CallChanged,
    CallsListed,
    CallType,
    HubCall,
    HubCommand,
    HubDone,
    HubFailed,
    Invite,
    Report,
    SessionChanged,
    SessionPhase,
)
from mediaagentd.errors import Refused
from mediaagentd.history.types import Record
from mediaagentd.signalling.client import HubClient

WITHIN = 10.0
"""Seconds that anything may take on a loaded machine."""


class Ears:
    """Implements `Listener`. `heard` is everything in its order; `calls` the newest of each call; `also` is
    told every report too."""

    def __init__(self) -> None:
        self.also: Callable[[Report], None] = lambda report: None
        self.heard: list[Any] = []
        self.calls: dict[str, HubCall] = {}
        self.ice_servers: Sequence[IceServer] = ()
        self._news = asyncio.Event()

    def report(self, report: Report) -> None:
        if isinstance(report, CallChanged):
            self.calls[report.call.call_id] = report.call
        elif isinstance(report, CallsListed):
            self.calls.update({call.call_id: call for call in report.calls})
        self.also(report)
        self._hear(report)

    def on_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        self._hear((call_id, sender, signal))

    def on_missed(self, records: Sequence[Record]) -> None:
        self._hear(tuple(records))

    def on_ice_servers(self, servers: Sequence[IceServer]) -> None:
        self.ice_servers = servers

    def _hear(self, what: object) -> None:
        self.heard.append(what)
        self._news.set()

    async def until(self, wanted: Callable[[Any], bool], since: int = 0) -> Any:
        """The first that was heard from place `since` on and is wanted."""
        async with asyncio.timeout(WITHIN):
            place = since
            while True:
                while place < len(self.heard):
                    if wanted(self.heard[place]):
                        return self.heard[place]
                    place += 1
                self._news.clear()
                await self._news.wait()

    async def call(self, wanted: Callable[[HubCall], bool]) -> HubCall:
        """The newest state of the first call that is wanted."""
        async with asyncio.timeout(WITHIN):
            while True:
                found = next((call for call in self.calls.values() if wanted(call)), None)
                if found is not None:
                    return found
                self._news.clear()
                await self._news.wait()

    async def phase(self, phase: SessionPhase, since: int = 0) -> SessionChanged:
        """The change to that phase."""
        change = await self.until(lambda it: isinstance(it, SessionChanged) and it.session is phase, since)
        assert isinstance(change, SessionChanged)
        return change


class Device:
    """A HubClient with its ears: one device of a user."""

    def __init__(self, client: HubClient, ears: Ears, user_id: str, user_sig: str) -> None:
        self.client = client
        self.ears = ears
        self.user_id = user_id
        self.user_sig = user_sig
        self._ops = itertools.count(1)

    async def login(self) -> None:
        await self.client.login(self.user_id, self.user_sig)

    async def do(self, command: HubCommand) -> HubCall | None:
        """Performs a command; raises what the hub refuses."""
        op = next(self._ops)
        since = len(self.ears.heard)
        self.client.perform(op, command)
        outcome = await self.ears.until(lambda it: isinstance(it, HubDone | HubFailed) and it.op == op, since)
        if isinstance(outcome, HubFailed):
            raise outcome.error
        assert isinstance(outcome, HubDone)
        return outcome.call

    async def invite(
        self,
        *user_ids: str,
        kind: CallType = CallType.VIDEO,
        timeout: float | None = 30.0,
        request_id: str = "",
    ) -> HubCall:
        request_id = request_id or f"request {next(self._ops)}"
        call = await self.do(Invite(user_ids, kind, timeout, "", request_id))
        assert call is not None
        return call

    async def refused(self, command: HubCommand) -> Refused:
        """What the hub says to a command that it refuses."""
        try:
            await self.do(command)
        except Refused as refused:
            return refused
        raise AssertionError("the hub did it")
