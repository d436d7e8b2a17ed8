"""The records on the disk."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from mediaagentd.call.words import CallType, EndReason, MemberState
from mediaagentd.errors import Reason, Refused
from mediaagentd.history.store import HistoryStore
from mediaagentd.history.types import Filter, Retention
from mediaagentd.sqlite import DamagedError, StoreError, is_broken

from tests.fakes.records import EVERYTHING
from tests.unit.history.samples import CALL, MISSED, going_on, numbered

NOW = 3000.0
YEAR = 400 * 86400.0


class Clock:
    """Seconds that pass."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


CLOCK = Clock()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[HistoryStore]:
    made = HistoryStore(tmp_path / "deep" / "history.sqlite", Retention(), CLOCK)
    yield made
    made.close()


def listed(store: HistoryStore, chosen: Filter = EVERYTHING) -> list[str]:
    return [record.call_id for record in store.page(chosen, 100, "").records]


def test_a_record_comes_back_as_it_was(store: HistoryStore) -> None:
    for record in (CALL, MISSED, replace(MISSED, call_id="c3", other_device_id="kitchen", part="2")):
        (kept,) = store.keep([record], [], NOW).records
        assert kept == replace(record, record_id=kept.record_id)
        assert store.get(kept.record_id) == kept


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    store = HistoryStore(tmp_path / "h.sqlite", Retention(), CLOCK)
    store.keep([CALL], [], NOW)
    for file in tmp_path.iterdir():
        assert file.stat().st_mode & 0o077 == 0
    store.close()
    store.close()


def test_the_newer_word_counts_but_what_was_answered_stays_so(store: HistoryStore) -> None:
    ring = replace(MISSED, call_id="c1", end_reason=EndReason.LOGGED_OUT, missed=False)
    store.keep([going_on(ring)], [], NOW)
    assert listed(store) == []
    (first,) = store.keep([ring], [], NOW).records
    answered = replace(ring, answered=2010.0, end_reason=EndReason.HANGUP, ended_by="dan")
    (second,) = store.keep([answered], [], NOW).records
    assert second.record_id == first.record_id
    assert store.keep([ring], [], NOW).records == ()
    assert store.get(first.record_id).answered == 2010.0
    assert listed(store) == ["c1"]


def test_missed_calls_of_the_hub_do_not_overwrite_what_is_known(store: HistoryStore) -> None:
    assert store.keep([], [MISSED], NOW).records[0].missed
    assert store.keep([], [MISSED], NOW).records == ()
    cancelled = replace(MISSED, call_id="c3", end_reason=EndReason.CANCELLED)
    store.keep([cancelled], [], NOW)
    assert store.keep([], [replace(cancelled, sponsor="eve")], NOW).records == ()
    # A device that was logged out while it rang learns what became of it.
    left = replace(MISSED, call_id="c4", end_reason=EndReason.LOGGED_OUT, missed=False)
    store.keep([left], [], NOW)
    (told,) = store.keep([], [replace(left, end_reason=EndReason.CANCELLED, missed=True)], NOW).records
    assert told.missed
    answered = replace(left, call_id="c5", answered=2001.0)
    store.keep([answered], [], NOW)
    assert store.keep([], [replace(MISSED, call_id="c5")], NOW).records == ()


def test_parts_of_one_user_in_one_call_are_records_of_their_own(store: HistoryStore) -> None:
    for invite_id, part in (("i1", ""), ("i2", ""), ("", "3"), ("", "4")):
        store.keep([replace(CALL, invite_id=invite_id, part=part)], [], NOW)
    assert listed(store) == ["c1"] * 4
    store.keep([replace(CALL, owner_id="eve")], [], NOW)
    assert len(listed(store)) == 5


