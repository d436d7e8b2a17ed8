"""The history between the calls, the disk and the clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused
from mediaagentd.history import history as module
from mediaagentd.history.store import HistoryStore
from mediaagentd.history.types import HistoryChanged, MissedCall, Retention

from tests.fakes.records import EVERYTHING
from tests.unit.history.room import CANCELLED, RINGING, TALKED, Room
from tests.unit.history.samples import MISSED


async def test_a_call_becomes_a_record_and_an_event(make: Callable[..., Room]) -> None:
    room = make()
    await room.history.start()
    room.history.note("ann", RINGING)
    assert (await room.history.page(EVERYTHING, 9, "")).records == ()
    room.history.note("ann", TALKED)
    await room.until(lambda: bool(room.events))
    (event,) = room.events
    assert isinstance(event, HistoryChanged)
    assert event.record is not None
    # The machine's clock reads 10 when the wall's reads a million.
    assert (event.record.invited, event.record.duration) == (1_000_000.0 - 5.0, 3.0)
    assert await room.history.get(event.record.record_id) == event.record


async def test_a_missed_call_is_told_as_such_once(make: Callable[..., Room]) -> None:
    room = make()
    await room.history.start()
    room.history.note("ann", CANCELLED)
    away = replace(MISSED, invited=999_000.0)
    room.history.note_missed([away, replace(away, call_id="c1", invite_id="i1")])
    await room.until(lambda: len(room.events) >= 4)
    assert [type(event) for event in room.events] == [MissedCall, HistoryChanged] * 2
    assert sorted(room.acknowledged) == ["i1", "i2"]
    room.history.note_missed([away])
    await room.until(lambda: len(room.acknowledged) == 3)
    assert len(room.events) == 4


async def test_a_client_finds_the_call_whose_end_it_has_just_heard_of(make: Callable[..., Room]) -> None:
    room = make()
    await room.history.start()
    room.history.note("ann", TALKED)
    page = await room.history.page(EVERYTHING, 9, "")
    assert page.total == 1
    room.history.note("eve", CANCELLED)
    assert (await room.history.get(2)).owner_id == "eve"
    with pytest.raises(Refused) as refused:
        await room.history.get(99)
    assert refused.value.reason is Reason.RECORD_UNKNOWN


async def test_deleting_is_told(make: Callable[..., Room]) -> None:
    room = make()
    await room.history.start()
    for number in range(3):
        named = replace(TALKED, hub=replace(TALKED.hub, call_id=f"c{number}"))
        room.history.note("ann", named)
    assert (await room.history.page(EVERYTHING, 9, "")).total == 3
    del room.events[:]
    assert await room.history.delete([1, 77]) == 1
    assert await room.history.delete([1]) == 0
    assert await room.history.delete_all() == 2
    assert room.events == [HistoryChanged(deleted=(1,)), HistoryChanged(deleted=(2, 3))]


async def test_what_the_rule_drops_is_told(make: Callable[..., Room]) -> None:
    room = make(Retention(records=1))
    await room.history.start()
    for number in range(2):
        named = replace(TALKED, hub=replace(TALKED.hub, call_id=f"c{number}"), invited=float(number))
        room.history.note("ann", named)
        await room.history.page(EVERYTHING, 9, "")
    assert HistoryChanged(deleted=(1,)) in room.events


async def test_what_happened_before_the_end_is_written(make: Callable[..., Room]) -> None:
    room = make()
    await room.history.start()
    room.history.note("ann", TALKED)
    await room.history.close()
    await room.history.close()
    with pytest.raises(Refused) as refused:
        await room.history.page(EVERYTHING, 9, "")
    assert refused.value.reason is Reason.SHUTTING_DOWN
    again = make()
    await again.history.start()
    assert (await again.history.page(EVERYTHING, 9, "")).total == 1


async def test_a_call_that_a_killed_daemon_was_in_is_over_at_the_next_start(
    make: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TOUCH", 0.01)
    touched = asyncio.Event()
    loop = asyncio.get_running_loop()
    touch = HistoryStore.touch

    def noticed(store: HistoryStore, now: float) -> None:
        touch(store, now)
        loop.call_soon_threadsafe(touched.set)

    monkeypatch.setattr(HistoryStore, "touch", noticed)
    room = make()
    await room.history.start()
    room.history.note("ann", replace(RINGING, phase=t.Phase.ACTIVE, answered=6.0))
    await room.history.page(EVERYTHING, 9, "")
    room.wall += 50.0
    async with asyncio.timeout(10):
        touched.clear()
        await touched.wait()
    await room.history.close()
    again = make()
    await again.history.start()
    (record,) = (await again.history.page(EVERYTHING, 9, "")).records
    assert (record.end_reason, record.ended) == (t.EndReason.LOGGED_OUT, 1_000_050.0)
