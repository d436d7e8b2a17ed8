"""Commands and signals that must arrive, in order, and do not wait for ever. Time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from mediaagentd.call.signal import Candidate, Signal
from mediaagentd.call.types import Accept, HubDone, HubFailed, Leave, Reject, Report, SetAvailability
from mediaagentd.errors import Reason, Refused
from mediaagentd.signalling import commands, signals
from mediaagentd.signalling.backoff import Backoff
from mediaagentd.signalling.commands import Commands
from mediaagentd.signalling.rpc import Session
from mediaagentd.signalling.signals import Signals

from tests.fakes.hub_rpc import UNREACHABLE, FakeRpc

pytestmark = pytest.mark.looptime

LOST = Refused(Reason.SESSION_UNKNOWN, "who are you")
BUSY = Refused(Reason.INVITE_UNKNOWN, "no")


class Room:
    def __init__(self) -> None:
        self.rpc = FakeRpc()
        self.online = asyncio.Event()
        self.reports: list[Report] = []
        session = Session("ann", "sig", "token")
        self.commands = Commands(self.rpc, session, self.reports.append, self.online)
        self.signals = Signals(self.rpc, session, self.online)

    def asked(self) -> list[str]:
        return [name for name, _ in self.rpc.asked]


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    tasks = [asyncio.create_task(made.commands.run()), asyncio.create_task(made.signals.run())]
    yield made
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def after(seconds: float) -> None:
    await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=seconds)


async def test_an_outcome_is_reported_once(room: Room) -> None:
    room.rpc.script = [BUSY]
    room.commands.add(1, Accept("i"))
    room.commands.add(2, Accept("j"))
    assert room.reports == []
    await after(20)
    failed, done = room.reports
    assert failed == HubFailed(1, BUSY)
    assert isinstance(done, HubDone)
    assert done.op == 2
    assert done.call is not None
    assert done.call.call_id == "Accept"


async def test_a_call_that_the_hub_forgot_is_none(room: Room) -> None:
    room.commands.add(1, Leave("c"))
    await after(1)
    assert room.reports == [HubDone(1, None)]


async def test_who_waits_is_told_within_ten_seconds(room: Room) -> None:
    room.rpc.down = True
    room.commands.add(1, Accept("i"))
    await after(9.4)
    assert room.reports == []
    await after(0.2)
    (failed,) = room.reports
    assert isinstance(failed, HubFailed)
    assert failed.error.reason is Reason.HUB_UNREACHABLE
    room.rpc.down = False
    await after(30)
    assert room.asked() == []
    assert len(room.reports) == 1


@pytest.mark.parametrize("trouble", [UNREACHABLE, LOST, Refused(Reason.SHUTTING_DOWN, "bye")])
async def test_without_an_answer_it_is_asked_again(room: Room, trouble: Refused) -> None:
    room.rpc.script = [trouble] * 4
    room.commands.add(1, Accept("i"))
    room.commands.add(0, Leave("c"))
    await after(9)
    assert isinstance(room.reports[0], HubDone)
    assert room.asked() == ["Accept", "Hangup"]


async def test_what_nobody_waits_for_is_sent_until_it_is_answered_and_in_order(room: Room) -> None:
    room.rpc.down = True
    room.commands.add(0, Leave("c"))
    room.commands.add(0, Reject("i", True))
    await after(3600)
    room.rpc.down = False
    room.rpc.script = [BUSY]
    await after(10)
    assert room.asked() == ["Reject"]  # the first was refused, which is an answer
    assert room.reports == []


async def test_a_hub_whose_disk_does_not_keep_up_hears_later_what_nobody_waits_for(room: Room) -> None:
    """Else it counts a user in who has hung up, and so as busy, for as long as the session lasts."""
    full = Refused(Reason.LIMIT_EXCEEDED, "try again", {"limit": "backlog"})
    room.rpc.script = [full] * 100
    room.commands.add(0, Leave("c"))
    await after(3600)
    assert room.asked() == ["Hangup"]
    room.rpc.script = [full]
    room.commands.add(1, Accept("i"))
    await after(1)
    assert room.reports == [HubFailed(1, full)]


async def test_a_stream_that_is_back_ends_the_pause(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda self: 1000.0)
    room.rpc.down = True
    room.commands.add(0, Leave("c"))
    room.signals.add("c", "bob", Signal(2, Candidate("", "0")))
    await after(1)
    room.rpc.down = False
    room.online.set()
    await after(0.1)
    assert sorted(room.asked()) == ["Hangup", "Relay"]


async def test_of_availabilities_the_newest_wins(room: Room) -> None:
    room.rpc.down = True
    for on in (True, False, True):
        room.commands.add(0, SetAvailability("c", on, False))
    room.commands.add(0, SetAvailability("other", True, True))
    room.commands.add(7, SetAvailability("c", False, False))
    await after(1)
    room.rpc.down = False
    await after(5)
    told: list[Any] = [request for _, request in room.rpc.asked]
    assert [(it.call_id, it.is_audio_available) for it in told] == [
        ("c", True),
        ("other", True),
        ("c", False),
    ]


async def test_the_queue_is_bounded(room: Room) -> None:
    room.rpc.down = True
    for n in range(commands.MAX_WAITING + 3):
        room.commands.add(0, Leave(str(n)))
    room.commands.add(5, Accept("i"))
    await after(1)
    (failed,) = room.reports
    assert isinstance(failed, HubFailed)
    assert failed.error.reason is Reason.LIMIT_EXCEEDED
    room.rpc.down = False
    await after(10)
    told: list[Any] = [request for _, request in room.rpc.asked]
    assert [it.call_id for it in told] == ["0", *(str(n) for n in range(4, commands.MAX_WAITING + 3))]


async def test_the_end_of_the_session_is_told_to_who_waits(room: Room) -> None:
    room.rpc.down = True
    room.commands.add(1, Accept("i"))
    room.commands.add(0, Leave("c"))
    room.commands.add(2, Accept("j"))
    room.commands.drop(BUSY)
    assert room.reports == [HubFailed(1, BUSY), HubFailed(2, BUSY)]
    await after(30)
    assert len(room.reports) == 2


async def test_signals_are_given_up_after_a_while(room: Room) -> None:
    room.rpc.down = True
    room.signals.add("c", "bob", Signal(2, Candidate("", "0")))
    await after(signals.PATIENCE + 1)
    room.rpc.down = False
    room.signals.add("c", "bob", Signal(2, Candidate("", "1")))
    await after(1)
    told: list[Any] = [request for _, request in room.rpc.asked]
    assert [it.signal.candidate.mid for it in told] == ["1"]


async def test_signals_are_bounded(room: Room) -> None:
    room.rpc.down = True
    for n in range(signals.MAX_WAITING + 5):
        room.signals.add("c", "bob", Signal(n, Candidate("", "0")))
    room.rpc.down = False
    await after(1)
    told: list[Any] = [request for _, request in room.rpc.asked]
    assert [it.signal.attempt for it in told] == list(range(signals.MAX_WAITING))


def test_pauses_grow_to_their_cap_and_spread() -> None:
    backoff = Backoff(0.25, 7.0)
    pauses = [backoff.next() for _ in range(2000)]
    assert all(0 <= pause <= 7 for pause in pauses)
    assert pauses[0] <= 0.25
    assert 3 < sum(pauses[10:]) / len(pauses[10:]) < 4
    backoff.reset()
    assert backoff.next() <= 0.25
