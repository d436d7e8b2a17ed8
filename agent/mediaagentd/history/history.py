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
from mediaagentd.sqlite import StoreError

_log = structlog.stdlib.get_logger()

MAX_WAITING = 1000
"""Calls that may wait for a disk that does not keep up; beyond it the newest leave no record."""

_RETRY = 1.0
"""Seconds between attempts while the disk refuses."""

_TOUCH = 60.0
"""Seconds between two notes that a call goes on: a killed daemon's record is at most so much too short."""

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
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "history")
        self._store: HistoryStore
        self._task: asyncio.Task[None] | None = None
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
        task.cancel()
        await asyncio.wait([task])
        try:
            async with asyncio.timeout(_CLOSE_WITHIN):
                await self._write()
        except (TimeoutError, sqlite3.Error) as error:
            _log.error("history_left_behind", calls=len(self._calls), error=type(error).__name__)
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
        return await self._run(HistoryStore.page, chosen, size, token, self._wall())

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
        while True:
            try:
                async with asyncio.timeout(_TOUCH if self._live else None):
                    await self._news.wait()
            except TimeoutError:
                await self._touch()
            try:
                await self._write()
            except sqlite3.Error as error:
                _log.error("history_not_written", calls=len(self._calls), error=type(error).__name__)
                await asyncio.sleep(_RETRY)

    async def _touch(self) -> None:
        """Notes that the calls that go on do so."""
        try:
            await self._run(HistoryStore.touch, self._wall())
        except sqlite3.Error as error:
            _log.warning("history_not_touched", error=type(error).__name__)

    async def _caught_up(self) -> None:
        """What waits is written first, so that a client finds the call whose end it has just heard of. A
        disk that refuses is the writer's care.
        """
        try:
            await self._write()
        except sqlite3.Error:
            _log.debug("history_behind", calls=len(self._calls))

    async def _write(self) -> None:
        """Writes what waits and tells of it; what the disk refuses waits on. Raises sqlite3.Error."""
        async with self._turn:
            self._news.clear()
            if not self._calls and not self._missed:
                return
            calls, self._calls = self._calls, {}
            missed, self._missed = self._missed, {}
            try:
                own, away = tuple(calls.values()), tuple(missed.values())
                kept = await self._run(HistoryStore.keep, own, away, self._wall())
            except BaseException:
                # The newer word on a call has come meanwhile, or this one is tried again.
                self._calls = {**calls, **self._calls}
                self._missed = {**missed, **self._missed}
                self._news.set()
                raise
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
            return HistoryStore(self._path, self._retention)
        except StoreError as error:
            _log.error("history_unusable", error=str(error), kept_in="memory until the next start")
            if error.broken:
                _put_aside(self._path)
                return self._open()
        return HistoryStore(":memory:", self._retention)

    async def _run(
        self,
        work: Callable[Concatenate[HistoryStore, _Arguments], _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        if self._closed:
            raise Refused(Reason.SHUTTING_DOWN, "the daemon is stopping")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, lambda: work(self._store, *args, **kwargs))


def _key(record: Record) -> _Key:
    """What names a user's part in a call."""
    return record.owner_id, record.call_id, record.invite_id, record.part


def _put_aside(path: Path) -> None:
    """A file that is no database is kept for whoever wants to know, out of the way."""
    path.replace(path.with_suffix(".broken"))
    for suffix in ("-wal", "-shm"):  # a new file must not inherit what the old one had not written back
        path.with_name(path.name + suffix).unlink(missing_ok=True)
