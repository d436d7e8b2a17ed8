"""The records in one SQLite file. It blocks: `History` calls it from one thread of its own. Each function
is one transaction, which is on the disk on return.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from mediaagentd.call.words import CallType, EndReason, MemberState
from mediaagentd.errors import Reason, Refused, field_invalid
from mediaagentd.history.types import Filter, Page, Record, Retention
from mediaagentd.sqlite import DamagedError, StoreError, check, connect, is_broken, migrate, transaction

_MIGRATIONS = (
    """
    CREATE TABLE records (
        record_id INTEGER PRIMARY KEY AUTOINCREMENT,
        owner_id TEXT NOT NULL,
        call_id TEXT NOT NULL,
        invite_id TEXT NOT NULL,
        part TEXT NOT NULL,
        room_id INTEGER NOT NULL,
        outgoing INTEGER NOT NULL,
        type TEXT NOT NULL,
        sponsor TEXT NOT NULL,
        invitees TEXT NOT NULL,
        invited INTEGER NOT NULL,
        answered INTEGER,
        ended INTEGER,
        end_reason TEXT,
        ended_by TEXT NOT NULL,
        group_id TEXT NOT NULL,
        missed INTEGER NOT NULL,
        other_device_id TEXT NOT NULL,
        seen INTEGER NOT NULL,
        UNIQUE (owner_id, call_id, invite_id, part)
    ) STRICT;
    CREATE INDEX records_by_time ON records (invited, record_id);
    """,
    """
    ALTER TABLE records ADD COLUMN kept INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX records_by_age ON records (kept, record_id);
    CREATE TABLE clock (id INTEGER PRIMARY KEY, passed INTEGER NOT NULL, wall INTEGER NOT NULL) STRICT;
    """,
)
"""Migration n brings a database of `user_version` n to n + 1. Only ever append. Times are microseconds
since the epoch, enumerations names; `seen` is when a call that goes on was last seen to, `kept` when a record
was written, in microseconds that the history has seen pass. `clock` is how many that were at its last write,
and when that was."""

_AWAY = 7 * 86400 * 1_000_000
"""Microseconds between two runs that count as passed. More may be a clock that is wrong, then or now."""

_COLUMNS = (
    "owner_id", "call_id", "invite_id", "part", "room_id", "outgoing", "type", "sponsor", "invitees",
    "invited", "answered", "ended", "end_reason", "ended_by", "group_id", "missed", "other_device_id",
)  # fmt: skip

_SALVAGED = ", ".join(("record_id", *_COLUMNS, "seen", "kept"))

_LEFT = (EndReason.LOGGED_OUT.name, EndReason.KICKED_OUT.name)
"""Ends after which a call may still ring again, or be missed."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a write did: the records that are now as they were told, and those that had to go."""

    records: tuple[Record, ...]
    dropped: tuple[int, ...]


