"""What every database of ours does: open, look for damage, migrations by `user_version`, transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

_Result = TypeVar("_Result")


class StoreError(Exception):
    """A database cannot be opened; the message names the file and why. `broken`: the file is none of ours."""

    def __init__(self, message: str, *, broken: bool = False) -> None:
        super().__init__(message)
        self.broken = broken


class DamagedError(sqlite3.DatabaseError):
    """What is read makes no sense."""


def is_broken(error: BaseException) -> bool:
    """Whether the file is damaged, or no database: asking again mends nothing."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of it says more precisely where
    return isinstance(error, DamagedError) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def check(db: sqlite3.Connection) -> None:
    """Reads all of it: opening alone looks at the first page. Raises sqlite3.Error, of which a damaged file's
    is `is_broken`.
    """
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DamagedError(" ".join(str(found).split()))


def connect(path: Path | str) -> sqlite3.Connection:
    """Of a file that only its owner may read, `:memory:` for none; used by one thread at a time. Raises:
    StoreError.
    """
    try:
        if str(path) != ":memory:":
            # Who called whom is nobody else's business; its journal gets the same mode.
            Path(path).touch(mode=0o600)
        return sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{path}: {error}") from None


def transaction(db: sqlite3.Connection, work: Callable[[], _Result]) -> _Result:
    """All of it or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result


def migrate(db: sqlite3.Connection, migrations: Sequence[str], path: str) -> None:
    """Brings an open database to the newest schema. Raises: StoreError for a newer one, sqlite3.Error."""
    (version,) = db.execute("PRAGMA user_version").fetchone()
    if version > len(migrations):
        db.close()
        raise StoreError(f"{path}: written by a newer version (schema {version})")

    def work() -> None:
        for number, script in enumerate(migrations[version:], start=version + 1):
            # Not executescript: it commits what is open.
            for statement in filter(str.strip, script.split(";")):
                db.execute(statement)
            db.execute(f"PRAGMA user_version={number}")

    transaction(db, work)
