"""Store first, then publish, in order, whatever the disk does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable
from dataclasses import replace

import pytest
import structlog
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import journal as module
from mediaagentd.hub.journal import Journal
from mediaagentd.hub.types import (
    Call,
    CallType,
    Effect,
    Member,
    MemberState,
    PushCall,
    PutCall,
    PutUser,
    Reply,
)
from mediaagentd.sqlite import DamagedError

from tests.fakes.hub_store import MemoryStore

CALL = Call("c", "i", 1, CallType.AUDIO, (Member("ann", MemberState.JOINED),), False, 0.0, None, "r")


class SlowStore(MemoryStore):
    """A disk that writes when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[Effect] = []
        self.may_write = threading.Event()
        self.may_write.set()
        self.asked = threading.Event()

    def apply(self, effects: Iterable[Effect]) -> None:
        self.asked.set()
        assert self.may_write.wait(10)
        self.written += effects
        super().apply(effects)


class Room:
    def __init__(self) -> None:
        self.store = SlowStore()
        self.published: list[Effect] = []
        self.journal = Journal(self.store, self.publish)

    def publish(self, effect: Effect) -> None:
        if isinstance(effect, PushCall) and effect.token == "bad":
            raise ValueError("a defect")
        if isinstance(effect, PutUser):
            assert effect.user_id in self.store.load().users
        self.published.append(effect)


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Room]:
    monkeypatch.setattr(module, "_RETRY", 0.001)
    made = Room()
    await made.journal.start()
    yield made
    await made.journal.close(5)


async def test_stored_before_published_before_answered(room: Room) -> None:
    push = PushCall("t", CALL)
    assert await room.journal.submit((PutUser("ann"), push, Reply(CALL))) is CALL
    assert room.published == [PutUser("ann"), push]


async def test_without_anything_to_store_it_is_done_at_once(room: Room) -> None:
    done = room.journal.submit((Reply(CALL),))
    assert done.done()
    assert await done is CALL


async def test_of_a_call_that_changed_again_only_the_last_is_written_and_all_is_told(room: Room) -> None:
    """A thousand answers to a group's call were a thousand times a thousand members to write."""
    room.store.may_write.clear()
    submitted = [room.journal.submit((PutUser("0"), Reply(None)))]
    assert await asyncio.to_thread(room.store.asked.wait, 10)  # the writer has taken it
    revisions = [replace(CALL, revision=n) for n in range(1, 5)]
    other = replace(CALL, call_id="other")
    submitted.append(room.journal.submit((PutCall(revisions[0]), PushCall("t", revisions[0]), Reply(None))))
    submitted.append(room.journal.submit((PutCall(other), Reply(None))))
    submitted += [
        room.journal.submit((PutCall(call), PushCall("t", call), Reply(None))) for call in revisions[1:]
    ]
    room.store.may_write.set()
    await asyncio.gather(*submitted)
    assert room.store.written == [PutUser("0"), PutCall(revisions[-1]), PutCall(other)]
    told = [effect.call for effect in room.published if isinstance(effect, PushCall)]
    assert told == revisions


async def test_what_waits_goes_into_one_transaction_and_nothing_overtakes(room: Room) -> None:
    room.store.may_write.clear()
    first = room.journal.submit((PutUser("0"), Reply(None)))
    while room.journal._waiting:  # until the writer has taken it
        await asyncio.wait([first], timeout=0.001)
    rest = [room.journal.submit((PutUser(str(n)), Reply(None))) for n in range(1, 50)]
    last = room.journal.submit((PushCall("t", CALL), Reply(CALL)))
    assert not last.done()
    room.store.may_write.set()
    await asyncio.gather(first, *rest, last)
    assert room.store.transactions == 2
    assert room.published == [*(PutUser(str(n)) for n in range(50)), PushCall("t", CALL)]


async def test_a_disk_that_refuses_is_asked_again(room: Room) -> None:
    room.store.failures = 9
    with structlog.testing.capture_logs() as logs:
        await room.journal.submit((PutUser("ann"), Reply(None)))
    assert [line["attempts"] for line in logs] == [1, 2, 4, 8]
    assert room.published == [PutUser("ann")]
    assert room.store.transactions == 1


async def test_a_damaged_database_is_no_progress(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    apply, errors = room.store.apply, iter([OSError("full"), DamagedError("malformed")])

    def rotten(effects: Iterable[Effect]) -> None:
        for error in errors:
            raise error
        apply(effects)

    monkeypatch.setattr(room.store, "apply", rotten)
    assert room.journal.makes_progress
    await room.journal.submit((PutUser("ann"), Reply(None)))
    assert not room.journal.makes_progress


async def test_a_caller_that_goes_away_changes_nothing(room: Room) -> None:
    done = room.journal.submit((PutUser("ann"), Reply(None)))
    done.cancel()
    await room.journal.submit((PutUser("bob"), Reply(None)))
    assert room.store.load().users == ("ann", "bob")


async def test_one_defect_does_not_stop_the_others(room: Room) -> None:
    await room.journal.submit((PutUser("ann"), PushCall("bad", CALL), PushCall("t", CALL), Reply(None)))
    assert room.published == [PutUser("ann"), PushCall("t", CALL)]
    await room.journal.submit((PutUser("bob"), Reply(None)))


async def test_too_much_is_refused_before_anything_changed(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 2)
    room.store.may_write.clear()
    waiting = [room.journal.submit((PutUser(str(n)), Reply(None))) for n in range(4)]
    with pytest.raises(Refused) as refused:
        room.journal.check_room()
    assert refused.value.reason is Reason.LIMIT_EXCEEDED
    room.store.may_write.set()
    await asyncio.gather(*waiting)
    room.journal.check_room()


async def test_closing_writes_what_waits() -> None:
    room = Room()
    await room.journal.start()
    done = room.journal.submit((PutUser("ann"), Reply(None)))
    await room.journal.close(5)
    assert done.done()
    assert room.store.load().users == ("ann",)


async def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY", 0.001)
    room = Room()
    await room.journal.start()
    room.store.failures = 10**9
    room.journal.submit((PutUser("ann"), Reply(None)))
    await room.journal.close(0.05)
    assert room.published == []


async def test_a_disk_that_never_answers_is_no_progress(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    assert room.journal.makes_progress
    monkeypatch.setattr(module, "STALLED", 0.0)
    room.store.may_write.clear()
    done = room.journal.submit((PutUser("ann"),))
    assert await asyncio.to_thread(room.store.asked.wait, 10)
    assert not room.journal.makes_progress
    room.store.may_write.set()
    await done
    assert room.journal.makes_progress
