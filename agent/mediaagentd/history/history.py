"""The history as the daemon has it: calls go in without waiting, records come out, one thread writes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from mediaagentd.call.state import Call
from mediaagentd.errors import Reason, Refused
from mediaagentd.history.record import record_of
from mediaagentd.history.store import HistoryStore, Kept
from mediaagentd.history.types import Event, Filter, HistoryChanged, MissedCall, Page, Record, Retention
from mediaagentd.sqlite import StoreError, is_broken

_log = structlog.stdlib.get_logger()

MAX_WAITING = 1000
"""Calls that may wait for a disk that does not keep up; beyond it the newest leave no record."""

_RETRY = 1.0
"""Seconds until the second attempt when the disk refuses; twice as many until each further one."""

_RETRY_AT_MOST = 300.0
"""Seconds between attempts while the disk refuses for long."""

_TOUCH = 60.0
"""Seconds between two notes that a call goes on: a killed daemon's record is at most so much too short."""

_IDLE = 86400.0
"""Seconds between two notes that time passes, while nothing else does."""

_SOUND = 86400.0
"""Seconds that a new file must have lasted to be given up for another one when it is damaged."""

_CLOSE_WITHIN = 1.5
"""Seconds that the last writes may take."""

_Key = tuple[str, str, str, str]
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


