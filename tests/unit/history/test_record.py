"""Which calls leave a record, whose it is, what is in it, and which were missed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.call import types as t
from mediaagentd.history.record import noteworthy, record_of
from mediaagentd.history.types import Record

from tests.unit.call.stage import AUDIO, VIDEO, S, Stage, call, joined, member, over, pending

OFFSET = 1_000_000.0


class Noted(Stage):
    """A stage that keeps what is noteworthy of every step, as the shell does."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, t.Call]] = []
        super().__init__()

    def tell(self, told: t.Input) -> tuple[t.Effect, ...]:
        old = self.state
        effects = super().tell(told)
        self.noted += noteworthy(old, self.state)
        return effects

    @property
    def last(self) -> Record:
        owner_id, noted = self.noted[-1]
        return record_of(owner_id, noted, OFFSET)


def test_a_call_is_noted_when_it_begins_is_answered_and_ends() -> None:
    stage = Noted()
    stage.now = 5.0
    stage.ring()
    assert (stage.last.ended, stage.last.answered, stage.last.missed) == (None, None, False)
    stage.now = 8.0
    stage.tell(t.Answer(1, "i1"))
    stage.tell(t.HubDone(1, call(joined("bob"), joined("ann", 2), revision=2)))
    stage.now = 9.0
    stage.tell(t.PeerUp("c1", "bob", 2))
    stage.now = 20.0
    stage.tell(t.Hangup(2))
    assert len(stage.noted) == 3
    assert stage.last == Record(
        owner_id="ann",
        call_id="c1",
        invite_id="i1",
        room_id=7,
        outgoing=False,
        type=VIDEO,
        sponsor="bob",
        invitees=(("ann", S.JOINED),),
        invited=OFFSET + 5.0,
        answered=OFFSET + 8.0,
        ended=OFFSET + 20.0,
        end_reason=t.EndReason.HANGUP,
        ended_by="ann",
    )
    assert stage.last.duration == 12.0


def test_a_clock_that_was_set_back_makes_no_negative_duration() -> None:
    record = Record("ann", "c", "i", 1, True, AUDIO, "ann", (), invited=10.0, answered=20.0, ended=5.0)
    assert record.duration == 0.0
    assert replace(record, answered=None).duration == 0.0


def test_a_logout_notes_the_call_for_who_was_logged_in() -> None:
    stage = Noted()
    stage.ring()
    stage.tell(t.SessionChanged(t.SessionPhase.LOGGED_OUT, ""))
    assert stage.last.owner_id == "ann"
    assert stage.last.end_reason is t.EndReason.LOGGED_OUT
    assert not stage.last.missed


def test_a_dial_that_is_over_at_once_is_noted_once() -> None:
    stage = Noted()
    stage.tell(t.Dial(1, ("bob",), AUDIO, 20.0, "", "r1"))
    busy = call(joined("ann"), member("bob", S.BUSY), type_=AUDIO)
    stage.tell(t.HubDone(1, over(busy, t.EndReason.BUSY, "bob")))
    assert [noted.phase for _, noted in stage.noted] == [t.Phase.ENDED]
    assert stage.last.outgoing
    assert stage.last.invitees == (("bob", S.BUSY),)


def test_a_call_that_was_joined_has_no_invitation_but_a_part() -> None:
    stage = Noted()
    stage.tell(t.Join(1, "c1"))
    stage.tell(t.HubDone(1, call(joined("bob"), joined("ann", 4), is_group=True, group_id="team")))
    assert (stage.last.invite_id, stage.last.part, stage.last.group_id) == ("", "4", "team")
    assert stage.last.answered is not None


def test_the_call_that_ended_comes_before_the_one_that_rings_anew() -> None:
    stage = Noted()
    stage.ring(AUDIO)
    asked = t.Member("ann", S.PENDING, invitation=t.Invitation("i2", "cid", 30.0))
    stage.push(joined("bob"), joined("cid", 2), asked, revision=9, type_=AUDIO, is_group=True)
    records = [record_of(*noted, OFFSET) for noted in stage.noted[-2:]]
    assert [(record.invite_id, record.ended is None) for record in records] == [("i1", False), ("i2", True)]


@pytest.mark.parametrize(
    ("reason", "missed"),
    [
        (t.EndReason.CANCELLED, True),
        (t.EndReason.NO_RESPONSE, True),
        (t.EndReason.DEVICE_LOST, True),
        (t.EndReason.REJECTED, False),
        (t.EndReason.BUSY, False),
        (t.EndReason.ANSWERED_ELSEWHERE, False),
        (t.EndReason.DECLINED_ELSEWHERE, False),
        (t.EndReason.LOGGED_OUT, False),
        (t.EndReason.KICKED_OUT, False),
    ],
)
def test_what_nobody_took_was_missed(reason: t.EndReason, missed: bool) -> None:
    hub = call(joined("bob"), pending("ann"))
    ended = t.Call(hub, t.Phase.ENDED, False, (), 0.0, None, 5.0, reason)
    assert record_of("ann", ended, 0.0).missed is missed
    outgoing = t.Call(hub, t.Phase.ENDED, True, (), 0.0, None, 5.0, reason)
    assert not record_of("bob", outgoing, 0.0).missed
    answered = t.Call(hub, t.Phase.ENDED, False, (), 0.0, 1.0, 5.0, reason)
    assert not record_of("ann", answered, 0.0).missed
