"""Pushes as bytes: made once for all who are told the same, and always what the message would be."""

from __future__ import annotations

from dataclasses import replace

from mediaagent.hub.v1 import hub_pb2
from mediaagentd.hub import wire
from mediaagentd.hub.letters import FRESH, HEARTBEAT, Letters
from mediaagentd.hub.outbox import Kicked, Push
from mediaagentd.hub.types import (
    Call,
    CallType,
    EndReason,
    Member,
    MemberState,
    Missed,
    PushCall,
    PushMissed,
)

CALL = Call(
    "c", "i", 7, CallType.VIDEO, tuple(Member(f"u{n}", MemberState.PENDING) for n in range(50)), True,
    created=100.0, deadline=130.0, request_id="r", revision=3,
)  # fmt: skip

MISSED = Missed("u1", "i", "c", "u2", CallType.AUDIO, False, "", 100.0, 100.0, EndReason.BUSY)


def read(letter: bytes) -> hub_pb2.SubscribeResponse:
    return hub_pb2.SubscribeResponse.FromString(letter)


def test_a_letter_is_the_message() -> None:
    letters = Letters()
    for sequence in (1, 2, 1_700_000_000_000_000):
        for body in (
            PushCall("t", CALL),
            PushCall("t", replace(CALL, revision=4, ended=True)),
            PushMissed("t", MISSED),
            Kicked("hall"),
        ):
            push = Push(sequence, body, 0)
            assert read(letters.write(push, 110.0)) == wire.push(push, 110.0)
    assert read(HEARTBEAT).HasField("heartbeat")


def test_what_many_are_told_is_written_once() -> None:
    letters = Letters()
    first = letters._call(CALL, 110.0)
    assert letters._call(CALL, 110.0 + FRESH / 2) is first
    assert letters._call(replace(CALL, revision=4), 110.0) != first


def test_the_time_that_is_left_is_counted_anew() -> None:
    letters = Letters()
    for now, left in ((110.0, 20.0), (115.0, 15.0), (109.0, 21.0)):
        letter = read(letters.write(Push(1, PushCall("t", CALL), 0), now))
        assert letter.call_changed.timeout.ToMilliseconds() == left * 1000


def test_what_is_kept_is_bounded() -> None:
    letters = Letters()
    for n in range(100):
        letters.write(Push(1, PushCall("t", replace(CALL, call_id=f"c{n}")), 0), 110.0)
    assert len(letters._kept) == 16
