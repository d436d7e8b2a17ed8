"""The history beside disks that refuse, files that rot and clients that leave."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from mediaagentd.history import history as module
from mediaagentd.history.store import HistoryStore, Kept
from mediaagentd.history.types import HistoryChanged, MissedCall, Record
from mediaagentd.sqlite import DamagedError

from tests.fakes.records import EVERYTHING
from tests.unit.history.room import RINGING, TALKED, Room
from tests.unit.history.samples import MISSED, numbered
from tests.unit.history.test_store import damage


async def test_a_disk_that_refuses_for_a_while(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY", 0.01)
    refusals = iter([True] * 4)

    def refusing(*_: object) -> None:
        if next(refusals, False):
            raise sqlite3.OperationalError("disk I/O error")

    room = make()
    await room.history.start()
    keep = HistoryStore.keep
    monkeypatch.setattr(HistoryStore, "keep", lambda *args: refusing() or keep(*args))  # type: ignore[func-returns-value]
    with structlog.testing.capture_logs() as logs:
        room.history.note("ann", RINGING)
        assert (await room.history.page(EVERYTHING, 9, "")).total == 0
        room.history.note("ann", TALKED)
        await room.until(lambda: bool(room.events))
    assert "history_not_written" in {line["event"] for line in logs}
    assert (await room.history.page(EVERYTHING, 9, "")).total == 1


async def test_a_defect_does_not_end_the_writing(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, failures = HistoryStore.keep, iter([OverflowError("too large")])

    def failing(store: HistoryStore, own: Sequence[Record], away: Sequence[Record], now: float) -> Kept:
        for failure in failures:
            raise failure
        return keep(store, own, away, now)

    monkeypatch.setattr(HistoryStore, "keep", failing)
    room = make()
    await room.history.start()
    room.history.note("ann", TALKED)
    async with asyncio.timeout(10):
        assert (await room.history.page(EVERYTHING, 9, "")).total == 0
        assert (await room.history.page(EVERYTHING, 9, "")).total == 1


async def test_more_calls_than_may_wait_are_told_in_the_log(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 1)
    room = make()
    with structlog.testing.capture_logs() as logs:
        room.history.note("ann", RINGING)
        room.history.note("ann", TALKED)
        room.history.note("eve", TALKED)
        room.history.note_missed([MISSED, replace(MISSED, call_id="c9")])
    assert [line["event"] for line in logs] == ["call_not_recorded"]
    await room.history.start()
    assert (await room.history.page(EVERYTHING, 9, "")).total == 2
    assert room.acknowledged == ["i2"]


async def test_a_file_that_is_no_database_is_put_aside(make: Callable[..., Room], tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"x" * 4096)
    (tmp_path / "history.sqlite-wal").write_bytes(b"y")
    room = make()
    with structlog.testing.capture_logs() as logs:
        await room.history.start()
    assert [line["event"] for line in logs] == ["history_unusable", "history_begun_anew"]
    assert (tmp_path / "history.broken").read_bytes() == b"x" * 4096
    room.history.note("ann", TALKED)
    assert (await room.history.page(EVERYTHING, 9, "")).total == 1


async def test_a_file_that_cannot_be_opened_leaves_the_memory(
    make: Callable[..., Room], tmp_path: Path
) -> None:
    (tmp_path / "taken").mkdir()
    room = make(name="taken")
    with structlog.testing.capture_logs() as logs:
        await room.history.start()
    assert [line["event"] for line in logs] == ["history_unusable", "history_in_memory"]
    room.history.note("ann", TALKED)
    assert (await room.history.page(EVERYTHING, 9, "")).total == 1


async def test_a_full_disk_keeps_nobody_from_reading(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = make()
    await room.history.start()
    room.history.note("ann", TALKED)
    await room.history.close()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(HistoryStore, "close_left", full)
    monkeypatch.setattr(HistoryStore, "keep", full)
    again = make()
    with structlog.testing.capture_logs() as logs:
        await again.history.start()
        again.history.note("eve", TALKED)
        assert (await again.history.page(EVERYTHING, 9, "")).total == 1
        await again.history.close()
    assert {"history_not_tidied", "history_left_behind"} <= {line["event"] for line in logs}


class Gate:
    """A disk that takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached = asyncio.Event()
        self.open = threading.Event()
        loop = asyncio.get_running_loop()
        keep = HistoryStore.keep

        def slow(store: HistoryStore, own: Sequence[Record], away: Sequence[Record], now: float) -> Kept:
            loop.call_soon_threadsafe(self.reached.set)
            assert self.open.wait(10.0)
            return keep(store, own, away, now)

        monkeypatch.setattr(HistoryStore, "keep", slow)