@pytest.mark.parametrize(
    ("chosen", "found"),
    [
        (EVERYTHING, ["c2", "c1"]),
        (Filter(user_id="ann"), ["c2", "c1"]),
        (Filter(user_id="bob"), ["c1"]),
        (Filter(user_id="cid"), ["c1"]),
        (Filter(user_id="dan"), ["c2"]),
        (Filter(user_id="nobody"), []),
        (Filter(owner_id="ann"), ["c2", "c1"]),
        (Filter(owner_id="eve"), []),
        (Filter(outgoing=True), ["c1"]),
        (Filter(outgoing=False), ["c2"]),
        (Filter(type=CallType.AUDIO), ["c2"]),
        (Filter(missed=True), ["c2"]),
        (Filter(missed=False), ["c1"]),
        (Filter(since=1000.5), ["c2"]),
        (Filter(since=1000.0, until=2000.0), ["c1"]),
        (Filter(user_id="bob", missed=True), []),
        (
            Filter("dan", "ann", outgoing=False, type=CallType.AUDIO, missed=True, since=1.0, until=9e9),
            ["c2"],
        ),
    ],
)
def test_filters(store: HistoryStore, chosen: Filter, found: list[str]) -> None:
    store.keep([CALL, MISSED, going_on(numbered(9))], [], NOW)
    page = store.page(chosen, 100, "")
    assert [record.call_id for record in page.records] == found
    assert (page.total, page.token) == (len(found), "")