class History:
    """The records of this device. `monotonic` is the clock of calls, `wall` the one that people read;
    `publish` gets the events, `acknowledge` the invitations whose missed calls are on the disk. A file that
    cannot be used is no reason to serve no calls: the records live in memory then, and the log says so.
    """

    def __init__(
        self,
        path: Path,
        retention: Retention,
        *,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
        publish: Callable[[Event], None],
        acknowledge: Callable[[Sequence[str]], None],
    ) -> None:
        self._path = path
        self._retention = retention
        self._monotonic = monotonic
        self._wall = wall
        self._publish = publish
        self._acknowledge = acknowledge
        self._calls: dict[_Key, Record] = {}
        self._missed: dict[_Key, Record] = {}
        self._live: set[_Key] = set()
        self._news = asyncio.Event()
        self._asked = asyncio.Event()
        self._readers: list[asyncio.Future[None]] = []
        self._writing = False
        self._patience = 0.0
        self._damaged: float | None = None
        self._thread = ThreadPoolExecutor(1, "history")
        self._store: HistoryStore
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._closed = False

    async def start(self) -> None:
        """Opens the file and ends what an earlier run left open."""
        loop = asyncio.get_running_loop()
        self._store = await loop.run_in_executor(self._thread, self._open)
        try:
            await self._run(HistoryStore.close_left, self._wall())
        except sqlite3.Error as error:  # a full disk, perhaps: what is there can still be read
            _log.error("history_not_tidied", error=type(error).__name__)
        self._task = asyncio.create_task(self._keep_writing(), name="history")

    async def close(self) -> None:
        """Writes what waits, for a moment at most, and closes the file. Idempotent."""
        task, self._task = self._task, None
        if task is None:
            return
        self._closing = True
        self._news.set()
        self._asked.set()
        # Not cancelled while it writes: what is on the disk by then must be told.
        await asyncio.wait([task], timeout=_CLOSE_WITHIN)
        task.cancel()
        await asyncio.wait([task])
        if self._calls or self._missed:
            _log.error("history_left_behind", calls=len(self._calls), missed=len(self._missed))
        await self._run(HistoryStore.close)
        self._closed = True
        self._thread.shutdown(wait=False)

    # ------------------------------------------------------------ what happens

    def note(self, owner_id: str, call: Call) -> None:
        """A call began, was answered or ended. Its record follows soon."""
        record = record_of(owner_id, call, self._wall() - self._monotonic())
        key = _key(record)
        if key not in self._calls and len(self._calls) >= MAX_WAITING:
            _log.error("call_not_recorded", call_id=record.call_id, reason="too many wait for the disk")
            return
        self._calls[key] = record
        self._news.set()

    def note_missed(self, records: Sequence[Record]) -> None:
        """Calls came while the user was away. Those beyond the bound the hub tells again."""
        for record in records:
            if len(self._missed) < MAX_WAITING:
                self._missed[_key(record)] = record
        self._news.set()

    # ------------------------------------------------------------ what is asked

    async def page(self, chosen: Filter, size: int, token: str) -> Page:
        """A page of records, all that has happened so far. Refused(FIELD_INVALID): a strange token."""
        await self._caught_up()
        return await self._run(HistoryStore.page, chosen, size, token)

    async def get(self, record_id: int) -> Record:
        """One record. Refused(RECORD_UNKNOWN)."""
        await self._caught_up()
        return await self._run(HistoryStore.get, record_id)

    async def delete(self, record_ids: Sequence[int]) -> int:
        """Deletes records; how many of them were there."""
        return self._deleted(await self._run(HistoryStore.delete, record_ids))

    async def delete_all(self, owner_id: str = "") -> int:
        """Deletes that owner's records, or everyone's; how many there were."""
        await self._caught_up()
        return self._deleted(await self._run(HistoryStore.delete_all, owner_id))

    def _deleted(self, record_ids: tuple[int, ...]) -> int:
        if record_ids:
            self._publish(HistoryChanged(deleted=record_ids))
        return len(record_ids)

    # ------------------------------------------------------------ writing

    async def _keep_writing(self) -> None:
        """The one who writes, so that a client that asks and leaves takes nothing with it that is told."""
        try:
            while True:
                await self._something()
                written = await self._attempt()
                if self._closing and not (written and (self._calls or self._missed)):
                    return
                if not written:
                    await self._pause()
        finally:
            _release(self._readers)

    async def _something(self) -> None:
        """Until there is something to write, or it is time to note that time passes."""
        if self._closing:
            return
        try:
            async with asyncio.timeout(_TOUCH if self._live else _IDLE):
                await self._news.wait()
        except TimeoutError:
            await self._touch()

    async def _attempt(self) -> bool:
        """Writes what waits, if the disk takes it; whoever waits for that need not any longer."""
        readers, self._readers = self._readers, []
        self._news.clear()
        self._asked.clear()
        try:
            await self._write()
        except Exception as error:  # the disk's, or a defect: who writes must outlive it
            if self._patience < _RETRY_AT_MOST:  # then it has been said often enough
                _log.error("history_not_written", calls=len(self._calls), error=type(error).__name__)
            self._patience = min(max(2 * self._patience, _RETRY), _RETRY_AT_MOST)
            return False
        finally:
            _release(readers)
        if self._patience:
            _log.info("history_written_again")
        self._patience = 0.0
        return True

    async def _pause(self) -> None:
        """After a failure; a client that asks wants another attempt at once."""
        try:
            async with asyncio.timeout(self._patience):
                await self._asked.wait()
        except TimeoutError:
            pass

    async def _touch(self) -> None:
        """Notes the time, and that the calls that go on do so."""
        try:
            await self._run(HistoryStore.touch, self._wall())
        except Exception as error:  # as above
            _log.debug("history_not_touched", error=type(error).__name__)

    async def _caught_up(self) -> None:
        """What waits is written first, so that a client finds the call whose end it has just heard of. A
        disk that refuses is the writer's care.
        """
        if self._task is None or not (self._calls or self._missed or self._writing):
            return
        reader = asyncio.get_running_loop().create_future()
        self._readers.append(reader)
        self._news.set()
        self._asked.set()
        await reader

    async def _write(self) -> None:
        """Writes what waits and tells of it; what the disk refuses waits on. Raises sqlite3.Error."""
        if not self._calls and not self._missed:
            return
        calls, self._calls = self._calls, {}
        missed, self._missed = self._missed, {}
        self._writing = True
        try:
            own, away = tuple(calls.values()), tuple(missed.values())
            kept = await self._run(HistoryStore.keep, own, away, self._wall())
        except BaseException:
            # The newer word on a call has come meanwhile, or this one is tried again.
            self._calls = {**calls, **self._calls}
            self._missed = {**missed, **self._missed}
            self._news.set()
            raise
        finally:
            self._writing = False
        self._follow(calls)
        if missed:
            self._acknowledge([record.invite_id for record in missed.values()])
        self._tell(kept)

    def _follow(self, calls: dict[_Key, Record]) -> None:
        """Which calls go on; the writer sees to them from time to time."""
        live = (self._live | {k for k, r in calls.items() if r.ended is None}) - {
            k for k, r in calls.items() if r.ended is not None
        }
        if live != self._live:
            self._live = live
            self._news.set()

    def _tell(self, kept: Kept) -> None:
        for record in kept.records:
            if record.missed:
                self._publish(MissedCall(record))
            self._publish(HistoryChanged(record))
        if kept.dropped:
            self._publish(HistoryChanged(deleted=kept.dropped))

    # ------------------------------------------------------------ the thread

    def _open(self) -> HistoryStore:
        try:
            return HistoryStore(self._path, self._retention, self._monotonic)
        except StoreError as error:
            _log.error("history_unusable", error=str(error))
            return self._begun_anew() if error.broken else self._in_memory()

    def _begun_anew(self) -> HistoryStore:
        """A new file in the place of one that is damaged, with what can still be read of that. Where damage
        comes again soon, there is no point in it.
        """
        now = self._monotonic()
        again, self._damaged = self._damaged is not None and now < self._damaged + _SOUND, now
        if again:
            return self._in_memory()
        try:
            aside = _put_aside(self._path)
            store = HistoryStore(self._path, self._retention, self._monotonic)
        except (OSError, StoreError) as error:
            _log.error("history_not_begun_anew", error=type(error).__name__)
            return self._in_memory()
        _log.warning("history_begun_anew", records=store.salvage(aside), damaged=str(aside))
        return store

    def _in_memory(self) -> HistoryStore:
        _log.error("history_in_memory", until="the next start")
        return HistoryStore(":memory:", self._retention, self._monotonic)

    def _done(self, work: Callable[[HistoryStore], _Result]) -> _Result:
        """Does it, in a new file should this one be found damaged. Raises sqlite3.Error, Refused."""
        try:
            return work(self._store)
        except sqlite3.Error as error:
            if not is_broken(error):
                raise
            _log.error("history_damaged", error=str(error))
        self._store.close()
        self._store = self._begun_anew()
        return work(self._store)

    async def _run(
        self,
        work: Callable[Concatenate[HistoryStore, _Arguments], _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        if self._closed:
            raise Refused(Reason.SHUTTING_DOWN, "the daemon is stopping")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._thread, lambda: self._done(lambda store: work(store, *args, **kwargs))
        )


def _key(record: Record) -> _Key:
    """What names a user's part in a call."""
    return record.owner_id, record.call_id, record.invite_id, record.part


def _release(readers: list[asyncio.Future[None]]) -> None:
    for reader in readers:
        if not reader.done():
            reader.set_result(None)


def _put_aside(path: Path) -> Path:
    """A damaged file is kept for whoever wants to know, out of the way. Where. Raises OSError."""
    aside = path.replace(path.with_suffix(".broken"))
    for suffix in ("-wal", "-shm"):  # a new file must not inherit what the old one had not written back
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