async def test_a_client_that_leaves_takes_nothing_with_it(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, room = Gate(monkeypatch), make()
    await room.history.start()
    await asyncio.sleep(0)  # the writer waits, and the client comes before it
    asked = asyncio.create_task(room.history.page(EVERYTHING, 9, ""))
    room.history.note_missed([MISSED])
    await gate.reached.wait()
    late = asyncio.create_task(room.history.page(EVERYTHING, 9, ""))
    asked.cancel()
    gate.open.set()
    assert (await late).total == 1
    assert [type(event) for event in room.events] == [MissedCall, HistoryChanged]
    assert room.acknowledged == ["i2"]


async def test_what_is_being_written_at_the_end_is_told(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, room = Gate(monkeypatch), make()
    await room.history.start()
    room.history.note_missed([MISSED])
    await gate.reached.wait()
    room.history.note("ann", TALKED)
    asked = asyncio.create_task(room.history.page(EVERYTHING, 9, ""))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(gate.open.set)
    await room.history.close()
    assert [type(event) for event in room.events] == [MissedCall, HistoryChanged, HistoryChanged]
    assert (await asked).total == 2


async def test_damage_is_mended_while_calls_go_on(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    room = make()
    await room.history.start()
    room.history.note_missed([numbered(n, missed=True) for n in range(200)])
    assert (await room.history.page(EVERYTHING, 1, "")).total == 200
    await room.history.close()
    file = tmp_path / "history.sqlite"
    # Instead of a look at all pages, which would leave them in SQLite's cache, no cache.
    monkeypatch.setattr("mediaagentd.history.store.check", lambda db: db.execute("PRAGMA cache_size=0"))
    checked = make()
    await checked.history.start()
    pages = len(file.read_bytes()) // 4096
    damage(file, pages // 2, pages // 4)
    with structlog.testing.capture_logs() as logs:
        left = (await checked.history.page(EVERYTHING, 1, "")).total
        assert 0 < left < 200
        checked.history.note_missed([MISSED])
        assert (await checked.history.page(EVERYTHING, 1, "")).total == left + 1
    assert [line["event"] for line in logs] == ["history_damaged", "history_begun_anew"]
    assert checked.acknowledged == ["i2"]
    assert (tmp_path / "history.broken").exists()
    await checked.history.close()
    again = make()
    await again.history.start()
    assert (await again.history.page(EVERYTHING, 1, "")).total == left + 1


async def test_a_disk_that_damages_all_files_leaves_the_memory(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep = HistoryStore.keep

    def rotten(store: HistoryStore, own: Sequence[Record], away: Sequence[Record], now: float) -> Kept:
        if store._path != ":memory:":
            raise DamagedError("malformed")
        return keep(store, own, away, now)

    monkeypatch.setattr(HistoryStore, "keep", rotten)
    monkeypatch.setattr(module, "_RETRY", 0.01)
    room = make()
    await room.history.start()
    with structlog.testing.capture_logs() as logs:
        room.history.note("ann", TALKED)
        await room.until(lambda: bool(room.events))
    damaged = ["history_damaged"]
    assert [line["event"] for line in logs] == [
        *damaged, "history_begun_anew", "history_not_written", *damaged, "history_in_memory",
        "history_written_again",
    ]  # fmt: skip


async def test_a_damaged_file_that_cannot_be_put_aside_leaves_the_memory(
    make: Callable[..., Room], tmp_path: Path
) -> None:
    (tmp_path / "history.sqlite").write_bytes(b"x" * 4096)
    (tmp_path / "history.broken").mkdir()
    room = make()
    with structlog.testing.capture_logs() as logs:
        await room.history.start()
    assert [line["event"] for line in logs] == [
        "history_unusable", "history_not_begun_anew", "history_in_memory",
    ]  # fmt: skip


async def test_a_disk_that_refuses_for_long_is_asked_ever_more_seldom(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY", 0.001)
    monkeypatch.setattr(module, "_RETRY_AT_MOST", 0.004)
    keep, refused = HistoryStore.keep, 0

    def full(store: HistoryStore, own: Sequence[Record], away: Sequence[Record], now: float) -> Kept:
        nonlocal refused
        refused += 1
        if refused <= 20:
            raise sqlite3.OperationalError("database or disk is full")
        return keep(store, own, away, now)

    monkeypatch.setattr(HistoryStore, "keep", full)
    room = make()
    await room.history.start()
    with structlog.testing.capture_logs() as logs:
        room.history.note("ann", TALKED)
        await room.until(lambda: bool(room.events))
    assert [line["event"] for line in logs] == ["history_not_written"] * 3 + ["history_written_again"]


async def test_a_client_that_asks_does_not_wait_for_the_next_attempt(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RETRY", 1000.0)
    keep, refused = HistoryStore.keep, False

    def full_once(store: HistoryStore, own: Sequence[Record], away: Sequence[Record], now: float) -> Kept:
        nonlocal refused
        if not refused:
            refused = True
            raise sqlite3.OperationalError("database or disk is full")
        return keep(store, own, away, now)

    monkeypatch.setattr(HistoryStore, "keep", full_once)
    room = make()
    await room.history.start()
    room.history.note("ann", TALKED)
    async with asyncio.timeout(10):
        assert (await room.history.page(EVERYTHING, 9, "")).total == 0
        assert (await room.history.page(EVERYTHING, 9, "")).total == 1