def test_pages_neither_lose_nor_repeat_though_records_come_and_go(store: HistoryStore) -> None:
    store.keep([numbered(n // 2, invite_id=f"i{n}") for n in range(10)], [], NOW)
    seen: list[int] = []
    token = ""
    while True:
        page = store.page(EVERYTHING, 3, token)
        seen += [record.record_id for record in page.records]
        token = page.token
        if not token:
            break
        store.keep([numbered(100 + len(seen))], [], NOW)
        store.delete([page.records[-1].record_id])
    assert len(seen) == len(set(seen)) == 10


@pytest.mark.parametrize("token", ["x", "1.", ".1", "1.x", f"{2**63}.1", f"1.{-(2**64)}"])
def test_a_strange_token_is_refused(store: HistoryStore, token: str) -> None:
    with pytest.raises(Refused) as refused:
        store.page(EVERYTHING, 3, token)
    assert refused.value.reason is Reason.FIELD_INVALID


def test_deleting(store: HistoryStore) -> None:
    kept = store.keep([numbered(n, owner_id="eve" if n > 2 else "ann") for n in range(5)], [], NOW).records
    store.keep([going_on(numbered(9))], [], NOW)
    ids = [record.record_id for record in kept]
    assert store.delete([ids[0], ids[0], 999]) == (ids[0],)
    assert store.delete_all("eve") == (ids[3], ids[4])
    assert store.delete_all("") == (ids[1], ids[2])
    with pytest.raises(Refused, match="no record"):
        store.get(ids[1])
    # The call that goes on is still written when it ends, and no number comes twice.
    (last,) = store.keep([numbered(9)], [], NOW).records
    assert last.record_id not in ids


def test_the_retention_rule() -> None:
    clock = Clock()
    store = HistoryStore(":memory:", Retention(records=3, age=100.0), clock)
    store.keep([going_on(numbered(0))], [], NOW)
    for number in range(1, 6):
        clock.now += 1.0
        kept = store.keep([numbered(number)], [], NOW)
        assert len(kept.dropped) == (number > 3)
    assert listed(store) == ["c5", "c4", "c3"]
    # Also when nothing is written any more.
    clock.now = 104.5
    assert listed(store) == ["c5"]
    assert store.close_left(NOW).dropped == (1, 4, 5)
    store.close()
    nothing = HistoryStore(":memory:", Retention(records=0), CLOCK)
    assert nothing.keep([CALL], [], 1010.0).records == ()
    nothing.close()


def test_a_clock_that_jumps_deletes_nothing() -> None:
    store = HistoryStore(":memory:", Retention(), CLOCK)
    store.keep([numbered(n) for n in range(50)], [], NOW)
    store.keep([numbered(99, invited=NOW + YEAR)], [], NOW + YEAR)
    store.keep([numbered(100)], [], NOW)
    assert len(listed(store)) == 52
    # Missed before the clock of a device that has none of its own was set.
    (told,) = store.keep([], [replace(MISSED, call_id="m", invited=NOW - YEAR)], NOW - YEAR).records
    assert store.keep([numbered(101)], [], NOW).dropped == ()
    assert store.get(told.record_id) == told
    assert listed(store)[-1] == "m"
    store.close()


def test_what_is_written_is_not_dropped_at_once() -> None:
    store = HistoryStore(":memory:", Retention(records=2), CLOCK)
    store.keep([numbered(n) for n in range(2)], [], NOW)
    kept = store.keep([], [replace(MISSED, call_id=f"m{n}", invited=-1e7) for n in range(3)], NOW)
    assert [record.call_id for record in kept.records] == ["m0", "m1", "m2"]
    assert kept.dropped == (1, 2)
    assert store.keep([numbered(9)], [], NOW).dropped == (3, 4)
    store.close()


def test_time_passes_over_all_runs_but_not_more_than_it_can_have(tmp_path: Path) -> None:
    day, file, rule = 86400.0, tmp_path / "h.sqlite", Retention(age=10 * 86400.0)
    clock = Clock()

    def began(wall: float) -> HistoryStore:
        clock.now = 5.0  # another machine's time, after each start
        store = HistoryStore(file, rule, clock)
        store.close_left(wall)
        return store

    store = began(NOW)
    store.keep([CALL], [], NOW)
    clock.now += 4 * day
    store.touch(NOW + 4 * day)
    store.close()
    store = began(NOW + YEAR)  # a year in a drawer, or a clock that is wrong
    store.keep([numbered(2)], [], NOW + YEAR)
    store.close()
    store = began(NOW)
    store.touch(NOW)
    store.close()
    store = began(NOW + 5 * day)
    assert listed(store) == ["c2", "c1"]
    clock.now += 1.5 * day
    assert listed(store) == ["c2"]
    store.close()


def test_records_of_an_older_version_grow_old_from_now_on(tmp_path: Path) -> None:
    old = tmp_path / "old"
    store = HistoryStore(old, Retention(), CLOCK)
    store.keep([CALL, MISSED], [], NOW)
    store.close()
    with closing(sqlite3.connect(old)) as db:
        for statement in ("INDEX records_by_age", "TABLE clock"):
            db.execute(f"DROP {statement}")
        db.execute("ALTER TABLE records DROP COLUMN kept")
        db.execute("PRAGMA user_version=1")
    clock = Clock()
    store = HistoryStore(old, Retention(age=100.0), clock)
    store.close_left(NOW + YEAR)
    assert listed(store) == ["c2", "c1"]
    clock.now += 101.0
    assert listed(store) == []
    store.close()


def test_what_a_killed_daemon_left_open_ends_when_it_was_last_seen_to(store: HistoryStore) -> None:
    store.keep([going_on(CALL), going_on(MISSED)], [], 1003.0)
    store.touch(1050.0)
    store.close_left(NOW)
    answered, rang = store.page(EVERYTHING, 9, "").records[::-1]
    assert (answered.ended, answered.end_reason, answered.duration) == (1050.0, EndReason.LOGGED_OUT, 47.5)
    assert (rang.end_reason, rang.missed) == (EndReason.LOGGED_OUT, False)
    store.close_left(NOW + 5)
    assert store.get(answered.record_id).ended == 1050.0


def test_everything_is_there_after_the_process_was_killed(tmp_path: Path) -> None:
    """kill -9 right after the write returned."""
    file = tmp_path / "history.sqlite"
    program = (
        "import os, signal, sys, time\n"
        "from mediaagentd.history.store import HistoryStore\n"
        "from mediaagentd.history.types import Retention\n"
        "from tests.unit.history.samples import CALL, MISSED, going_on, numbered\n"
        "store = HistoryStore(sys.argv[1], Retention(), time.monotonic)\n"
        "store.keep([CALL, going_on(numbered(5))], [MISSED], 3000.0)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program, str(file)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    store = HistoryStore(file, Retention(), CLOCK)
    store.close_left(NOW)
    assert listed(store) == ["c2", "c5", "c1"]
    store.close()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"this is no database " * 100)
    with pytest.raises(StoreError) as broken:
        HistoryStore(garbage, Retention(), CLOCK)
    assert broken.value.broken
    with pytest.raises(StoreError) as directory:
        HistoryStore(tmp_path, Retention(), CLOCK)
    assert not directory.value.broken
    newer = tmp_path / "newer"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="newer version"):
        HistoryStore(newer, Retention(), CLOCK)
    first = HistoryStore(tmp_path / "shared", Retention(), CLOCK)
    with pytest.raises(StoreError, match="locked"):
        HistoryStore(tmp_path / "shared", Retention(), CLOCK)
    first.close()


def test_a_write_that_fails_changes_nothing(store: HistoryStore) -> None:
    strange = replace(CALL, call_id="c9", room_id="seven")  # type: ignore[arg-type]
    with pytest.raises(sqlite3.IntegrityError):
        store.keep([CALL, strange], [], NOW)
    assert listed(store) == []


def test_what_was_deleted_is_not_on_the_disk(tmp_path: Path) -> None:
    file = tmp_path / "history.sqlite"
    store = HistoryStore(file, Retention(), CLOCK)
    (kept,) = store.keep([replace(CALL, sponsor="somebody-secret")], [], NOW).records
    assert b"somebody-secret" in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    store.delete([kept.record_id])
    store.close()  # The journal goes with it.
    assert b"somebody-secret" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_every_word_survives(store: HistoryStore) -> None:
    records = [
        numbered(n, end_reason=reason, invitees=(("bob", state),))
        for n, (reason, state) in enumerate(zip(list(EndReason), list(MemberState) * 2, strict=False))
    ]
    kept = store.keep(records, [], NOW).records
    assert [(r.end_reason, r.invitees) for r in kept] == [(r.end_reason, r.invitees) for r in records]


def damage(file: Path, first: int, pages: int) -> None:
    """As flash memory rots."""
    data = bytearray(file.read_bytes())
    for page in range(first, first + pages):
        data[page * 4096 : page * 4096 + 200] = b"\xff" * 200
    file.write_bytes(data)


def test_damage_behind_the_first_page_is_found_and_the_rest_saved(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    clock = Clock()
    store = HistoryStore(file, Retention(age=100.0), clock)
    clock.now = 50.0
    store.keep([numbered(n) for n in range(300)], [], NOW)
    store.close()
    pages = len(file.read_bytes()) // 4096
    damage(file, pages // 2, 1)
    with pytest.raises(StoreError) as error:
        HistoryStore(file, Retention(), CLOCK)
    assert error.value.broken
    fresh = HistoryStore(":memory:", Retention(age=100.0), clock)
    saved = fresh.salvage(file)
    assert 200 < saved < 300
    assert len(fresh.page(EVERYTHING, 300, "").records) == saved
    assert fresh.get(300) == numbered(299, record_id=300)
    clock.now = 151.0
    assert fresh.page(EVERYTHING, 300, "").total == 0
    assert fresh.salvage(tmp_path / "nothing") == 0
    fresh.close()


def test_a_record_that_makes_no_sense_is_damage(tmp_path: Path) -> None:
    file = tmp_path / "h.sqlite"
    store = HistoryStore(file, Retention(), CLOCK)
    store.keep([numbered(n) for n in range(3)], [], NOW)
    store.close()
    with closing(sqlite3.connect(file)) as db:
        db.execute("UPDATE records SET type = CAST(x'ff56' AS TEXT) WHERE record_id = 2")
        db.commit()
    store = HistoryStore(file, Retention(), CLOCK)
    with pytest.raises(DamagedError, match="record 2 cannot be read") as error:
        store.page(EVERYTHING, 9, "")
    assert is_broken(error.value)
    store.close()
    fresh = HistoryStore(":memory:", Retention(), CLOCK)
    assert fresh.salvage(file) == 2
    assert listed(fresh) == ["c2", "c0"]
    fresh.close()