class HistoryStore:
    """The records; `:memory:` holds them as long as it lives. Raises StoreError. `monotonic`: seconds that
    pass. Ages count in them, over all runs: a clock that is set must delete nothing.
    """

    def __init__(self, path: Path | str, retention: Retention, monotonic: Callable[[], float]) -> None:
        self._path = str(path)
        self._retention = retention
        self._monotonic = monotonic
        self._began = monotonic()
        self._before = 0
        self._left = 0
        try:
            if self._path != ":memory:":
                Path(self._path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self._path}: {error}") from None
        self._db = connect(self._path)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            raise StoreError(f"{self._path}: {error}", broken=is_broken(error)) from None

    def close_left(self, now: float) -> Kept:
        """Ends what a daemon that was killed left open, at the time when it was last seen to; and forgets
        what is too old. To be called first.
        """
        away = _micros(now) - self._left
        if 0 < away <= _AWAY:
            self._before += away
            self._left += away

        def work() -> Kept:
            self._note_time(now)
            self._db.execute(
                "UPDATE records SET ended = seen, end_reason = ? WHERE ended IS NULL",
                (EndReason.LOGGED_OUT.name,),
            )
            return Kept((), self._prune())

        return transaction(self._db, work)

    def keep(self, own: Iterable[Record], away: Iterable[Record], now: float) -> Kept:
        """Writes what became of calls here: of one that is known already the newer word counts, except that
        an answered call stays answered. And calls that came while the user was away: what is known better
        stays. Nothing of it is dropped at once, but by a rule that nothing is kept.
        """

        def work() -> Kept:
            written = [
                *self._written(own, now, "records.answered IS NULL OR excluded.answered IS NOT NULL"),
                *self._written(away, now, f"records.answered IS NULL AND records.end_reason IN {_LEFT}"),
            ]
            self._note_time(now)
            dropped = self._prune([record.record_id for record in written])
            return Kept(tuple(record for record in written if record.record_id not in dropped), dropped)

        return transaction(self._db, work)

    def touch(self, now: float) -> None:
        """The calls that go on are seen to."""

        def work() -> None:
            self._db.execute("UPDATE records SET seen = ? WHERE ended IS NULL", (_micros(now),))
            self._note_time(now)

        transaction(self._db, work)

    def page(self, chosen: Filter, size: int, token: str) -> Page:
        """A page, without what is too old. Only reads. Refused(FIELD_INVALID) for a token that is none of
        ours.
        """
        where, values = _condition(chosen)
        after, position = _position(token)
        where, values = f"{where} AND kept >= ?", (*values, self._oldest())
        (total,) = self._db.execute(f"SELECT count(*) FROM records WHERE {where}", values).fetchone()  # noqa: S608 - the condition is ours, its values are bound
        rows = self._db.execute(
            f"SELECT record_id, {', '.join(_COLUMNS)} FROM records WHERE {where} AND {after}"  # noqa: S608 - as above
            " ORDER BY invited DESC, record_id DESC LIMIT ?",
            (*values, *position, size + 1),
        ).fetchall()
        records = tuple(_read(row) for row in rows[:size])
        return Page(records, _token(records[-1]) if len(rows) > size else "", total)

    def get(self, record_id: int) -> Record:
        """One record. Refused(RECORD_UNKNOWN)."""
        row = self._db.execute(
            f"SELECT record_id, {', '.join(_COLUMNS)} FROM records WHERE record_id = ?"  # noqa: S608 - ours
            " AND ended IS NOT NULL",
            (record_id,),
        ).fetchone()
        if row is None:
            raise Refused(Reason.RECORD_UNKNOWN, f"no record {record_id}", {"record_id": str(record_id)})
        return _read(row)

    def delete(self, record_ids: Sequence[int]) -> tuple[int, ...]:
        """Deletes those of them that are there, and names them."""
        marks = ", ".join("?" * len(record_ids))
        return transaction(self._db, lambda: self._deleted(f"record_id IN ({marks})", tuple(record_ids)))

    def delete_all(self, owner_id: str) -> tuple[int, ...]:
        """Deletes that owner's records, everyone's for an empty name, and names them."""
        condition = "owner_id = ?" if owner_id else "?1 = ''"
        return transaction(self._db, lambda: self._deleted(condition, (owner_id,)))

    def salvage(self, damaged: Path) -> int:
        """Takes over what can be read of a damaged file; how many records that is. None when the disk
        refuses.
        """
        rows: dict[object, tuple[object, ...]] = {}
        with suppress(sqlite3.Error), closing(_untouched(damaged)) as db:
            for order in ("ASC", "DESC"):  # from both ends up to the damage
                with suppress(sqlite3.Error):
                    for row in db.execute(f"SELECT {_SALVAGED} FROM records ORDER BY record_id {order}"):  # noqa: S608 - ours
                        with suppress(DamagedError):
                            _read(row[:-2])
                            rows[row[0]] = row
        marks = ", ".join("?" * (len(_COLUMNS) + 3))
        statement = f"INSERT OR IGNORE INTO records ({_SALVAGED}) VALUES ({marks})"  # noqa: S608 - ours
        try:
            transaction(self._db, lambda: self._db.executemany(statement, rows.values()))
        except sqlite3.Error:
            return 0
        (self._before,) = self._db.execute("SELECT ifnull(max(kept), 0) FROM records").fetchone()
        return len(rows)

    def close(self) -> None:
        """Releases the file; idempotent."""
        self._db.close()

    # ------------------------------------------------------------ within a transaction

    def _written(self, records: Iterable[Record], now: float, replaces: str) -> list[Record]:
        """Those that are now as they were told, and over."""
        written = []
        for record in records:
            values = {**_row(record), "seen": _micros(now), "kept": self._passed()}
            row = self._db.execute(
                f"INSERT INTO records ({', '.join(values)}) VALUES ({', '.join(f':{n}' for n in values)})"  # noqa: S608 - names of columns
                " ON CONFLICT (owner_id, call_id, invite_id, part) DO UPDATE SET"
                f" {', '.join(f'{name} = excluded.{name}' for name in values)} WHERE {replaces}"
                " RETURNING record_id",
                values,
            ).fetchone()
            if row is not None and record.ended is not None:
                written.append(self.get(row[0]))
        return written

    def _prune(self, fresh: Sequence[int] = ()) -> tuple[int, ...]:
        """Forgets what is too old or too much. A call that goes on stays, and so does what has come just now:
        the hub forgets it then, and whoever is told of it must find it.
        """
        spared = json.dumps(fresh if self._retention.records else ())
        others = "record_id NOT IN (SELECT value FROM json_each(?))"
        newest = "WHERE ended IS NOT NULL ORDER BY kept DESC, record_id DESC LIMIT ?"
        much = f"{others} AND record_id NOT IN (SELECT record_id FROM records {newest})"  # noqa: S608 - ours
        old = self._deleted(f"{others} AND kept < ?", (spared, self._oldest()))
        return old + self._deleted(much, (spared, self._retention.records))

    def _oldest(self) -> int:
        """When the oldest record was written that is kept."""
        return self._passed() - _micros(self._retention.age)

    def _passed(self) -> int:
        """Microseconds that this history has seen pass, in all its runs."""
        return self._before + _micros(self._monotonic() - self._began)

    def _note_time(self, now: float) -> None:
        self._left = _micros(now)
        times = self._passed(), self._left
        self._db.execute("INSERT OR REPLACE INTO clock (id, passed, wall) VALUES (1, ?, ?)", times)

    def _deleted(self, condition: str, values: tuple[object, ...]) -> tuple[int, ...]:
        rows = self._db.execute(
            f"DELETE FROM records WHERE ended IS NOT NULL AND {condition} RETURNING record_id",  # noqa: S608 - ours
            values,
        )
        return tuple(record_id for (record_id,) in rows.fetchall())

    # ------------------------------------------------------------ the file

    def _prepare(self) -> None:
        # Exclusive: two daemons on one file would each close what the other has open.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # A missed call is acknowledged to the hub, which then forgets it: it must be on the disk.
        self._db.execute("PRAGMA synchronous=FULL")
        # What was deleted is gone, not only out of sight.
        self._db.execute("PRAGMA secure_delete=ON")
        check(self._db)
        migrate(self._db, _MIGRATIONS, self._path)
        # What is rotten within a text must be read to be seen.
        self._db.text_factory = lambda raw: raw.decode("utf-8", "replace")
        known = self._db.execute("SELECT passed, wall FROM clock WHERE id = 1").fetchone()
        self._before, self._left = known or (0, 0)


