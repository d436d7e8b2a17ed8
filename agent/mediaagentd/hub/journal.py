"""Store first, then publish: group commit of the core's effects.

While one transaction is under way all that comes waits, in its order, and goes into the next one: the
loop never waits for the disk, nothing overtakes, and the more there is to do the more one fsync carries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import structlog

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.store import STORED, Image, Store
from mediaagentd.hub.types import Answer, Effect, PutCall, Reply
from mediaagentd.sqlite import is_broken

_log = structlog.stdlib.get_logger()

MAX_WAITING = 10_000
"""Commands that may wait for the disk; beyond it the hub refuses before anything changed."""

_RETRY = 0.5
"""Seconds between attempts while the disk refuses."""

STALLED = 10.0
"""Seconds that a transaction may take until the disk counts as one that does not answer."""

_Waiter = asyncio.Future[Answer]


class Journal:
    """Owns the store and its one thread."""

    def __init__(self, store: Store, publish: Callable[[Effect], None]) -> None:
        self._store = store
        self._publish = publish
        self._waiting: deque[tuple[tuple[Effect, ...], _Waiter]] = deque()
        self._writing = False
        self._asked: float | None = None
        self._damaged = False
        self._news = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, "hub-store")
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Image:
        """What the store holds; from now on it is written."""
        image = await asyncio.get_running_loop().run_in_executor(self._thread, self._store.load)
        self._task = asyncio.create_task(self._run(), name="hub-journal")
        return image

    @property
    def makes_progress(self) -> bool:
        """Whether what is submitted is answered some time: it is worked on, and the disk answers, if only to
        refuse. A damaged database takes nothing ever again: the next start says what to do.
        """
        if self._task is None or self._task.done() or self._damaged:
            return False
        now = asyncio.get_running_loop().time()
        return self._asked is None or now - self._asked < STALLED

    def check_room(self) -> None:
        """Refused(LIMIT_EXCEEDED) while the disk does not keep up."""
        if len(self._waiting) >= MAX_WAITING:
            raise Refused(Reason.LIMIT_EXCEEDED, "the hub is overloaded: try again", {"limit": "backlog"})

    def submit(self, effects: tuple[Effect, ...]) -> _Waiter:
        """Stores and publishes; the future holds the answer of the Reply once all that is done. A caller
        that goes away changes nothing.
        """
        done: _Waiter = asyncio.get_running_loop().create_future()
        if self._waiting or self._writing or any(isinstance(effect, STORED) for effect in effects):
            self._waiting.append((effects, done))
            self._news.set()
        else:
            self._finish(effects, done)
        return done

    async def close(self, timeout: float) -> None:
        """Writes what waits, for `timeout` seconds at most, and closes the store."""
        if self._task is not None:
            try:
                async with asyncio.timeout(timeout):
                    await self.submit(())
            except TimeoutError:
                _log.error("hub_store_left_behind", commands=len(self._waiting))
            self._task.cancel()
            await asyncio.wait([self._task])
        # In the thread: a transaction that still runs there must end first.
        await asyncio.get_running_loop().run_in_executor(self._thread, self._store.close)
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            batch = tuple(self._waiting)
            self._waiting.clear()
            self._writing = True
            await self._store_all(effect for effects, _ in batch for effect in effects)
            self._writing = False
            for effects, done in batch:
                self._finish(effects, done)

    async def _store_all(self, effects: Iterable[Effect]) -> None:
        """One transaction. A disk that refuses is asked again: nobody is told what is not stored, and the
        core is already ahead, so there is no way back.
        """
        stored = _newest(effect for effect in effects if isinstance(effect, STORED))
        loop = asyncio.get_running_loop()
        refused = 0
        while stored:
            self._asked = loop.time()
            try:
                await loop.run_in_executor(self._thread, self._store.apply, stored)
                return  # noqa: TRY300 - what follows is the way of the failure
            except Exception as error:
                refused += 1
                self._damaged = is_broken(error)
                if refused & (refused - 1) == 0:  # ever more seldom
                    failure = type(error).__name__
                    _log.error("hub_store_failed", error=failure, effects=len(stored), attempts=refused)
            finally:
                self._asked = None
            await asyncio.sleep(_RETRY)

    def _finish(self, effects: tuple[Effect, ...], done: _Waiter) -> None:
        reply: Answer = None
        for effect in effects:
            if isinstance(effect, Reply):
                reply = effect.answer
                continue
            try:
                self._publish(effect)
            except Exception as error:  # a defect; it must not stop the others
                _log.error("hub_publish_failed", error=type(error).__name__, effect=type(effect).__name__)
        if not done.done():
            done.set_result(reply)


def _newest(effects: Iterable[Effect]) -> tuple[Effect, ...]:
    """Of a call that changed several times the last, in the place of the first, so that calls stay in the
    order in which they came. What a thousand who ring answer within a second is a thousand times a thousand
    members.
    """
    kept: dict[int | str, Effect] = {}
    for number, effect in enumerate(effects):
        kept[effect.call.call_id if isinstance(effect, PutCall) else number] = effect
    return tuple(kept.values())
