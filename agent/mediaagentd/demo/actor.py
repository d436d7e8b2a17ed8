"""One daemon as the story sees it: commands through the thin client, events in a journal."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mediaagent import Agent, AgentError, Event
from mediaagent.v1 import call_pb2, event_pb2

from mediaagentd.demo.timeline import Unexpected

EVENT_WITHIN = 10.0


def having(**fields: Any) -> Callable[[Any], bool]:
    """A condition on a payload: these fields have these values."""
    return lambda payload: all(getattr(payload, name) == value for name, value in fields.items())


ANYTHING = having()


class Actor:
    """A user, and the journal of everything that its agent told since the story began."""

    def __init__(self, name: str, socket: Path) -> None:
        self.name = name
        self.agent = Agent(socket)
        self.call: call_pb2.Call | None = None
        self._journal: list[event_pb2.Event] = []
        self._grown = asyncio.Condition()
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.agent.__aenter__()
        events = self.agent.events()
        await events.__aenter__()
        self._reader = asyncio.create_task(self._read(events), name=f"journal-{self.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError, AgentError):
                await self._reader
        await self.agent.close()

    @property
    def mark(self) -> int:
        """The journal's present end: `expect` what comes after it."""
        return len(self._journal)

    async def expect(
        self, event: Event, since: int, where: Callable[[Any], bool] = ANYTHING, within: float = EVENT_WITHIN
    ) -> Any:
        """The payload of the first such event after the mark `since`; Unexpected when it does not come."""
        try:
            async with asyncio.timeout(within), self._grown:
                while (found := self._find(event, since, where)) is None:
                    await self._grown.wait()
                return found
        except TimeoutError:
            heard = ", ".join(self._name(message) for message in self._journal[since:]) or "nothing"
            raise Unexpected(f"{self.name} got no such {event.name} in {within:g} s; heard {heard}") from None

    async def expect_call(
        self, where: Callable[[call_pb2.Call], bool], within: float = EVENT_WITHIN
    ) -> call_pb2.Call:
        """The call once it is as wanted."""
        try:
            async with asyncio.timeout(within), self._grown:
                while self.call is None or not where(self.call):
                    await self._grown.wait()
                return self.call
        except TimeoutError:
            raise Unexpected(f"{self.name}'s call is not as it should be: {self.call}") from None

    def _find(self, event: Event, since: int, where: Callable[[Any], bool]) -> Any:
        for message in self._journal[since:]:
            if message.type == event.proto and where(getattr(message, event.field)):
                return getattr(message, event.field)
        return None

    async def _read(self, events: Any) -> None:
        """Writes the journal."""
        async for message in events:
            async with self._grown:
                self._note(message)
                self._grown.notify_all()

    def _note(self, message: event_pb2.Event | event_pb2.Snapshot) -> None:
        if isinstance(message, event_pb2.Snapshot):
            self.call = message.call if message.HasField("call") else None
            return
        self._journal.append(message)
        kind = Event.kind(message)
        call = getattr(getattr(message, kind.field), "call", None) if kind is not None else None
        if isinstance(call, call_pb2.Call):
            self.call = call

    @staticmethod
    def _name(message: event_pb2.Event) -> str:
        kind = Event.kind(message)
        return kind.name if kind is not None else str(message.type)
