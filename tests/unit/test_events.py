"""The event log as its subscribers see it: gapless, filtered, bounded, several at once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from mediaagentd.call.events import CallChanged, ErrorRaised, Event, UserEntered
from mediaagentd.call.types import Call, CallType, ErrorCode, HubCall, Member, MemberState, Phase
from mediaagentd.errors import Reason, Refused
from mediaagentd.events import (
    Beat,
    EventLog,
    Happened,
    LogLimits,
    Message,
    Resumed,
    SnapshotTaken,
    Subscription,
)
from mediaagentd.history.types import HistoryChanged, Record

EVERYTHING: frozenset[type[Event]] = frozenset()


def event(number: int) -> Event:
    return ErrorRaised(ErrorCode.NO_CAMERA, str(number))


def make(run_id: str = "run", **limits: float) -> EventLog:
    clock = iter(range(1, 1_000_000))
    return EventLog(run_id, lambda: float(next(clock)), LogLimits(**limits))  # type: ignore[arg-type]


async def take(subscription: Subscription[str], count: int) -> list[Message[str]]:
    async with asyncio.timeout(5):
        return [await anext(subscription) for _ in range(count)]


def told(messages: list[Message[str]]) -> list[str]:
    return [m.event.message for m in messages if isinstance(m, Happened) and isinstance(m.event, ErrorRaised)]


async def test_snapshot_first_then_what_follows() -> None:
    log = make()
    log.publish(event(1))
    reader = log.subscribe(EVERYTHING, "", lambda: "state")
    log.publish(event(2))
    first, second = await take(reader, 2)
    assert first == SnapshotTaken("run:1", "state")
    assert second == Happened("run:2", 2.0, event(2))


async def test_resumes_without_a_gap() -> None:
    log = make()
    for number in range(1, 6):
        log.publish(event(number))
    reader = log.subscribe(EVERYTHING, "run:2", lambda: "state")
    log.publish(event(6))
    messages = await take(reader, 5)
    assert messages[0] == Resumed("run:2")
    assert told(messages) == ["3", "4", "5", "6"]


async def test_the_newest_cursor_resumes_too() -> None:
    log = make()
    log.publish(event(1))
    reader = log.subscribe(EVERYTHING, log.cursor, lambda: "state")
    log.publish(event(2))
    assert told(await take(reader, 2)) == ["2"]


@pytest.mark.parametrize(
    "cursor", ["other:1", "run:99", "run:-1", "run:", "run:x", ":", "1", "run:²", "run:0"]
)
async def test_a_cursor_that_does_not_resume_gives_a_snapshot(cursor: str) -> None:
    log = make(capacity=4, lag=2)
    for number in range(1, 7):
        log.publish(event(number))
    (first,) = await take(log.subscribe(EVERYTHING, cursor, lambda: "state"), 1)
    assert first == SnapshotTaken("run:6", "state")


async def test_the_oldest_cursor_that_is_kept() -> None:
    log = make(capacity=4, lag=2)
    for number in range(1, 7):
        log.publish(event(number))
    assert told(await take(log.subscribe(EVERYTHING, "run:2", lambda: "state"), 5)) == ["3", "4", "5", "6"]


async def test_filter_hides_but_the_heartbeat_tells_the_cursor() -> None:
    log = make(heartbeat=0.01)
    reader = log.subscribe(frozenset({UserEntered}), "", lambda: "state")
    log.publish(event(1))
    assert (await take(reader, 2))[1] == Beat("run:1")


async def test_too_slow_is_told_and_can_resume_where_it_was() -> None:
    log = make(capacity=20, lag=5)
    reader = log.subscribe(EVERYTHING, "", lambda: "state")
    await take(reader, 1)
    log.publish(event(1))
    (seen,) = await take(reader, 1)
    for number in range(2, 9):
        log.publish(event(number))
    with pytest.raises(Refused) as refused:
        await anext(reader)
    assert refused.value.reason is Reason.SUBSCRIBER_TOO_SLOW
    assert log.subscribers == 0
    assert isinstance(seen, Happened)
    again = log.subscribe(EVERYTHING, seen.cursor, lambda: "state")
    assert told(await take(again, 8)) == [str(number) for number in range(2, 9)]


async def test_one_that_never_reads_is_cut_off_and_costs_nothing() -> None:
    log = make(capacity=20, lag=20)
    reader = log.subscribe(EVERYTHING, "", lambda: "state")
    await take(reader, 1)
    for number in range(1000):
        log.publish(event(number))
    with pytest.raises(Refused):
        await anext(reader)


async def test_several_at_once_each_come_and_go() -> None:
    log = make()
    readers = [log.subscribe(EVERYTHING, "", lambda: "state") for _ in range(3)]
    waiting = [asyncio.create_task(take(reader, 3)) for reader in readers]
    await asyncio.sleep(0)
    log.publish(event(1))
    late = log.subscribe(EVERYTHING, "", lambda: "late")
    log.publish(event(2))
    assert [told(messages) for messages in await asyncio.gather(*waiting)] == [["1", "2"]] * 3
    assert told(await take(late, 2)) == ["2"]
    for reader in [*readers, late]:
        reader.close()
        reader.close()
    assert log.subscribers == 0


async def test_closing_lets_them_read_to_the_end() -> None:
    log = make()
    reader = log.subscribe(EVERYTHING, "", lambda: "state")
    waiting = asyncio.create_task(take(reader, 3))
    await asyncio.sleep(0)
    log.publish(event(1))
    log.close()
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.reason is Reason.SHUTTING_DOWN


async def test_events_that_are_hidden_keep_no_heartbeat_away() -> None:
    log = make(heartbeat=0.2, capacity=64, lag=32)
    reader = log.subscribe(frozenset({UserEntered}), "", lambda: "state")
    await take(reader, 1)
    waiting = asyncio.create_task(take(reader, 2))
    async with asyncio.timeout(10):
        while not waiting.done():
            log.publish(event(1))
            await asyncio.sleep(0)
    first, second = await waiting
    assert isinstance(first, Beat)
    assert isinstance(second, Beat)
    passed = [int(beat.cursor.removeprefix("run:")) for beat in (first, second)]
    assert 0 < passed[0] < passed[1], "it moves past what is hidden"
    again = log.subscribe(EVERYTHING, second.cursor, lambda: "state")
    assert await take(again, 1) == [Resumed(second.cursor)]


def crowd(people: int, revision: int = 1) -> Call:
    """A call in which `people` ring, as the hub tells it anew."""
    members = tuple(Member(f"user-{number}", MemberState.PENDING) for number in range(people))
    hub = HubCall("c", "i", 1, CallType.AUDIO, "ann", members, revision)
    return Call(hub, Phase.DIALLING, True, (), 0.0)


async def begins(log: EventLog, cursor: str) -> type[Message[str]]:
    (first,) = await take(log.subscribe(EVERYTHING, cursor, lambda: "state"), 1)
    return type(first)


async def test_events_of_calls_with_many_people_are_forgotten_sooner() -> None:
    log = make(people=1000)
    for number in range(1, 51):
        log.publish(CallChanged(crowd(100, number)))
        log.publish(event(number))
    # Ten crowds: events 81, 83 ... 99, and whatever came after the eleventh.
    assert await begins(log, "run:79") is Resumed
    assert await begins(log, "run:78") is SnapshotTaken


async def test_events_that_share_their_people_are_all_kept() -> None:
    log = make(people=1000)
    call = crowd(600)
    for number in range(100):
        call = replace(call, answered=float(number))
        log.publish(UserEntered("bob", call))
        log.publish(CallChanged(call))
    assert await begins(log, "run:0") is Resumed


async def test_one_event_that_weighs_more_than_the_limit_is_kept() -> None:
    log = make(people=10)
    log.publish(event(1))
    log.publish(CallChanged(crowd(100)))
    assert await begins(log, "run:1") is Resumed
    assert await begins(log, "run:0") is SnapshotTaken


async def test_records_weigh_too() -> None:
    log = make(people=100)
    who = tuple((f"user-{number}", MemberState.NO_RESPONSE) for number in range(60))
    for number in range(1, 4):
        log.publish(HistoryChanged(Record("ann", "c", "i", number, True, CallType.AUDIO, "ann", who, 0.0)))
    assert await begins(log, "run:2") is Resumed
    assert await begins(log, "run:1") is SnapshotTaken


async def test_a_reader_whose_next_event_is_forgotten_for_its_weight_is_told_so() -> None:
    log = make(people=1000)
    reader = log.subscribe(EVERYTHING, "", lambda: "state")
    await take(reader, 1)
    for number in range(12):
        log.publish(CallChanged(crowd(100, number)))
    with pytest.raises(Refused) as refused:
        await anext(reader)
    assert refused.value.reason is Reason.SUBSCRIBER_TOO_SLOW
    assert log.subscribers == 0