def _untouched(path: Path) -> sqlite3.Connection:
    """A file that is read as it is, without a journal."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


# --------------------------------------------------------------------------------- rows


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _row(record: Record) -> dict[str, object]:
    """A record as its columns; enumerations by name, so that a number may change."""
    times = {name: getattr(record, name) for name in ("invited", "answered", "ended")}
    return {
        **{name: getattr(record, name) for name in _COLUMNS},
        **{name: None if time is None else _micros(time) for name, time in times.items()},
        "outgoing": int(record.outgoing),
        "missed": int(record.missed),
        "type": record.type.name,
        "end_reason": record.end_reason.name if record.end_reason else None,
        "invitees": json.dumps([(user_id, state.name) for user_id, state in record.invitees]),
    }


def _read(row: Sequence[object]) -> Record:
    """Raises DamagedError."""
    try:
        return _record(row)
    except (KeyError, ValueError, TypeError):
        raise DamagedError(f"record {row[0]} cannot be read") from None


def _record(row: Sequence[object]) -> Record:
    record_id, *rest = row
    columns: dict[str, object] = dict(zip(_COLUMNS, rest, strict=True))
    for name in ("invited", "answered", "ended"):
        time = columns[name]
        columns[name] = time / 1e6 if isinstance(time, int) else None
    columns["outgoing"], columns["missed"] = bool(columns["outgoing"]), bool(columns["missed"])
    columns["type"] = CallType[str(columns["type"])]
    columns["end_reason"] = EndReason[str(columns["end_reason"])] if columns["end_reason"] else None
    columns["invitees"] = tuple(
        (user_id, MemberState[state]) for user_id, state in json.loads(str(columns["invitees"]))
    )
    return Record(record_id=record_id, **columns)  # type: ignore[arg-type] # checked by STRICT tables


def _condition(chosen: Filter) -> tuple[str, tuple[object, ...]]:
    """The filter as SQL with its values."""
    invited = "EXISTS (SELECT 1 FROM json_each(invitees) WHERE json_extract(value, '$[0]') = ?)"
    parts: list[tuple[str, tuple[object, ...]]] = [
        (f"(sponsor = ? OR {invited})", (chosen.user_id, chosen.user_id) if chosen.user_id else ()),
        ("owner_id = ?", (chosen.owner_id,) if chosen.owner_id else ()),
        ("outgoing = ?", (int(chosen.outgoing),) if chosen.outgoing is not None else ()),
        ("type = ?", (chosen.type.name,) if chosen.type is not None else ()),
        ("missed = ?", (int(chosen.missed),) if chosen.missed is not None else ()),
        ("invited >= ?", (_micros(chosen.since),) if chosen.since is not None else ()),
        ("invited < ?", (_micros(chosen.until),) if chosen.until is not None else ()),
    ]
    wanted = [("ended IS NOT NULL", ()), *(part for part in parts if part[1])]
    return " AND ".join(text for text, _ in wanted), tuple(value for _, values in wanted for value in values)


def _token(last: Record) -> str:
    """Where the next page begins: after that record."""
    return f"{_micros(last.invited)}.{last.record_id}"


def _position(token: str) -> tuple[str, tuple[object, ...]]:
    if not token:
        return "1", ()
    invited, _, record_id = token.partition(".")
    try:
        position = int(invited), int(record_id)
    except ValueError:
        position = 2**63, 0
    if max(map(abs, position)) >= 2**63:
        raise field_invalid("page_token", "it is none that a page came with")
    return "(invited, record_id) < (?, ?)", position
