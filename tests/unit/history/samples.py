"""Records for the tests of the history."""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.call.words import CallType, EndReason, MemberState
from mediaagentd.history.types import Record

CALL = Record(
    owner_id="ann",
    call_id="c1",
    invite_id="i1",
    room_id=7,
    outgoing=True,
    type=CallType.VIDEO,
    sponsor="ann",
    invitees=(("bob", MemberState.LEFT), ("cid", MemberState.REJECTED)),
    invited=1000.0,
    answered=1002.5,
    ended=1060.25,
    end_reason=EndReason.HANGUP,
    ended_by="bob",
    group_id="team",
)

MISSED = Record(
    owner_id="ann",
    call_id="c2",
    invite_id="i2",
    room_id=0,
    outgoing=False,
    type=CallType.AUDIO,
    sponsor="dan",
    invitees=(("ann", MemberState.NO_RESPONSE),),
    invited=2000.0,
    ended=2030.0,
    end_reason=EndReason.NO_RESPONSE,
    missed=True,
)


def numbered(number: int, **how: object) -> Record:
    """Call number so and so, one a second."""
    named = replace(CALL, call_id=f"c{number}", invite_id=f"i{number}", invited=1000.0 + number)
    return replace(named, **how)  # type: ignore[arg-type]


def going_on(record: Record) -> Record:
    """The same before it ended."""
    return replace(record, ended=None, end_reason=None, ended_by="", missed=False)
