"""The ring of pushes: resuming, falling behind, being replaced, being kicked out."""

from __future__ import annotations

import asyncio

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.mailboxes import Mailboxes
from mediaagentd.hub.outbox import SIZE, WEIGHT, Kicked, Outbox, Parcel, Reader
from mediaagentd.hub.types import Call, CallType, PushCall, PushSignal, Session

ANN = Session("token", "ann", "kitchen", 0.0)
BASE = 1000
LONG = 10.0
SHORT = 0.001


def push(number: int, weight: int = 0) -> PushSignal:
    return PushSignal("token", "c", "bob", Parcel(number, weight))


def call(call_id: str, revision: int) -> PushCall:
    made = Call(call_id, f"i-{call_id}", 1, CallType.AUDIO, (), False, 0.0, None, "r", revision=revision)
    return PushCall("token", made)


def filled(count: int, weight: int = 0, *, restored: bool = False) -> Outbox:
    outbox = Outbox(ANN, BASE, restored=restored)
    for number in range(1, count + 1):
        outbox.push(push(number, weight))
    return outbox


async def read(reader: Reader) -> list[int]:
    """The sequence numbers of all that waits."""
    found = []
    while (got := await reader.next(SHORT)) is not None:
        found.append(got.sequence - BASE)
    return found


async def passed(seconds: float) -> None:
    """Timers up to then have fired."""
    assert await filled(0).open(0).next(seconds) is None


async def test_all_is_read_once_and_in_order() -> None:
    outbox = filled(3)
    reader = outbox.open(0)
    assert reader.resumed
    assert await read(reader) == [1, 2, 3]
    outbox.push(push(4))
    assert await read(reader) == [4]


async def test_what_was_pushed_while_nobody_read_is_told_as_it_is_last() -> None:
    """Signals are all told, and all that comes while the stream is there."""
    outbox = Outbox(ANN, BASE)
    for body in (call("a", 1), push(1), call("b", 1), call("a", 2), push(2), call("b", 2)):
        outbox.push(body)
    reader = outbox.open(BASE + 1)
    outbox.push(call("b", 3))
    assert await read(reader) == [2, 4, 5, 6, 7]
    outbox.push(call("b", 4))
    outbox.push(call("b", 5))
    assert await read(reader) == [8, 9]


async def test_it_wakes_who_waits() -> None:
    outbox = filled(0)
    reader = outbox.open(0)
    waits = asyncio.create_task(reader.next(LONG))
    asyncio.get_running_loop().call_soon(outbox.push, push(1))
    got = await waits
    assert got is not None
    assert got.body == push(1)


@pytest.mark.parametrize(
    ("cursor", "resumed", "expected"),
    [
        (0, True, [1, 2, 3]),
        (BASE, True, [1, 2, 3]),
        (BASE + 2, True, [3]),
        (BASE + 3, True, []),
        (BASE + 4, False, []),
        (BASE - 1, False, []),
        (2**64 - 1, False, []),
    ],
)
async def test_resuming(cursor: int, resumed: bool, expected: list[int]) -> None:
    reader = filled(3).open(cursor)
    assert reader.resumed is resumed
    assert await read(reader) == expected


async def test_after_a_restart_of_the_hub_nobody_knows_what_was_missed() -> None:
    for cursor in (0, BASE - 50):
        assert not filled(3, restored=True).open(cursor).resumed


async def test_the_oldest_go_and_a_cursor_before_them_does_not_resume() -> None:
    outbox = filled(SIZE + 2)
    assert not outbox.open(BASE + 1).resumed
    assert await read(outbox.open(BASE + 2)) == list(range(3, SIZE + 3))


