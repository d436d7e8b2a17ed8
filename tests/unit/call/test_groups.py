"""Group calls: asking more in, joining by oneself, being asked in again, one user's several devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from mediaagentd.call import events, parts
from mediaagentd.call import types as t
from mediaagentd.errors import Reason

from tests.unit.call.stage import (
    AUDIO,
    FULL,
    S,
    Stage,
    asked,
    call,
    commands,
    failure,
    has,
    in_group,
    joined,
    member,
    over,
    pending,
)

# --------------------------------------------------------------------------- everyone comes and goes


def test_each_who_enters_and_leaves_is_told_and_the_last_one_ends_it() -> None:
    stage = in_group(Stage())
    stage.push(joined("ann"), joined("bob", 2), joined("cid", 3), revision=3, type_=AUDIO, is_group=True)
    assert t.OpenPeer("c1", "cid", 3, offers=False) in stage.effects
    stage.tell(t.PeerUp("c1", "cid", 3))
    assert stage.names() == ["UserEntered", "CallChanged"]
    gone = member("bob", S.LEFT)
    stage.push(joined("ann"), gone, joined("cid", 3), revision=4, type_=AUDIO, is_group=True)
    assert stage.names() == ["UserLeft", "CallChanged"]
    last = call(joined("ann"), gone, member("cid", S.LEFT), revision=5, type_=AUDIO, is_group=True)
    stage.tell(t.CallChanged(over(last, t.EndReason.HANGUP, "cid")))
    assert stage.names() == ["UserLeft", "CallChanged", "CallEnded"]
    assert stage.end == (t.EndReason.HANGUP, "cid")


def test_a_group_needs_no_names_but_a_call_without_one_does() -> None:
    stage = Stage()
    stage.tell(t.Dial(1, (), AUDIO, 20.0, "team", "r1", b"hi"))
    assert stage.effects == (t.Hub(1, t.Invite((), AUDIO, 20.0, "team", "r1", b"hi")),)
    assert Stage().refuses(t.Dial(1, (), AUDIO)).reason is Reason.INVITEES_INVALID
    assert Stage().refuses(t.Dial(1, ("ann",), AUDIO, None, "team")).reason is Reason.INVITEES_INVALID


def test_a_group_of_two_is_no_one_to_one_call() -> None:
    stage = Stage()
    stage.dial(AUDIO)
    stage.push(joined("ann"), joined("bob", 2), revision=2, type_=AUDIO, is_group=True)
    assert stage.refuses(t.Switch(2, t.CallType.VIDEO)).reason is Reason.SWITCH_NOT_ALLOWED


# --------------------------------------------------------------------------- asking more in


def test_more_are_asked_in_and_the_one_who_asked_hears_of_each() -> None:
    stage = Stage().connect(AUDIO)
    stage.tell(t.InviteUsers(2, ("dan", "eve", "fay"), 30.0, "r2"))
    assert commands(stage) == [t.InviteMore("c1", ("dan", "eve", "fay"), 30.0, "r2")]
    inside = (joined("bob"), joined("ann", 2))
    grown = (*inside, *(asked(user, "ann") for user in ("dan", "eve", "fay")))
    stage.tell(t.HubDone(2, call(*grown, revision=3, type_=AUDIO, is_group=True)))
    assert t.Done(2) in stage.effects
    assert stage.names() == ["CallChanged"]
    answers = (
        asked("dan", "ann", state=S.REJECTED),
        asked("eve", "ann", state=S.BUSY),
        asked("fay", "ann", state=S.NO_RESPONSE),
    )
    stage.push(*inside, *answers, revision=4, type_=AUDIO, is_group=True)
    assert stage.names() == ["Rejected", "LineBusy", "NotResponded", "CallChanged"]


def test_whoever_did_not_ask_hears_nothing_of_it() -> None:
    stage = Stage().connect(AUDIO)
    inside = (joined("bob"), joined("ann", 2))
    stage.push(*inside, asked("dan", "bob"), revision=3, type_=AUDIO, is_group=True)
    stage.push(*inside, asked("dan", "bob", state=S.REJECTED), revision=4, type_=AUDIO, is_group=True)
    assert stage.names() == ["CallChanged"]


def test_one_who_is_asked_again_and_declines_again_is_told_again() -> None:
    """Though the revision between the two was lost."""
    stage = Stage().connect(AUDIO)
    inside = (joined("bob"), joined("ann", 2))
    for revision, name in ((3, "i2"), (4, "i3")):
        dan = asked("dan", "ann", name, S.REJECTED)
        stage.push(*inside, dan, revision=revision, type_=AUDIO, is_group=True)
        assert "Rejected" in stage.names()


def test_asking_in_needs_a_call_users_and_the_hub() -> None:
    assert Stage().refuses(t.InviteUsers(1, ("dan",))).reason is Reason.NO_CALL
    assert Stage().ring().refuses(t.InviteUsers(1, ("dan",))).reason is Reason.NO_CALL
    stage = Stage().connect(AUDIO)
    for nobody in ((), ("ann",), ("dan", "dan")):
        assert stage.refuses(t.InviteUsers(2, nobody)).reason is Reason.INVITEES_INVALID
    stage.tell(t.SessionChanged(t.SessionPhase.RECONNECTING, "ann"))
    assert stage.refuses(t.InviteUsers(2, ("dan",))).reason is Reason.HUB_UNREACHABLE
    assert Stage(online=False).refuses(t.InviteUsers(1, ("dan",))).reason is Reason.NOT_LOGGED_IN


def test_an_invitation_that_the_hub_refuses_or_never_answers_fails_alone() -> None:
    stage = Stage().connect(AUDIO)
    for op in (2, 3, 4):
        stage.now = float(op)
        stage.tell(t.InviteUsers(op, ("dan",), None, f"r{op}"))
    assert failure(stage.tell(t.HubFailed(3, FULL)), 3) is Reason.CALL_FULL
    assert failure(stage.tick(), 2) is Reason.HUB_UNREACHABLE
    assert stage.now == 12.0
    assert failure(stage.tick(), 4) is Reason.HUB_UNREACHABLE
    assert stage.phase() is t.Phase.ACTIVE
    stage.tell(t.HubDone(4, None))
    assert stage.effects == ()


def test_a_call_that_ends_fails_what_was_asked_in() -> None:
    stage = Stage().connect(AUDIO)
    stage.tell(t.InviteUsers(2, ("dan",)))
    stage.tell(t.Hangup(3))
    assert failure(stage.effects, 2) is Reason.NO_CALL
    assert t.Done(3) in stage.effects


def test_a_reply_that_names_no_call_is_a_success_all_the_same() -> None:
    stage = Stage().connect(AUDIO)
    stage.tell(t.InviteUsers(2, ("dan",)))
    assert stage.tell(t.HubDone(2, None)) == (t.Done(2),)


# --------------------------------------------------------------------------- joining by oneself


def test_joining_a_running_call() -> None:
    stage = Stage()
    stage.tell(t.Join(1, group_id="team"))
    assert commands(stage) == [t.JoinCall("", "team")]
    inside = (joined("bob"), joined("cid", 2), joined("ann", 3))
    running = call(*inside, revision=9, is_group=True, group_id="team")
    stage.tell(t.HubDone(1, running))
    assert stage.phase() is t.Phase.CONNECTING
    assert {e.user_id for e in stage.effects if isinstance(e, t.OpenPeer) and e.offers} == {"bob", "cid"}
    assert has(stage.effects, t.ProbeCamera)
    assert t.Done(1) in stage.effects
    assert stage.names() == ["CallChanged"]
    stage.tell(t.PeerUp("c1", "cid", 3))
    assert "UserEntered" in stage.names()


def test_joining_twice_is_one_join_and_then_nothing() -> None:
    stage = Stage()
    stage.tell(t.Join(1, "c1"))
    assert stage.tell(t.Join(2, "c1")) == ()
    assert stage.refuses(t.Join(3, "c2")).reason is Reason.CALL_IN_PROGRESS
    stage.tell(t.HubDone(1, call(joined("bob"), joined("ann", 2), is_group=True)))
    assert {t.Done(1), t.Done(2)} <= set(stage.effects)
    assert stage.tell(t.Join(4, "c1")) == (t.Done(4),)
    assert stage.refuses(t.Join(5, "c2")).reason is Reason.CALL_IN_PROGRESS
    assert stage.refuses(t.Join(6, group_id="other")).reason is Reason.CALL_IN_PROGRESS


def test_joining_what_rings_answers_it() -> None:
    stage = Stage().ring()
    stage.tell(t.Join(1, "c1"))
    assert stage.effects == (t.Hub(1, t.Accept("i1")),)


def test_a_push_that_comes_before_the_reply_waits_for_it() -> None:
    stage = Stage()
    stage.tell(t.Join(1, "c1"))
    stage.push(joined("bob"), joined("ann", 2), revision=7, type_=AUDIO, is_group=True)
    assert stage.effects == ()
    stage.tell(t.HubDone(1, call(joined("bob"), joined("ann", 2), revision=6, type_=AUDIO, is_group=True)))
    assert stage.state.call is not None
    assert stage.state.call.hub.revision == 7
    assert stage.state.call.streamed


def test_a_join_that_is_refused_or_goes_wrong() -> None:
    stage = Stage()
    stage.tell(t.Join(1, "c1"))
    assert stage.tell(t.HubFailed(1, FULL)) == (t.Failed(1, FULL),)
    stage.tell(t.Join(2, "c1"))
    assert failure(stage.tell(t.HubDone(2, None)), 2) is Reason.INTERNAL
    stage.tell(t.SessionChanged(t.SessionPhase.RECONNECTING, "ann"))
    assert stage.refuses(t.Join(4, "c1")).reason is Reason.HUB_UNREACHABLE
    assert Stage(online=False).refuses(t.Join(1, "c1")).reason is Reason.NOT_LOGGED_IN


def test_a_join_that_was_given_up_is_left_when_it_shows() -> None:
    stage = Stage()
    stage.tell(t.Join(1, "c1"))
    stage.tell(t.Hangup(2))
    assert failure(stage.effects, 1) is Reason.NO_CALL
    stage.push(joined("bob"), joined("ann", 2), revision=7, is_group=True)
    assert commands(stage) == [t.Leave("c1")]
    stage.push(joined("bob"), joined("ann", 2), revision=8, is_group=True)
    assert stage.effects == ()


def test_who_rejected_can_join_and_who_left_can_join_again() -> None:
    stage = Stage().ring(AUDIO)
    stage.tell(t.Decline(1, "i1"))
    stage.push(joined("bob"), member("ann", S.REJECTED, "ann-1"), joined("cid", 2), revision=2, is_group=True)
    assert stage.end == (t.EndReason.REJECTED, "ann")
    for op, order in ((2, 3), (4, 4)):
        stage.tell(t.Join(op, "c1"))
        again = call(joined("bob"), joined("ann", order), joined("cid", 2), revision=10 * op, is_group=True)
        stage.tell(t.HubDone(op, again))
        assert stage.phase() is t.Phase.CONNECTING
        stage.tell(t.Hangup(op + 1))
        # News from before the hub has heard of it.
        stage.tell(t.CallChanged(replace(again, revision=10 * op + 1)))
        assert stage.effects == ()
    assert len(stage.state.over) == 1


def test_a_later_join_of_ours_that_nobody_waits_for_is_left() -> None:
    stage = Stage().connect(AUDIO)
    stage.tell(t.Hangup(2))
    stage.push(joined("bob"), joined("ann", 5), revision=9, type_=AUDIO, is_group=True)
    assert commands(stage) == [t.Leave("c1")]


# --------------------------------------------------------------------------- being asked in


def test_being_asked_into_a_running_call() -> None:
    stage = Stage()
    stage.push(joined("bob"), joined("cid", 2), asked("ann", "cid"), revision=5, type_=AUDIO, is_group=True)
    assert isinstance(stage.events[0], events.Invited)
    assert stage.events[0].call.invite == t.Invitation("i2", "cid", 30.0)
    assert stage.refuses(t.Answer(1, "i1")).reason is Reason.INVITE_UNKNOWN
    stage.tell(t.Answer(2, "i2"))
    assert stage.effects == (t.Hub(2, t.Accept("i2")),)


def test_an_invitation_into_a_running_call_runs_out_by_its_own_time() -> None:
    stage = Stage()
    stage.push(joined("bob"), joined("cid", 2), asked("ann", "cid"), revision=5, type_=AUDIO, is_group=True)
    stage.tick()
    assert stage.now == 30.0 + 5.0
    assert stage.names() == ["CallingTimedOut", "CallChanged", "CallEnded"]


def test_an_invitation_that_is_taken_back_names_who_made_it() -> None:
    stage = Stage()
    stage.push(joined("bob"), joined("cid", 2), asked("ann", "cid"), revision=5, type_=AUDIO, is_group=True)
    gone = asked("ann", "cid", state=S.CANCELLED)
    stage.push(joined("bob"), joined("cid", 2), gone, revision=6, type_=AUDIO, is_group=True)
    assert stage.events[0] == events.CallingCancelled("i2", "cid", stage.events[0].call)  # type: ignore[union-attr]


def test_asked_again_after_rejecting_it_rings_again() -> None:
    stage = Stage().ring(AUDIO)
    stage.tell(t.Decline(1, "i1"))
    stage.push(joined("bob"), member("ann", S.REJECTED, "ann-1"), revision=2, type_=AUDIO, is_group=True)
    stage.push(joined("bob"), asked("ann", "bob"), revision=3, type_=AUDIO, is_group=True)
    assert stage.phase() is t.Phase.RINGING
    assert stage.names() == ["Invited", "CallChanged"]


def test_asked_again_while_busy_is_declined_by_that_invitation() -> None:
    stage = Stage().connect(AUDIO)
    other = call(joined("dan"), asked("ann", "dan", "i9"), name="2", is_group=True)
    assert stage.tell(t.CallChanged(other)) == (t.Hub(0, t.Reject("i9", is_busy=True)),)


@pytest.mark.parametrize(
    ("begin", "reason"),
    [(Stage.ring, t.EndReason.NO_RESPONSE), (Stage.connect, t.EndReason.DEVICE_LOST)],
)
def test_asked_again_without_having_heard_how_the_first_time_ended(
    begin: Callable[[Stage, t.CallType], Stage], reason: t.EndReason
) -> None:
    stage = begin(Stage(), AUDIO)
    stage.push(joined("bob"), joined("cid", 3), asked("ann", "cid"), revision=9, type_=AUDIO, is_group=True)
    assert stage.state.previous is not None
    assert stage.state.previous.end_reason is reason
    assert stage.phase() is t.Phase.RINGING
    assert stage.names().count("CallEnded") == 1
    assert stage.names()[-2:] == ["Invited", "CallChanged"]


def test_after_a_return_what_was_left_is_left_and_what_rings_anew_rings() -> None:
    stage = Stage().connect(AUDIO)
    stage.tell(t.Hangup(2))
    still = call(joined("bob"), joined("ann", 2), joined("cid", 3), revision=9, type_=AUDIO, is_group=True)
    anew = call(joined("bob"), asked("ann", "cid"), joined("cid", 3), revision=9, type_=AUDIO, is_group=True)
    strange = call(joined("bob"), joined("cid", 3), revision=2, name="3")
    stage.tell(t.CallsListed((still, strange)))
    assert commands(stage) == [t.Leave("c1")]
    stage.tell(t.CallsListed((anew,)))
    assert stage.effects == ()
    assert stage.phase() is t.Phase.RINGING


def test_not_many_parts_are_remembered() -> None:
    stage = Stage()
    for number in range(2 * parts.MEMORY):
        stage.push(joined("bob"), pending("ann"), name=str(number), type_=AUDIO)
        stage.tell(t.Hangup(number))
    assert len(stage.state.over) == parts.MEMORY
