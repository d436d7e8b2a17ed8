"""`on` and `off`: callbacks by event, fed from one subscription."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from mediaagent.errors import AgentError
from mediaagent.missed import KnownCall
from mediaagent.subscription import Subscription
from mediaagent.v1 import event_pb2
from mediaagent.words import Event

Callback = Callable[[Any], Awaitable[None] | None]
"""Gets the payload of the event: `mediaagent.v1.Invited` and so on."""

_log = logging.getLogger("mediaagent")


class Handlers:
    """The callbacks of one client. Plain functions run in the order of the events; a coroutine function
    becomes a task, so that it may wait for later events. An invitation that rings when the stream begins is
    told like one that comes; after a gap, how everything is now, and the end of a call that is no more. A
    stream that ends for good is told to whoever awaits an event; the next callback begins another one.
    """

    def __init__(self, subscribe: Callable[[], Subscription]) -> None:
        self._subscribe = subscribe
        self._callbacks: dict[Event, list[Callback]] = {}
        self._subscription: Subscription | None = None
        self._reader: asyncio.Task[None] | None = None
        self._running: set[asyncio.Future[None]] = set()
        self._awaited: set[asyncio.Future[Any]] = set()
        self._known = KnownCall()
        self._began = False

    def on(self, event: Event, callback: Callback) -> None:
        """Adds a callback; the same one twice is called twice."""
        self._callbacks.setdefault(event, []).append(callback)
        if self._reader is None:
            self._subscription = self._subscribe()
            self._reader = asyncio.get_running_loop().create_task(
                self._read(self._subscription), name="mediaagent-handlers"
            )

    def off(self, event: Event, callback: Callback) -> None:
        """Removes a callback; silent when it is not there, as people expect of the source."""
        callbacks = self._callbacks.get(event, [])
        if callback in callbacks:
            callbacks.remove(callback)

    def once(self, event: Event, where: Callable[[Any], bool]) -> asyncio.Future[Any]:
        """The payload of the next such event that is as wanted, from now on."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def take(payload: Any) -> None:
            if not future.done() and where(payload):
                future.set_result(payload)

        def done(_: asyncio.Future[Any]) -> None:
            # Also when whoever waits has given up.
            self._awaited.discard(future)
            self.off(event, take)

        self.on(event, take)
        self._awaited.add(future)
        future.add_done_callback(done)
        return future

    async def ready(self) -> None:
        """Waits until the stream stands, so that what a command causes reaches the callbacks. Raises
        AgentUnavailable when nobody answers.
        """
        if self._subscription is not None:
            await self._subscription.ready()

    async def close(self) -> None:
        """Stops calling back; running callbacks are cancelled, but for one that calls this, and whoever
        awaits an event.
        """
        present = (self._reader, *self._running, *self._awaited)
        tasks = [task for task in present if task is not None and task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            # Not gather: a callback that waits for this in a task of its own would be cancelled in a circle.
            await asyncio.wait(tasks)

    async def _read(self, subscription: Subscription) -> None:
        """Hands every event to its callbacks until closed."""
        try:
            async for message in subscription:
                if isinstance(message, event_pb2.Event):
                    self._known.note(message)
                    self._dispatch(message)
                else:
                    self._catch_up(message, self._began)
                self._began = True
        except AgentError as error:
            _log.error("events ended: %s", error)
            self._end(error)
        except Exception as error:
            _log.exception("events ended")
            self._end(error)

    def _end(self, error: Exception) -> None:
        """The stream has ended for good."""
        self._reader = None
        for future in tuple(self._awaited):
            if not future.done():
                future.set_exception(error)

    def _catch_up(self, snapshot: event_pb2.Snapshot, began: bool) -> None:
        """Tells what is new in a snapshot. One in a stream that has begun says that events were lost for
        good, the agent was restarted: then also how everything is now.
        """
        if began:
            self._call_back(Event.SESSION_CHANGED, event_pb2.SessionChanged(session=snapshot.session))
        for event, payload in self._known.compare(snapshot):
            self._call_back(event, payload)
        if began:
            self._call_back(Event.LOCAL_MEDIA_CHANGED, event_pb2.LocalMediaChanged(media=snapshot.media))
            if snapshot.HasField("call"):
                self._call_back(Event.CALL_CHANGED, event_pb2.CallChanged(call=snapshot.call))

    def _dispatch(self, message: event_pb2.Event) -> None:
        """Hands one event to its callbacks; a kind newer than this client has none."""
        event = Event.kind(message)
        if event is not None:
            self._call_back(event, getattr(message, event.field))

    def _call_back(self, event: Event, payload: Any) -> None:
        """Calls the callbacks; a failing one does not keep the others from the event."""
        for callback in tuple(self._callbacks.get(event, ())):
            try:
                outcome = callback(payload)
            except Exception:
                _log.exception("the callback of %s failed", event.name)
                continue
            if inspect.isawaitable(outcome):
                self._start(event, outcome)

    def _start(self, event: Event, outcome: Awaitable[None]) -> None:
        """Runs what a coroutine function returned."""

        def done(task: asyncio.Future[None]) -> None:
            self._running.discard(task)
            if not task.cancelled() and task.exception() is not None:
                _log.error("the callback of %s failed", event.name, exc_info=task.exception())

        task = asyncio.ensure_future(outcome)
        self._running.add(task)
        task.add_done_callback(done)
