"""The event stream as a client sees it: it reconnects by itself with its cursor and misses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import math
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import Self

import grpc

from mediaagent.errors import AgentError, AgentUnavailable, translated
from mediaagent.v1 import event_pb2, event_pb2_grpc
from mediaagent.words import Event

Message = event_pb2.Snapshot | event_pb2.Event
"""What a subscriber receives. A snapshot begins a stream, and comes again when events were lost for good
(the agent was restarted, or the cursor is too old)."""

IDLE_TIMEOUT = 45.0
"""Seconds without even a heartbeat (every 15 s) after which a stream is taken for dead."""

BACKOFF_BASE = 0.1
BACKOFF_CAP = 5.0

_FINAL = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
    }
)
"""Statuses that another attempt would only repeat."""


_log = logging.getLogger("mediaagent")

_UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


class Connection(enum.Enum):
    """Where a subscription stands with the agent."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    LOST = "lost"
    CLOSED = "closed"


def backoff(attempt: int, *, base: float = BACKOFF_BASE, cap: float = BACKOFF_CAP) -> float:
    """Seconds to wait before attempt number `attempt` (from 1): full jitter, so that clients that lost
    the same agent do not come back in step.
    """
    return random.uniform(0, min(cap, base * 2.0 ** min(attempt, 16)))  # noqa: S311 - no secret


