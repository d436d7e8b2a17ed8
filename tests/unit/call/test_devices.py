"""One user's several devices, and answers and replies that come too late."""

from __future__ import annotations

import pytest
from mediaagentd.call import types as t
from mediaagentd.errors import Reason

from tests.unit.call.stage import (
    AUDIO,
    FULL,
    UNREACHABLE,
    S,
    Stage,
    asked,
    call,
    commands,
    failure,
    has,
    in_group,
    joined,
    pending,
)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (S.JOINED, t.EndReason.ANSWERED_ELSEWHERE),
        (S.REJECTED, t.EndReason.DECLINED_ELSEWHERE),
        (S.BUSY, t.EndReason.DECLINED_ELSEWHERE),
    ],
)
def test_what_another_device_took_names_that_device(state: t.MemberState, reason: t.EndReason) -> None:
    stage = Stage().ring()
    stage.push(joined("bob"), t.Member("ann", state, "kitchen", 2), revision=2)
    assert stage.end == (reason, "ann")
    assert stage.state.previous is not None
    assert stage.state.previous.other_device_id == "kitchen"
    assert stage.names() == ["CallChanged", "CallEnded"]
    assert not has(stage.effects, t.OpenPeer)


def test_what_this_device_took_names_no_other() -> None:
    stage = Stage().connect(AUDIO)
    stage.tell(t.Hangup(2))
    assert stage.state.previous is not None
    assert stage.state.previous.other_device_id == ""


def test_a_call_of_the_users_other_device_is_none_of_this_ones() -> None:
    stage = Stage()
    kitchen = t.Member("ann", S.JOINED, "kitchen", 2)
    for member_of_ours in (kitchen, t.Member("ann", S.LEFT, "kitchen", 2)):
        stage.push(joined("bob"), member_of_ours, revision=2)
        assert stage.effects == ()
        assert stage.events == ()
    stage.tell(t.CallsListed((call(joined("bob"), kitchen, revision=2),)))
    assert stage.effects == ()
    assert stage.tell(t.Hangup(1)) == (t.Done(1),)
    assert stage.refuses(t.InviteUsers(2, ("dan",))).reason is Reason.NO_CALL
    assert stage.refuses(t.Switch(3, AUDIO)).reason is Reason.SWITCH_NOT_ALLOWED


def test_a_call_of_ours_that_another_device_enters_in_our_place_is_its_own_from_then_on() -> None:
    """We were lost for longer than our lease; the kitchen has joined the call meanwhile."""
    stage = in_group(Stage())
    kitchen = t.Member("ann", S.JOINED, "kitchen", 7)
    stage.push(kitchen, joined("bob", 2), pending("cid"), revision=9, type_=AUDIO, is_group=True)
    assert stage.end == (t.EndReason.ANSWERED_ELSEWHERE, "ann")
    assert has(stage.effects, t.ClosePeer)


@pytest.mark.parametrize(
    "command",
    [t.Dial(3, ("bob", "cid"), AUDIO, None, "", "r1"), t.Join(3, "c1")],
    ids=["dial", "join"],
)
def test_a_late_reply_that_names_a_call_which_asks_us_in_again_rings(command: t.Command) -> None:
    """We had made that call and left it; the request is repeated while somebody in it asks us back."""
    stage = in_group(Stage())
    stage.tell(t.Hangup(2))
    stage.tell(command)
    back = call(asked("ann", "bob"), joined("bob", 2), revision=9, type_=AUDIO, is_group=True)
    stage.tell(t.HubDone(3, back))
    assert stage.names() == ["Invited", "CallChanged"]
    assert t.Done(3) in stage.effects
    assert stage.state.call is not None
    assert (stage.state.call.phase, stage.state.call.invite.invite_id) == (t.Phase.RINGING, "i2")


def test_an_accept_that_comes_second_fails_and_stops_ringing() -> None:
    stage = Stage().ring()
    stage.tell(t.Answer(1, "i1"))
    stage.push(joined("bob"), t.Member("ann", S.JOINED, "kitchen", 2), revision=2)
    assert failure(stage.effects, 1) is Reason.INVITE_UNKNOWN
    assert stage.end == (t.EndReason.ANSWERED_ELSEWHERE, "ann")


def test_an_answer_that_was_given_and_hung_up_is_over_whatever_the_hub_made_of_it() -> None:
    stage = Stage().ring(AUDIO)
    stage.tell(t.Answer(1, "i1"))
    stage.tell(t.Hangup(2))
    assert t.Hub(0, t.Leave("c1")) in stage.effects
    stage.push(joined("bob"), joined("ann", 2), revision=2, type_=AUDIO)
    assert stage.effects == ()


def test_a_join_that_was_given_up_after_such_an_answer_is_left_whichever_of_the_two_it_is() -> None:
    stage = Stage().ring(AUDIO)
    stage.tell(t.Answer(1, "i1"))
    stage.tell(t.Hangup(2))
    stage.tell(t.Join(3, "c1"))
    stage.push(joined("bob"), joined("ann", 2), joined("cid", 3), revision=2, type_=AUDIO, is_group=True)
    assert stage.effects == ()  # the reply may yet say that we are in
    stage.tell(t.Hangup(4))
    assert t.Hub(0, t.Leave("c1")) in stage.effects
    stage.push(joined("bob"), joined("ann", 2), revision=3, type_=AUDIO, is_group=True)
    assert stage.effects == ()  # told once
    stage.push(joined("bob"), joined("ann", 4), revision=4, type_=AUDIO, is_group=True)
    assert commands(stage) == [t.Leave("c1")]


def test_a_full_call_rings_on() -> None:
    stage = Stage().ring(AUDIO)
    stage.tell(t.Answer(1, "i1"))
    assert stage.tell(t.HubFailed(1, FULL)) == (t.Failed(1, FULL),)
    assert stage.phase() is t.Phase.RINGING
    stage.tell(t.Answer(2, "i1"))
    assert failure(stage.tell(t.HubFailed(2, UNREACHABLE)), 2) is Reason.HUB_UNREACHABLE
