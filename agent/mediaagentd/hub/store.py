"""What of the hub must survive a crash: who exists, who is logged in, calls, groups, missed calls.

A store takes the effects of the core and keeps those that concern it. It blocks: the shell calls it from
one thread of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mediaagentd.hub.types import (
    Call,
    CallType,
    DropCall,
    DropDevice,
    DropGroup,
    DropMissed,
    DropSession,
    Effect,
    EndReason,
    Group,
    GroupMember,
    Invitation,
    Member,
    MemberState,
    Missed,
    PutCall,
    PutDevice,
    PutGroup,
    PutMissed,
    PutSession,
    PutUser,
    Session,
)
from mediaagentd.sqlite import StoreError, check, connect, is_broken, migrate, transaction

STORED = (
    PutUser, PutDevice, DropDevice, PutSession, DropSession, PutCall, DropCall, PutGroup, DropGroup,
    PutMissed, DropMissed,
)  # fmt: skip
"""The effects that a store keeps; it ignores all others."""


@dataclass(frozen=True, slots=True)
class Image:
    """All that a store holds. The leases of sessions are not stored: `expires` is 0."""

    users: tuple[str, ...]
    sessions: tuple[Session, ...]
    calls: tuple[Call, ...]
    groups: tuple[Group, ...] = ()
    missed: tuple[Missed, ...] = ()
    devices: tuple[tuple[str, str], ...] = ()


class Store(Protocol):
    """The port. Tokens in it are digests: the disk holds nothing that opens a session."""

    def apply(self, effects: Iterable[Effect]) -> None:
        """Keeps the effects, in their order, in one transaction that is on the disk on return: all or
        none of them. Applying the same effects again changes nothing.
        """

    def load(self) -> Image:
        """All that it holds, each kind in the order in which it came. Raises StoreError."""

    def close(self) -> None:
        """Releases the store; idempotent."""


# --------------------------------------------------------------------------------- SQLite

_MIGRATIONS = (
    """
    CREATE TABLE users (user_id TEXT PRIMARY KEY) STRICT;
    CREATE TABLE sessions (token TEXT PRIMARY KEY, user_id TEXT NOT NULL, device_id TEXT NOT NULL) STRICT;
    CREATE TABLE calls (call_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    """,
    """
    CREATE TABLE groups (group_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE missed (
        user_id TEXT NOT NULL, invite_id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (user_id, invite_id)
    ) STRICT;
    """,
    """
    CREATE TABLE devices (
        user_id TEXT NOT NULL, device_id TEXT NOT NULL, UNIQUE (user_id, device_id)
    ) STRICT;
    """,
)
"""Migration n brings a database of `user_version` n to n + 1. Only ever append."""


class SqliteStore:
    """A store in one file; `:memory:` holds it as long as it lives. Raises StoreError."""

    def __init__(self, path: Path | str) -> None:
        self._path = str(path)
        self._db = connect(self._path)
        try:
            self._prepare()
        except sqlite3.Error as error:
            self._db.close()
            if is_broken(error):
                raise self._damaged(str(error)) from None
            raise StoreError(f"{self._path}: {error}") from None

    def apply(self, effects: Iterable[Effect]) -> None:
        """As the port says; raises sqlite3.Error when the disk refuses, and nothing is kept then."""
        transaction(self._db, lambda: self._keep_all(effects))

    def load(self) -> Image:
        """As the port says."""
        try:
            return self._load()
        except sqlite3.Error as error:
            if is_broken(error):
                raise self._damaged(str(error)) from None
            if not hasattr(error, "sqlite_errorcode"):  # not SQLite's: what is read is no text
                raise self._damaged("a row cannot be read") from None
            raise StoreError(f"{self._path}: {error}") from None
        except (KeyError, ValueError, TypeError) as error:
            raise self._damaged(f"a row cannot be read: {type(error).__name__}") from None

    def close(self) -> None:
        """As the port says."""
        self._db.close()

    def _load(self) -> Image:
        users = self._db.execute("SELECT user_id FROM users ORDER BY rowid")
        sessions = self._db.execute("SELECT token, user_id, device_id FROM sessions ORDER BY rowid")
        calls = self._db.execute("SELECT body FROM calls ORDER BY rowid")
        groups = self._db.execute("SELECT body FROM groups ORDER BY rowid")
        missed = self._db.execute("SELECT body FROM missed ORDER BY rowid")
        devices = self._db.execute("SELECT user_id, device_id FROM devices ORDER BY rowid")
        return Image(
            users=tuple(user_id for (user_id,) in users),
            sessions=tuple(Session(token, user, device, 0.0) for token, user, device in sessions),
            calls=tuple(_read_call(body) for (body,) in calls),
            groups=tuple(_read_group(body) for (body,) in groups),
            missed=tuple(_read_missed(body) for (body,) in missed),
            devices=tuple((user_id, device_id) for user_id, device_id in devices),
        )

    def _damaged(self, why: str) -> StoreError:
        """Groups and who may be called are a person's work: only a person may decide to begin without."""
        return StoreError(
            f"{self._path}: the database is damaged ({why}). Put a backup in its"
            " place, save what can be read (`sqlite3 FILE .recover`), or move it away: the hub then begins"
            " without groups, missed calls and logins.",
            broken=True,
        )

    def _prepare(self) -> None:
        # Exclusive: two hubs on one file would each be an authority. The lock dies with its process.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        # An acknowledged invitation is on the disk, not in its cache.
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("PRAGMA temp_store=MEMORY")
        check(self._db)
        migrate(self._db, _MIGRATIONS, self._path)

    def _keep_all(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            statement = _statement(effect)
            if statement is not None:
                self._db.execute(*statement)


def _statement(effect: Effect) -> tuple[str, tuple[object, ...]] | None:
    """What keeps an effect; None for pushes and replies, which are the shell's."""
    match effect:
        case PutUser() | PutDevice() | DropDevice() | PutSession() | DropSession():
            return _of_user(effect)
        case PutCall(call):
            return _PUT_CALL, (call.call_id, _write_call(call))
        case DropCall(call_id):
            return "DELETE FROM calls WHERE call_id = ?", (call_id,)
        case PutGroup(group):
            return _PUT_GROUP, (group.group_id, _write_group(group))
        case DropGroup(group_id):
            return "DELETE FROM groups WHERE group_id = ?", (group_id,)
        case PutMissed(missed):
            return _PUT_MISSED, (missed.user_id, missed.invite_id, _write_missed(missed))
        case DropMissed(user_id, invite_ids):
            return _DROP_MISSED, (user_id, json.dumps(invite_ids))
        case _:
            return None


def _of_user(
    effect: PutUser | PutDevice | DropDevice | PutSession | DropSession,
) -> tuple[str, tuple[object, ...]]:
    match effect:
        case PutUser(user_id):
            return "INSERT INTO users VALUES (?) ON CONFLICT DO NOTHING", (user_id,)
        case PutDevice(user_id, device_id):
            # Its row is a new one: they are in the order in which they logged in last.
            return "INSERT OR REPLACE INTO devices VALUES (?, ?)", (user_id, device_id)
        case DropDevice(user_id, device_id):
            return "DELETE FROM devices WHERE user_id = ? AND device_id = ?", (user_id, device_id)
        case PutSession(session):
            return _PUT_SESSION, (session.token, session.user_id, session.device_id)
        case DropSession(token):
            return "DELETE FROM sessions WHERE token = ?", (token,)


_PUT_CALL = "INSERT INTO calls VALUES (?, ?) ON CONFLICT (call_id) DO UPDATE SET body = excluded.body"
_PUT_GROUP = "INSERT INTO groups VALUES (?, ?) ON CONFLICT (group_id) DO UPDATE SET body = excluded.body"
_PUT_MISSED = (
    "INSERT INTO missed VALUES (?, ?, ?) ON CONFLICT (user_id, invite_id) DO UPDATE SET body = excluded.body"
)
_DROP_MISSED = "DELETE FROM missed WHERE user_id = ? AND invite_id IN (SELECT value FROM json_each(?))"
_PUT_SESSION = (
    "INSERT INTO sessions VALUES (?, ?, ?) ON CONFLICT (token) DO UPDATE"
    " SET user_id = excluded.user_id, device_id = excluded.device_id"
)


# --------------------------------------------------------------------------------- as JSON
#
# Enumerations by name, so that a number may change; bytes in hexadecimal.


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__slots__}


def _json(body: object) -> str:
    return json.dumps(body, separators=(",", ":"))


def _write_call(call: Call) -> str:
    body = _fields(call)
    body["type"] = call.type.name
    body["end_reason"] = call.end_reason.name if call.end_reason else None
    body["user_data"] = call.user_data.hex()
    body["members"] = [_member_body(member) for member in call.members]
    return _json(body)


def _member_body(member: Member) -> dict[str, Any]:
    invitation = _fields(member.invitation) if member.invitation else None
    left = member.left.name if member.left else None
    return _fields(member) | {"state": member.state.name, "invitation": invitation, "left": left}


def _read_call(text: str) -> Call:
    body: dict[str, Any] = json.loads(text)
    body["type"] = CallType[body["type"]]
    body["end_reason"] = EndReason[body["end_reason"]] if body["end_reason"] else None
    body["user_data"] = bytes.fromhex(body.get("user_data", ""))
    body["requests"] = tuple(body.get("requests", ()))
    body["members"] = tuple(map(_read_member, body["members"]))
    return Call(**body)


def _read_member(body: dict[str, Any]) -> Member:
    invitation, left = body.get("invitation"), body.get("left")
    known = {
        "state": MemberState[body["state"]],
        "invitation": Invitation(**invitation) if invitation else None,
        "left": EndReason[left] if left else None,
    }
    return Member(**(body | known))


def _write_group(group: Group) -> str:
    return _json(_fields(group) | {"members": [_fields(member) for member in group.members]})


def _read_group(text: str) -> Group:
    body: dict[str, Any] = json.loads(text)
    body["members"] = tuple(GroupMember(**member) for member in body["members"])
    return Group(**body)


def _write_missed(missed: Missed) -> str:
    words = {
        "type": missed.type.name,
        "reason": missed.reason.name,
        "user_data": missed.user_data.hex(),
    }
    return _json(_fields(missed) | words)


def _read_missed(text: str) -> Missed:
    body: dict[str, Any] = json.loads(text)
    words = {
        "type": CallType[body["type"]],
        "reason": EndReason[body["reason"]],
        "user_data": bytes.fromhex(body["user_data"]),
        "waiting": tuple(body.get("waiting", ())),
    }
    return Missed(**(body | words))
