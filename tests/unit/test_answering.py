"""An echo answers whatever comes, for as long as its daemon lives."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from mediaagentd.answering import answer_all
from mediaagentd.call.events import ErrorRaised
from mediaagentd.call.types import (
    Accept,
    CallChanged,
    CallType,
    EndReason,
    ErrorCode,
    HubCall,
    Member,
    MemberState,
)
from mediaagentd.calls import Calls
from mediaagentd.errors import Reason, Refused
from mediaagentd.events import EventLog, LogLimits

from tests.fakes.media_port import FakeMedia
from tests.fakes.records import FakeRecords
from tests.fakes.signalling import FakeSignalling

LIMITS = LogLimits(capacity=8, lag=4)


def ringing(number: int) -> HubCall:
    members = (Member("bob", MemberState.JOINED, "d", 1), Member("ann", MemberState.PENDING))
    return HubCall(f"c{number}", f"i{number}", 7, CallType.VIDEO, "bob", members, 1)


class House:
    """An agent that answers by itself; the hub keeps it waiting until the test says what it did."""

    def __init__(self) -> None:
        self.signalling = FakeSignalling()
        self.events = EventLog("run", asyncio.get_running_loop().time, LIMITS)
        self.calls = Calls(self.signalling, FakeMedia(), self.events, FakeRecords())
        self.signalling.report = self.calls.handle
        self.answering = asyncio.create_task(answer_all(self.calls, self.events))

    async def accepted(self) -> list[str]:
        """The invitations that the hub was told of, once everybody has done what there is to do."""
        for _ in range(20):
            await asyncio.sleep(0)
        return [each.invite_id for _, each in self.signalling.commands if isinstance(each, Accept)]


async def test_whoever_fell_behind_the_events_answers_the_next_call() -> None:
    """The others of a large group came in while the hub was waited for; no call was answered any more."""
    house = House()
    await house.calls.login("ann", "sig")
    house.calls.handle(CallChanged(ringing(1)))
    assert await house.accepted() == ["i1"]
    for _ in range(2 * LIMITS.lag):
        house.events.publish(ErrorRaised(ErrorCode.NO_CAMERA, "whatever happens"))
    over = replace(ringing(1), ended=True, end_reason=EndReason.CANCELLED, revision=2)
    house.calls.handle(CallChanged(over))
    house.signalling.failed(Refused(Reason.INVITE_UNKNOWN, "it is over"))
    await house.accepted()
    house.calls.handle(CallChanged(ringing(2)))
    assert await house.accepted() == ["i1", "i2"]
    house.answering.cancel()
    await asyncio.gather(house.answering, return_exceptions=True)