async def test_the_ring_is_bounded_in_bytes_too() -> None:
    outbox = filled(9, WEIGHT // 4)
    assert not outbox.open(BASE + 4).resumed
    assert await read(outbox.open(BASE + 5)) == [6, 7, 8, 9]
    assert await read(filled(2, 2 * WEIGHT).open(BASE + 1)) == [2]


async def test_a_slow_reader_is_cut() -> None:
    outbox = filled(1)
    reader = outbox.open(0)
    await reader.next(LONG)
    for number in range(SIZE):
        outbox.push(push(number))
    assert (got := await reader.next(LONG)) is not None
    assert got.sequence == BASE + 2
    outbox.push(push(0))
    outbox.push(push(0))
    with pytest.raises(Refused) as refused:
        await reader.next(LONG)
    assert refused.value.reason is Reason.SUBSCRIBER_TOO_SLOW


async def test_nothing_is_kept_for_a_stream_that_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediaagentd.hub.outbox.STALL", SHORT)
    outbox = filled(0)
    reader = outbox.open(0)
    for number in range(SIZE + 1):
        outbox.push(push(number))
    await passed(2 * SHORT)
    outbox.push(push(0, weight=1000))
    assert reader.stalled
    assert not outbox._ring
    assert outbox._weight == 0
    with pytest.raises(Refused) as refused:
        await reader.next(LONG)
    assert refused.value.reason is Reason.SUBSCRIBER_TOO_SLOW
    again = outbox.open(BASE + 1)
    assert not again.resumed
    outbox.push(push(7))
    assert await read(again) == [SIZE + 3]


async def test_a_stalled_stream_that_is_kicked_is_told_when_it_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mediaagentd.hub.outbox.STALL", SHORT)
    outbox = filled(0)
    outbox.open(0)
    for number in range(SIZE + 1):
        outbox.push(push(number))
    await passed(2 * SHORT)
    outbox.end("hall")
    got = await outbox.open(0).next(LONG)
    assert got is not None
    assert got.body == Kicked("hall")


async def test_nothing_is_kept_for_a_session_that_is_over_and_whose_stream_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """gRPC keeps such a stream for as long as its connection lives: a megabyte for each login."""
    monkeypatch.setattr("mediaagentd.hub.outbox.STALL", SHORT)
    outbox = filled(0)
    outbox.open(0)
    for number in range(SIZE // 2):
        outbox.push(push(number, 1000))
    outbox.end("hall")
    await passed(2 * SHORT)
    assert [kept.body for kept in outbox._ring] == [Kicked("hall")]
    assert outbox._weight == 0
    got = await outbox.open(0).next(LONG)
    assert got is not None
    assert got.body == Kicked("hall")


async def test_a_stream_that_was_replaced_takes_nothing_from_the_newer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mediaagentd.hub.outbox.STALL", SHORT)
    outbox = filled(0)
    outbox.open(0)
    for number in range(SIZE + 1):
        outbox.push(push(number))
    newer = outbox.open(BASE + SIZE)
    await passed(2 * SHORT)
    assert await read(newer) == [SIZE + 1]


async def test_one_that_is_told_in_time_loses_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediaagentd.hub.outbox.STALL", SHORT)
    outbox = filled(0)
    reader = outbox.open(0)
    for number in range(SIZE + 1):
        outbox.push(push(number))
    with pytest.raises(Refused):
        await reader.next(LONG)
    reader.close()
    assert await outbox.open(BASE + SIZE).next(2 * SHORT) is not None


async def test_a_newer_stream_ends_the_older() -> None:
    outbox = filled(0)
    older = outbox.open(0)
    waits = asyncio.create_task(older.next(LONG))
    await asyncio.wait([waits], timeout=SHORT)
    newer = outbox.open(0)
    with pytest.raises(Refused) as refused:
        await waits
    assert refused.value.reason is Reason.STREAM_REPLACED
    older.close()
    outbox.push(push(1))
    assert await read(newer) == [1]
    newer.close()


async def test_a_session_that_ends() -> None:
    outbox = filled(1)
    reader = outbox.open(0)
    outbox.end()
    outbox.push(push(2))
    assert (got := await reader.next(LONG)) is not None
    assert got.body == push(1)
    with pytest.raises(Refused) as refused:
        await reader.next(LONG)
    assert refused.value.reason is Reason.SESSION_UNKNOWN


async def test_a_kick_is_heard_now_or_later() -> None:
    for cursor in (0, BASE + 1, BASE + 99):
        outbox = filled(1)
        outbox.end("hall")
        reader = outbox.open(cursor)
        got = await reader.next(LONG)
        while got is not None and got.body == push(1):
            got = await reader.next(LONG)
        assert got is not None
        assert got.body == Kicked("hall")
        with pytest.raises(Refused):
            await reader.next(LONG)


async def test_of_a_kicked_session_nothing_but_the_kick_is_kept() -> None:
    outbox = filled(9, weight=1000)
    outbox.end("hall")
    assert [kept.body for kept in outbox._ring] == [Kicked("hall")]
    assert outbox._weight == 0
    # Who reads still gets what came before it.
    read_from = filled(3, weight=1000)
    reader = read_from.open(0)
    read_from.end("hall")
    bodies: list[object] = []
    while not bodies or bodies[-1] != Kicked("hall"):
        got = await reader.next(LONG)
        assert got is not None
        bodies.append(got.body)
    assert len(bodies) == 4
    reader.close()
    assert [kept.body for kept in read_from._ring] == [Kicked("hall")]
    again = await read_from.open(BASE + 1).next(LONG)
    assert again is not None
    assert again.body == Kicked("hall")


async def test_a_hub_that_stops() -> None:
    outbox = filled(1)
    reader = outbox.open(0)
    outbox.cut(Refused(Reason.SHUTTING_DOWN, "bye"))
    with pytest.raises(Refused) as refused:
        await reader.next(LONG)
    assert refused.value.reason is Reason.SHUTTING_DOWN


# ------------------------------------------------------------------------------ all of them


def test_who_may_come_back_by_itself() -> None:
    boxes = Mailboxes()
    boxes.check_return("lost", "ann", "kitchen")
    boxes.add(Session("a", "ann", "kitchen", 0.0), BASE)
    boxes.check_return("lost", "ann", "kitchen")
    boxes.add(Session("b", "ann", "hall", 0.0), BASE)
    boxes.drop("a", "hall")
    for lost in ("a", "lost"):
        with pytest.raises(Refused) as refused:
            boxes.check_return(lost, "ann", "kitchen")
        assert refused.value.reason is Reason.KICKED_OUT
        assert refused.value.metadata == {"code": "6208", "device_id": "hall"}
    boxes.drop("b", "")
    boxes.drop("b", "")
    boxes.check_return("lost", "ann", "kitchen")
    with pytest.raises(Refused):
        boxes.check_return("a", "ann", "kitchen")
    assert boxes.find("a").ended
    assert boxes.get("a") is None
    with pytest.raises(Refused) as refused:
        boxes.find("b")
    assert refused.value.reason is Reason.SESSION_UNKNOWN


def test_who_was_kicked_by_a_login_of_its_own_may_come_back_unless_another_device_is_there() -> None:
    boxes = Mailboxes()
    boxes.add(Session("a", "ann", "kitchen", 0.0), BASE)
    boxes.add(Session("late", "ann", "kitchen", 0.0), BASE)
    boxes.drop("a", "kitchen")
    boxes.check_return("a", "ann", "kitchen")
    boxes.add(Session("b", "ann", "hall", 0.0), BASE)
    boxes.drop("late", "hall")
    with pytest.raises(Refused) as refused:
        boxes.check_return("a", "ann", "kitchen")
    assert refused.value.reason is Reason.KICKED_OUT


def test_where_devices_do_not_exclude_each_other_only_one_that_another_kicked_stays_away() -> None:
    boxes = Mailboxes(exclusive=False)
    boxes.add(Session("a", "ann", "kitchen", 0.0), BASE)
    boxes.add(Session("b", "ann", "hall", 0.0), BASE)
    boxes.check_return("lost", "ann", "garden")
    boxes.drop("a", "kitchen")
    boxes.check_return("a", "ann", "kitchen")
    with pytest.raises(Refused) as refused:
        boxes.check_return("a", "ann", "hall")
    assert refused.value.reason is Reason.KICKED_OUT
