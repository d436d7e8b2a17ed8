"""One suite for every engine behind the port `Store`, and what is particular to SQLite."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from mediaagentd.hub.store import Image, SqliteStore, Store
from mediaagentd.hub.types import (
    Call,
    CallType,
    DropCall,
    DropDevice,
    DropGroup,
    DropMissed,
    DropSession,
    EndReason,
    Group,
    GroupMember,
    Invitation,
    Member,
    MemberState,
    Missed,
    PushCall,
    PutCall,
    PutDevice,
    PutGroup,
    PutMissed,
    PutSession,
    PutUser,
    Reply,
    Session,
)
from mediaagentd.sqlite import StoreError

from tests.fakes.hub_store import MemoryStore

ANN = Session("digest-ann", "ann", "kitchen", 17.5)
BOB = Session("digest-bob", "bob", "hall", 18.5)
CALL = Call(
    call_id="c1", invite_id="i1", room_id=2**31, type=CallType.VIDEO,
    members=(Member("ann", MemberState.JOINED, "digest-ann", "kitchen", 1, True, True),
             Member("bob", MemberState.PENDING)),
    group=False, created=1000.25, deadline=1030.125, request_id="r", group_id="",
)  # fmt: skip
OVER = Call(
    call_id="c2", invite_id="i2", room_id=1, type=CallType.AUDIO,
    members=(Member("eve", MemberState.LEFT, left=EndReason.LOGGED_OUT),
             Member("zoe", MemberState.CANCELLED, invitation=Invitation("i3", "eve", 0.5, 1e9))),
    group=True, created=0.1, deadline=None, request_id="é", group_id="g", revision=7, joins=3, ended=True,
    end_reason=EndReason.DEVICE_LOST, ended_by="eve", requests=("eve/1", "ann/é"), user_data=b"\x00\xff",
)  # fmt: skip
FLAT = Group("flat", "Flat 2 é", (GroupMember("ann", 0.25), GroupMember("bob", 7.5)), 0.25, "r", 3)
HOUSE = Group("house", "house", (GroupMember("bob", 1.0),), 1.0, "r")
MISSED = tuple(
    Missed(user, invite, "c9", "ann", CallType.AUDIO, True, "flat", 1.5, 2.5, EndReason.NO_RESPONSE, b"\xfe")
    for user, invite in (("bob", "i9"), ("bob", "i8"), ("ann", "i9"))
)


def stored(session: Session) -> Session:
    return Session(session.token, session.user_id, session.device_id, 0.0)


@pytest.fixture(params=["memory", "sqlite in memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made: Store
    match request.param:
        case "memory":
            made = MemoryStore()
        case "sqlite":
            made = SqliteStore(tmp_path / "hub.sqlite")
        case _:
            made = SqliteStore(":memory:")
    yield made
    made.close()


def test_a_new_store_is_empty(store: Store) -> None:
    assert store.load() == Image((), (), ())


def test_what_was_put_is_there_in_its_order(store: Store) -> None:
    store.apply((PutUser("bob"), PutUser("ann"), PutSession(BOB)))
    store.apply((PutSession(ANN), PutCall(CALL), PutCall(OVER)))
    assert store.load() == Image(("bob", "ann"), (stored(BOB), stored(ANN)), (CALL, OVER))


def test_what_was_dropped_is_gone(store: Store) -> None:
    store.apply((PutUser("ann"), PutSession(ANN), PutSession(BOB), PutCall(CALL), PutCall(OVER)))
    store.apply(
        (DropSession("digest-ann", "other device"), DropCall("c1"), DropCall("none"), DropSession("none"))
    )
    assert store.load() == Image(("ann",), (stored(BOB),), (OVER,))


def test_groups_and_missed_calls_come_and_go(store: Store) -> None:
    larger = replace(FLAT, members=(*FLAT.members, GroupMember("cat", 9.0)), revision=4)
    store.apply((PutGroup(FLAT), PutGroup(HOUSE), *map(PutMissed, MISSED)))
    store.apply((PutGroup(larger), *map(PutMissed, MISSED)))
    image = store.load()
    assert image.groups == (larger, HOUSE)
    assert image.missed == MISSED
    store.apply(
        (DropGroup("flat"), DropGroup("none"), DropMissed("bob", ("i9", "none")), DropMissed("x", ()))
    )
    waits = replace(MISSED[1], waiting=("hall", "é"))
    store.apply((PutMissed(waits),))
    assert store.load().missed == (waits, MISSED[2])
    store.apply((PutMissed(MISSED[1]),))
    image = store.load()
    assert (image.groups, image.missed) == ((HOUSE,), MISSED[1:])


def test_devices_are_in_the_order_in_which_they_came_last(store: Store) -> None:
    store.apply(
        tuple(PutDevice(user, device) for user, device in (("bob", "hall"), ("ann", "x"), ("bob", "é")))
    )
    store.apply((PutDevice("bob", "hall"), DropDevice("ann", "x"), DropDevice("ann", "none")))
    assert store.load().devices == (("bob", "é"), ("bob", "hall"))


def test_the_newest_wins_within_one_transaction(store: Store) -> None:
    later = Call(**{**{name: getattr(CALL, name) for name in Call.__slots__}, "revision": 2})
    store.apply((PutCall(CALL), DropCall("c1"), PutCall(CALL), PutCall(later)))
    assert store.load().calls == (later,)


def test_applying_again_changes_nothing(store: Store) -> None:
    effects = (PutUser("ann"), PutSession(BOB), PutSession(ANN), DropSession("digest-bob"), PutCall(CALL))
    store.apply(effects)
    once = store.load()
    store.apply(effects)
    assert store.load() == once


def test_what_is_not_for_it_is_ignored(store: Store) -> None:
    store.apply((Reply(CALL), PushCall("digest-ann", CALL)))
    store.apply(())
    assert store.load() == Image((), (), ())


# ------------------------------------------------------------------------------ SQLite


def test_it_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    first = SqliteStore(path)
    first.apply((PutUser("ann"), PutSession(ANN), PutCall(CALL)))
    first.close()
    first.close()
    second = SqliteStore(path)
    assert second.load() == Image(("ann",), (stored(ANN),), (CALL,))
    second.close()


def test_a_database_of_the_first_schema_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    database = sqlite3.connect(path)
    database.executescript(
        "CREATE TABLE users (user_id TEXT PRIMARY KEY) STRICT;"
        "CREATE TABLE sessions ("
        "  token TEXT PRIMARY KEY, user_id TEXT NOT NULL, device_id TEXT NOT NULL) STRICT;"
        "CREATE TABLE calls (call_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;"
        "PRAGMA user_version=1;"
    )
    member = (
        '{"user_id":"%s","state":"%s","session":"","device_id":"","join_order":0,"audio":true,"video":false}'
    )
    members = ",".join((member % ("ann", "JOINED"), member % ("bob", "PENDING")))
    body = (
        '{"call_id":"c1","invite_id":"i1","room_id":7,"type":"VIDEO","members":['
        + members
        + '],"group":false,'
        '"created":1.5,"deadline":null,"request_id":"r","group_id":"","revision":1,"joins":1,"ended":false,'
        '"end_reason":null,"ended_by":""}'
    )
    database.execute("INSERT INTO calls VALUES ('c1', ?)", (body,))
    database.commit()
    database.close()
    store = SqliteStore(path)
    (call,) = store.load().calls
    assert [(m.user_id, m.state, m.invitation) for m in call.members] == [
        ("ann", MemberState.JOINED, None),
        ("bob", MemberState.PENDING, None),
    ]
    assert (call.requests, call.user_data, call.created) == ((), b"", 1.5)
    store.apply((PutGroup(FLAT),))
    assert store.load().groups == (FLAT,)
    store.close()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.sqlite")
    store.apply((PutUser("ann"),))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    store.close()


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file"):
        SqliteStore(tmp_path / "none" / "hub.sqlite")


def test_a_transaction_that_fails_leaves_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.sqlite")
    with pytest.raises(sqlite3.Error):
        store.apply((PutUser("ann"), PutUser(["no text"])))  # type: ignore[arg-type] # the point
    assert store.load() == Image((), (), ())
    store.apply((PutUser("ann"),))
    store.close()


def test_a_second_hub_on_one_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    first = SqliteStore(path)
    with pytest.raises(StoreError, match="locked"):
        SqliteStore(path)
    first.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(StoreError, match="newer"):
        SqliteStore(path)


@pytest.mark.parametrize("content", [b"no database, whatever its name says" * 100, None])
def test_what_is_no_database_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "hub.sqlite"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(StoreError, match="sqlite"):
        SqliteStore(path)


def test_a_damaged_database_is_told_with_what_to_do_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    store = SqliteStore(path)
    store.apply([PutUser(f"user{n:05}") for n in range(2000)])
    store.close()
    data = bytearray(path.read_bytes())
    data[-4096:-3996] = b"\xff" * 100
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"hub.sqlite: the database is damaged .* backup") as error:
        SqliteStore(path)
    assert error.value.broken
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "rotten",
    [
        "UPDATE calls SET body = substr(body, 9)",
        "UPDATE calls SET body = replace(body, 'VIDEO', 'VIDEP')",
        "UPDATE calls SET body = replace(body, 'room_id', 'roon_id')",
        "UPDATE users SET user_id = CAST(x'ff56' AS TEXT)",
    ],
)
def test_rows_that_make_no_sense_are_damage(tmp_path: Path, rotten: str) -> None:
    path = tmp_path / "hub.sqlite"
    store = SqliteStore(path)
    store.apply([PutUser("ann"), PutCall(CALL)])
    store.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(rotten)
        database.commit()
    store = SqliteStore(path)
    with pytest.raises(StoreError, match="a row cannot be read") as error:
        store.load()
    assert error.value.broken
    store.close()


def test_what_cannot_be_loaded_for_another_reason_is_told(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "hub.sqlite")
    store._db.execute("DROP TABLE calls")
    with pytest.raises(StoreError, match="no such table") as error:
        store.load()
    assert not error.value.broken
    store.close()


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    program = (
        "import sys\n"
        "from mediaagentd.hub.store import SqliteStore\n"
        "from mediaagentd.hub.types import PutUser\n"
        "store = SqliteStore(sys.argv[1])\n"
        "for n in range(10**6):\n"
        "    store.apply((PutUser(f'{n}a'), PutUser(f'{n}b')))\n"
        "    print(n, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if int(line) >= 50:
                child.kill()
                break
        acknowledged = max([50, *map(int, child.stdout.read().split("\n")[:-1])])
    store = SqliteStore(path)
    users = store.load().users
    store.close()
    assert len(users) % 2 == 0
    assert len(users) >= 2 * (acknowledged + 1)