class Subscription(AsyncIterator[Message]):
    """An async iterator over the agent's events; also a context manager that enters once the stream
    stands, so that nothing caused afterwards can be missed.

    `cursor` resumes after the last message handed over, and after whatever the filter hid since (heartbeats
    tell): keep it to resume in another process. The first connection fails like a call does; with
    `wait_for_agent` it is retried like every later one. `patience`: seconds without an agent after which the
    reader gets AgentUnavailable.
    """

    def __init__(
        self,
        stub: event_pb2_grpc.EventServiceAsyncStub,
        types: Sequence[Event] = (),
        cursor: str = "",
        *,
        target: str = "",
        wait_for_agent: bool = False,
        patience: float = math.inf,
        on_connection: Callable[[Connection], None] | None = None,
    ) -> None:
        self.cursor = cursor
        self.connection = Connection.CONNECTING
        self._stub = stub
        self._types = [event.proto for event in types]
        self._target = target
        self._waits = wait_for_agent
        self._patience = patience
        self._on_connection = on_connection
        self._received = cursor
        # One message ahead of the reader: a slow reader is the agent's to judge, through flow control.
        # None ends it, and stays there for whoever else reads.
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=1)
        self._settled = asyncio.Event()
        # Of the attempts until it stands: that one has ended, and why; that the next one is wanted now.
        self._tried = asyncio.Event()
        self._missed: AgentUnavailable | None = None
        self._hurry = asyncio.Event()
        self._failure: Exception | None = None
        self._closed = False
        self._pump: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begins the stream and waits until it stands; raises what the first connection raised."""
        self._begin()
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends the stream (source: off)."""
        await self.aclose()

    async def __anext__(self) -> Message:
        """The next snapshot or event; ends with `aclose`, wherever that is called. A reader that is
        cancelled here loses nothing.
        """
        if self._closed:
            raise StopAsyncIteration
        self._begin()
        message = await self._queue.get()
        if message is None:
            self._queue.put_nowait(None)
            raise self._failure or StopAsyncIteration
        self.cursor = message.cursor
        return message

    async def ready(self) -> None:
        """Waits until the stream stands, or has failed for good. Raises AgentUnavailable when nobody answers
        an attempt to begin it, of which one is made now, or when it is closed meanwhile.
        """
        self._begin()
        if not self._settled.is_set():
            self._hurry.set()
            self._tried.clear()
            await self._tried.wait()
            if self._closed:
                raise AgentUnavailable("AGENT_UNREACHABLE", _UNAVAILABLE, "closed before an agent answered")
            if not self._settled.is_set() and self._missed is not None:
                raise self._missed

    async def aclose(self) -> None:
        """Ends the stream, and the wait of whoever enters or reads it; idempotent."""
        self._closed = True
        try:
            if self._pump is not None:
                self._pump.cancel()
                await asyncio.wait({self._pump})
        finally:
            while not self._queue.empty():
                self._queue.get_nowait()
            self._queue.put_nowait(None)
            self._settle()
            self._became(Connection.CLOSED)

    def _begin(self) -> None:
        """Starts to read; here and not in the constructor, which may run without a loop."""
        if self._pump is None and not self._closed:
            self._pump = asyncio.get_running_loop().create_task(self._run(), name="mediaagent-events")

    async def _run(self) -> None:
        """Reads until closed, or until what ends it for good: whoever waits, and whoever reads, gets that."""
        try:
            await self._follow()
        except Exception as error:
            self._failure = error
            self._settle()
            await self._queue.put(None)
            self._became(Connection.CLOSED)

    async def _follow(self) -> None:
        """Reads stream after stream, each from where the one before it ended."""
        loop = asyncio.get_running_loop()
        attempt, heard = 0, loop.time()
        while True:
            try:
                async with contextlib.aclosing(self._stream()) as messages:
                    async for message in messages:
                        await self._queue.put(message)
            except AgentError as error:
                now = loop.time()
                if self.connection is Connection.CONNECTED:
                    attempt, heard = 0, now
                if self._is_final(error) or now - heard > self._patience:
                    raise
                if isinstance(error, AgentUnavailable):
                    self._missed = error
                    self._tried.set()
            self._became(Connection.LOST)
            attempt += 1
            await self._pause(backoff(attempt))

    async def _pause(self, seconds: float) -> None:
        """Until the next attempt, which somebody may want sooner."""
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _settle(self) -> None:
        """It stands, or has ended: nobody who enters it needs to wait any more."""
        self._settled.set()
        self._tried.set()

    async def _stream(self) -> AsyncGenerator[Message, None]:
        """One connection: snapshot and events, until AgentError for what ended it."""
        request = event_pb2.SubscribeRequest(types=self._types, cursor=self._received)
        call = self._stub.Subscribe(request)
        try:
            while True:
                # Not wait_for: before Python 3.12 it can swallow a cancellation.
                with translated(self._target):
                    async with asyncio.timeout(IDLE_TIMEOUT):
                        response = await call.read()
                if not isinstance(response, event_pb2.SubscribeResponse):
                    raise AgentUnavailable("AGENT_UNREACHABLE", _UNAVAILABLE, "the agent ended the stream")
                message = self._take(response)
                if message is not None:
                    yield message
        except TimeoutError:
            raise AgentUnavailable("AGENT_UNREACHABLE", _UNAVAILABLE, "the agent fell silent") from None
        finally:
            # An abandoned call is never collected.
            call.cancel()

    def _take(self, response: event_pb2.SubscribeResponse) -> Message | None:
        """Notes the cursor of a message; returns what is for the reader."""
        self._became(Connection.CONNECTED)
        self._settle()
        match response.WhichOneof("body"):
            case "snapshot":
                self._received = response.snapshot.cursor
                return response.snapshot
            case "event":
                self._received = response.event.cursor
                return response.event
            case "heartbeat":
                self._received = response.heartbeat.cursor
                if self._queue.empty():  # Else the reader has not had everything before it.
                    self.cursor = self._received
            case "resumed" | None:
                pass
        return None

    def _is_final(self, error: AgentError) -> bool:
        """Whether another attempt is of no use, or not wanted."""
        first = not self._settled.is_set() and not self._waits
        return first or error.status in _FINAL

    def _became(self, connection: Connection) -> None:
        """Tells of a change of the connection, once. A callback that fails ends no stream."""
        if connection is not self.connection:
            self.connection = connection
            if self._on_connection is not None:
                try:
                    self._on_connection(connection)
                except Exception:
                    _log.exception("the callback of the connection failed")
