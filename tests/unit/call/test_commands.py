"""What a client may ask, when, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from mediaagentd.call import machine
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused

from tests.unit.call.stage import (
    AUDIO,
    UNREACHABLE,
    VIDEO,
    S,
    Stage,
    call,
    failure,
    has,
    joined,
    member,
    over,
    pending,
)

DIAL = t.Dial(2, ("bob",), VIDEO, 20.0, "", "r2")


def away(stage: Stage) -> Stage:
    stage.tell(t.SessionChanged(t.SessionPhase.RECONNECTING, "ann"))
    return stage


# ------------------------------------------------------------------------------ dialling


def test_dial_is_real_with_the_hubs_reply() -> None:
    ann = Stage()
    invite = t.Invite(("bob",), VIDEO, 20.0, "", "r1")
    assert ann.tell(t.Dial(1, ("bob",), VIDEO, 20.0, "", "r1")) == (t.Hub(1, invite),)
    assert ann.phase() is None
    effects = ann.tell(t.HubDone(1, call(joined("ann"), pending("bob"))))
    assert ann.phase() is t.Phase.DIALLING
    assert effects == (
        t.ProbeCamera(-1), t.Hub(0, t.SetAvailability("c1", True, False)), t.Done(1),
    )  # fmt: skip
    assert ann.names() == ["CallChanged"]


def test_a_dial_that_the_hub_refuses_leaves_nothing() -> None:
    ann = Stage()
    before = ann.state
    ann.tell(DIAL)
    effects = ann.tell(t.HubFailed(2, Refused(Reason.USER_UNKNOWN, "no such user")))
    assert failure(effects, 2) is Reason.USER_UNKNOWN
    assert ann.state == before
    assert ann.events == ()


def test_a_dial_that_the_hub_does_not_answer_fails() -> None:
    ann = Stage()
    ann.tell(DIAL)
    assert failure(ann.tick(), 2) is Reason.HUB_UNREACHABLE
    assert ann.now == 10.0
    assert machine.deadline(ann.state) is None


def test_a_dial_whose_reply_names_no_call_fails() -> None:
    ann = Stage()
    ann.tell(DIAL)
    assert failure(ann.tell(t.HubDone(2, None)), 2) is Reason.INTERNAL


def test_a_dial_to_a_busy_user_is_over_at_once() -> None:
    ann = Stage()
    ann.tell(DIAL)
    hub = over(call(joined("ann"), member("bob", S.BUSY)), t.EndReason.BUSY, "bob")
    assert ann.tell(t.HubDone(2, hub)) == (t.Done(2),)
    assert ann.names() == ["LineBusy", "CallChanged", "CallEnded"]
    assert ann.end == (t.EndReason.BUSY, "bob")


def test_a_call_without_the_caller_is_none() -> None:
    ann = Stage()
    ann.tell(DIAL)
    assert ann.tell(t.HubDone(2, call(joined("eve"), pending("bob")))) == (t.Done(2),)
    assert ann.phase() is None


def test_the_same_request_makes_no_second_call() -> None:
    ann = Stage()
    ann.tell(DIAL)
    assert ann.tell(t.Dial(3, ("bob",), VIDEO, 20.0, "", "r2")) == ()
    effects = ann.tell(t.HubDone(2, call(joined("ann"), pending("bob"))))
    assert effects[-2:] == (t.Done(2), t.Done(3))
    assert ann.tell(t.Dial(4, ("bob",), VIDEO, 20.0, "", "r2")) == (t.Done(4),)


def test_a_request_whose_call_is_over_here_is_done_without_a_second_end() -> None:
    ann = Stage().dial()
    ann.tell(t.Hangup(5))
    ann.tell(t.Dial(6, ("bob",), VIDEO, 20.0, "", "r1"))
    hub = over(call(joined("ann"), member("bob", S.CANCELLED), revision=2), t.EndReason.CANCELLED, "ann")
    assert ann.tell(t.HubDone(6, hub)) == (t.Done(6),)
    assert ann.events == ()


def test_a_request_that_had_failed_and_was_taken_back_makes_a_call_when_it_is_repeated() -> None:
    ann = Stage()
    ann.tell(DIAL)
    ann.tell(t.HubFailed(2, UNREACHABLE))
    ann.push(joined("ann"), pending("bob"))  # it had come true, and is left
    again = replace(DIAL, op=3)
    ann.tell(again)
    gone = over(call(member("ann", S.LEFT), member("bob", S.CANCELLED), revision=2), t.EndReason.CANCELLED)
    (asked,) = ann.tell(t.HubDone(3, gone))
    assert asked == t.Hub(3, t.Invite(("bob",), VIDEO, 20.0, "", "c1"))
    assert ann.events == ()
    assert ann.tell(replace(DIAL, op=4)) == ()
    effects = ann.tell(t.HubDone(3, call(joined("ann"), pending("bob"), name="2")))
    assert effects[-2:] == (t.Done(3), t.Done(4))
    assert ann.phase() is t.Phase.DIALLING
    assert ann.tell(replace(DIAL, op=5)) == (t.Done(5),)


def test_such_a_request_makes_a_call_also_when_somebody_had_asked_us_into_that_one() -> None:
    ann = Stage()
    ann.tell(DIAL)
    ann.tell(t.Hangup(3))
    ann.tell(t.HubDone(2, call(joined("ann"), pending("bob"), pending("cid"))))
    asked = t.Member("ann", S.PENDING, invitation=t.Invitation("i9", "bob"))
    ann.push(asked, joined("bob", 2), pending("cid"), revision=5)
    assert ann.phase() is t.Phase.RINGING
    gone = replace(asked, state=S.CANCELLED)
    end = over(call(gone, member("bob", S.LEFT), revision=6), t.EndReason.HANGUP, "bob")
    ann.tell(t.CallChanged(end))
    ann.tell(replace(DIAL, op=4))
    (again,) = ann.tell(t.HubDone(4, end))
    assert again == t.Hub(4, t.Invite(("bob",), VIDEO, 20.0, "", "c1"))


def test_what_comes_of_it_again_is_bounded_by_the_hubs_patience() -> None:
    ann = Stage()
    ann.tell(DIAL)
    ann.tell(t.HubFailed(2, UNREACHABLE))
    ann.push(joined("ann"), pending("bob"))
    ann.tell(replace(DIAL, op=3))
    for _ in range(3):
        ann.tell(t.HubDone(3, call(joined("ann"), pending("bob"))))
    assert failure(ann.tick(), 3) is Reason.HUB_UNREACHABLE
    assert ann.now == 10.0


def test_the_push_may_come_before_the_reply() -> None:
    ann = Stage()
    ann.tell(DIAL)
    assert ann.push(joined("ann"), pending("bob")) == ()
    ann.push(joined("ann"), joined("bob", 2), revision=2)
    ann.tell(t.HubDone(2, call(joined("ann"), pending("bob"))))
    assert ann.phase() is t.Phase.CONNECTING
    assert has(ann.effects, t.OpenPeer)


def test_even_the_last_push_may_come_before_the_reply() -> None:
    ann = Stage()
    ann.tell(DIAL)
    end = over(call(joined("ann"), member("bob", S.REJECTED), revision=2), t.EndReason.REJECTED, "bob")
    ann.tell(t.CallChanged(end))
    ann.tell(t.HubDone(2, call(joined("ann"), pending("bob"))))
    assert ann.names() == ["Rejected", "CallChanged", "CallEnded"]


def test_glare_the_other_call_rings_when_ours_is_refused() -> None:
    ann = Stage()
    ann.tell(DIAL)
    ann.push(joined("bob"), pending("ann"))
    ann.push(joined("bob", audio=True), pending("ann"), revision=2)
    assert ann.phase() is None
    effects = ann.tell(t.HubFailed(2, Refused(Reason.CALL_IN_PROGRESS, "it rings")))
    assert failure(effects, 2) is Reason.CALL_IN_PROGRESS
    assert ann.names() == ["Invited", "CallChanged"]
    assert ann.state.call is not None
    assert ann.state.call.hub.revision == 2


def test_an_old_reply_of_a_held_call_does_not_win() -> None:
    ann = Stage()
    ann.tell(DIAL)
    ann.push(joined("bob"), pending("ann"), revision=3)
    ann.tell(t.HubDone(77, call(joined("bob"), pending("ann"), revision=2)))
    ann.tell(t.HubFailed(2, UNREACHABLE))
    assert ann.state.call is not None
    assert ann.state.call.hub.revision == 3


def test_the_call_of_a_dial_that_failed_is_left() -> None:
    ann = Stage()
    ann.tell(DIAL)
    ann.tell(t.HubFailed(2, UNREACHABLE))
    assert ann.push(joined("ann"), pending("bob")) == (t.Hub(0, t.Leave("c1")),)
    assert ann.push(joined("ann"), pending("bob"), revision=2) == ()
    assert ann.events == ()


def test_hangup_while_a_dial_waits() -> None:
    ann = Stage()
    ann.tell(DIAL)
    effects = ann.tell(t.Hangup(3))
    assert failure(effects, 2) is Reason.NO_CALL
    assert effects[-1] == t.Done(3)
    assert ann.tell(t.HubDone(2, call(joined("ann"), pending("bob")))) == (t.Hub(0, t.Leave("c1")),)
    assert ann.tell(t.HubDone(2, None)) == ()


def test_hangup_while_a_dial_waits_does_not_reject_what_rings() -> None:
    ann = Stage()
    ann.tell(DIAL)
    ann.push(joined("bob"), pending("ann"))
    ann.tell(t.Hangup(3))
    assert ann.phase() is t.Phase.RINGING


# ------------------------------------------------------------------------------ answering


def test_accept() -> None:
    ann = Stage().ring()
    assert ann.tell(t.Answer(1, "i1", 7, VIDEO)) == (t.Hub(1, t.Accept("i1")),)
    assert ann.phase() is t.Phase.RINGING
    effects = ann.tell(t.HubDone(1, call(joined("bob"), joined("ann", 2), revision=2)))
    assert effects == (
        t.OpenPeer("c1", "bob", 2, True),
        t.ProbeCamera(-1),
        t.SetSending(True, False),
        t.Hub(0, t.SetAvailability("c1", True, False)),
        t.Done(1),
    )
    assert ann.phase() is t.Phase.CONNECTING


def test_accept_is_done_with_the_push_and_not_again_with_the_reply() -> None:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    assert ann.push(joined("bob"), joined("ann", 2), revision=2)[-1] == t.Done(1)
    assert ann.tell(t.HubDone(1, call(joined("bob"), joined("ann", 2), revision=2))) == ()


def test_accept_twice_shares_the_outcome() -> None:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    assert ann.tell(t.Answer(2, "i1")) == ()
    effects = ann.push(joined("bob"), joined("ann", 2), revision=2)
    assert effects[-2:] == (t.Done(1), t.Done(2))
    assert ann.tell(t.Answer(3, "i1")) == (t.Done(3),)


def test_accept_against_cancel() -> None:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    end = call(member("bob", S.LEFT), member("ann", S.CANCELLED), revision=2)
    effects = ann.tell(t.CallChanged(over(end, t.EndReason.CANCELLED, "bob")))
    assert failure(effects, 1) is Reason.INVITE_UNKNOWN
    assert ann.names() == ["CallingCancelled", "CallChanged", "CallEnded"]


def test_accept_of_what_the_hub_has_forgotten() -> None:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    assert failure(ann.tell(t.HubDone(1, None)), 1) is Reason.INVITE_UNKNOWN
    assert ann.phase() is t.Phase.RINGING


def test_accept_that_failed_and_came_true_is_followed() -> None:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    ann.tell(t.HubFailed(1, UNREACHABLE))
    assert ann.phase() is t.Phase.RINGING
    ann.push(joined("bob"), joined("ann", 2), revision=2)
    assert ann.phase() is t.Phase.CONNECTING


@pytest.mark.parametrize(
    ("is_busy", "state", "reason"),
    [(False, S.REJECTED, t.EndReason.REJECTED), (True, S.BUSY, t.EndReason.BUSY)],
)
def test_decline(is_busy: bool, state: t.MemberState, reason: t.EndReason) -> None:
    ann = Stage().ring()
    assert ann.tell(t.Decline(1, "i1", is_busy)) == (t.Hub(1, t.Reject("i1", is_busy)),)
    hub = over(call(joined("bob"), member("ann", state, "ann-1"), revision=2), reason, "ann")
    assert ann.tell(t.HubDone(1, hub)) == (t.Done(1),)
    assert ann.end == (reason, "ann")
    assert ann.names() == ["CallChanged", "CallEnded"]


@pytest.mark.parametrize(("is_busy", "reason"), [(False, t.EndReason.REJECTED), (True, t.EndReason.BUSY)])
def test_decline_of_what_the_hub_has_forgotten(is_busy: bool, reason: t.EndReason) -> None:
    ann = Stage().ring()
    ann.tell(t.Decline(1, "i1", is_busy))
    assert ann.tell(t.HubDone(1, None)) == (t.Done(1),)
    assert ann.end == (reason, "ann")


# ------------------------------------------------------------------------------ hanging up


def test_hangup_needs_no_hub_and_is_idempotent() -> None:
    ann = away(Stage().connect())
    effects = ann.tell(t.Hangup(9))
    assert effects[:2] == (t.Hub(0, t.Leave("c1")), t.ClosePeer("c1", "bob", 2))
    assert effects[-1] == t.Done(9)
    assert has(effects, t.ReleaseCamera)
    assert ann.names() == ["UserLeft", "CallChanged", "CallEnded"]
    assert ann.end == (t.EndReason.HANGUP, "ann")
    assert ann.tell(t.Hangup(10)) == (t.Done(10),)


def test_hangup_while_dialling_cancels() -> None:
    ann = Stage().dial()
    ann.tell(t.Hangup(2))
    assert ann.end == (t.EndReason.CANCELLED, "ann")


def test_hangup_of_what_rings_rejects() -> None:
    ann = Stage().ring()
    assert ann.tell(t.Hangup(2)) == (t.Hub(0, t.Leave("c1")), t.Done(2))
    assert ann.end == (t.EndReason.REJECTED, "ann")


def test_hangup_overtakes_an_accept_and_completes_a_decline() -> None:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    effects = ann.tell(t.Hangup(2))
    assert failure(effects, 1) is Reason.NO_CALL
    ann = Stage().ring()
    ann.tell(t.Decline(1, "i1"))
    assert ann.tell(t.Hangup(2)) == (t.Hub(0, t.Leave("c1")), t.Done(1), t.Done(2))


def test_hangup_overtakes_a_switch() -> None:
    ann = Stage().connect()
    ann.tell(t.Switch(1, AUDIO))
    effects = ann.tell(t.Hangup(2))
    assert has(effects, t.Raise)
    assert failure(effects, 1) is Reason.NO_CALL


def test_logging_out_ends_the_call_but_leaves_what_rings_to_the_next_login() -> None:
    ann = Stage().connect()
    effects = ann.tell(t.Hangup(5, t.EndReason.LOGGED_OUT))
    assert t.Hub(0, t.Leave("c1", t.EndReason.LOGGED_OUT)) in effects
    assert ann.end == (t.EndReason.LOGGED_OUT, "ann")
    ann = Stage().ring()
    assert ann.tell(t.Hangup(5, t.EndReason.LOGGED_OUT)) == (t.Done(5),)
    ann.tell(t.SessionChanged(t.SessionPhase.LOGGED_OUT, "ann"))
    assert ann.tell(t.Hangup(6, t.EndReason.LOGGED_OUT)) == (t.Done(6),)
    ann.tell(t.SessionChanged(t.SessionPhase.ONLINE, "ann"))
    ann.tell(t.CallsListed((call(joined("bob"), pending("ann")),)))
    assert ann.names() == ["Invited", "CallChanged"]
    ann.tell(t.Hangup(7))
    assert ann.names()[-1] == "CallEnded"


# ------------------------------------------------------------------------------ switching


def test_switch_to_audio_and_back() -> None:
    ann = Stage().connect().open_camera()
    assert ann.tell(t.Switch(1, AUDIO)) == (t.Hub(1, t.SwitchCallType("c1", AUDIO)),)
    assert ann.tell(t.Switch(2, AUDIO)) == ()
    effects = ann.push(joined("bob"), joined("ann", 2), revision=3, type_=AUDIO)
    assert effects == (
        t.ReleaseCamera(),
        t.SetSending(True, False),
        t.Hub(0, t.SetAvailability("c1", True, False)),
        t.Done(1),
        t.Done(2),
    )
    ann.tell(t.Switch(3, VIDEO))
    effects = ann.tell(t.HubDone(3, call(joined("bob"), joined("ann", 2), revision=4)))
    assert effects == (t.ProbeCamera(-2), t.Done(3))


def test_switch_to_what_it_is_does_nothing() -> None:
    ann = Stage().connect()
    assert ann.tell(t.Switch(1, VIDEO)) == (t.Done(1),)


def test_a_switch_that_fails_is_an_error_event_too() -> None:
    ann = Stage().connect(AUDIO)
    ann.tell(t.Switch(1, VIDEO))
    effects = ann.tell(t.HubFailed(1, Refused(Reason.SWITCH_NOT_ALLOWED, "no")))
    assert effects[0] == t.Raise(t.ErrorCode.SWITCH_TO_VIDEO_FAILED, "no")
    assert failure(effects, 1) is Reason.SWITCH_NOT_ALLOWED


def test_a_call_that_ends_under_a_switch() -> None:
    ann = Stage().connect()
    ann.tell(t.Switch(1, AUDIO))
    end = over(call(member("bob", S.LEFT), joined("ann", 2), revision=3), t.EndReason.HANGUP, "bob")
    effects = ann.tell(t.CallChanged(end))
    assert t.Raise(t.ErrorCode.SWITCH_TO_AUDIO_FAILED, "the call ended before it was switched") in effects
    assert failure(effects, 1) is Reason.SWITCH_NOT_ALLOWED


def test_a_switch_that_the_other_undid_at_once_is_done() -> None:
    ann = Stage().connect()
    ann.tell(t.Switch(1, AUDIO))
    ann.push(joined("bob"), joined("ann", 2), revision=4)
    assert ann.tell(t.HubDone(1, call(joined("bob"), joined("ann", 2), revision=3, type_=AUDIO))) == (
        t.Done(1),
    )


# ------------------------------------------------------------------------------ refusals


def nobody() -> Stage:
    return Stage(online=False)


def answering() -> Stage:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    return ann


def switching() -> Stage:
    ann = Stage().connect()
    ann.tell(t.Switch(1, AUDIO))
    return ann


def dialling_pending() -> Stage:
    ann = Stage()
    ann.tell(DIAL)
    return ann


def group() -> Stage:
    ann = Stage().dial(users=("bob", "cat"))
    ann.push(joined("ann"), joined("bob", 2), pending("cat"), revision=2)
    return ann


def group_of_two() -> Stage:
    ann = Stage()
    ann.tell(DIAL)
    ann.tell(t.HubDone(2, call(joined("ann"), joined("bob", 2), group_id="g")))
    return ann


OTHER = t.Dial(9, ("cat",), VIDEO, None, "", "r9")
REFUSALS: dict[str, tuple[Callable[[], Stage], t.Input, Reason]] = {
    "dial logged out": (nobody, OTHER, Reason.NOT_LOGGED_IN),
    "answer logged out": (nobody, t.Answer(9, "i1"), Reason.NOT_LOGGED_IN),
    "decline logged out": (nobody, t.Decline(9, "i1"), Reason.NOT_LOGGED_IN),
    "hangup logged out": (nobody, t.Hangup(9), Reason.NOT_LOGGED_IN),
    "switch logged out": (nobody, t.Switch(9, AUDIO), Reason.NOT_LOGGED_IN),
    "dial oneself": (Stage, t.Dial(9, ("ann",), VIDEO), Reason.INVITEES_INVALID),
    "dial nobody": (Stage, t.Dial(9, (), VIDEO), Reason.INVITEES_INVALID),
    "dial one twice": (Stage, t.Dial(9, ("bob", "bob"), VIDEO), Reason.INVITEES_INVALID),
    "dial while dialling": (lambda: Stage().dial(), OTHER, Reason.CALL_IN_PROGRESS),
    "dial without request while dialling": (
        lambda: Stage().dial(), t.Dial(9, ("bob",), VIDEO, 20.0), Reason.CALL_IN_PROGRESS),
    "dial while a dial waits": (dialling_pending, OTHER, Reason.CALL_IN_PROGRESS),
    "dial while it rings": (lambda: Stage().ring(), OTHER, Reason.CALL_IN_PROGRESS),
    "dial in a call": (lambda: Stage().connect(), OTHER, Reason.CALL_IN_PROGRESS),
    "dial without hub": (lambda: away(Stage()), OTHER, Reason.HUB_UNREACHABLE),
    "answer nothing": (Stage, t.Answer(9, "i1"), Reason.INVITE_UNKNOWN),
    "answer another": (lambda: Stage().ring(), t.Answer(9, "i2"), Reason.INVITE_UNKNOWN),
    "answer one's own": (lambda: Stage().dial(), t.Answer(9, "i1"), Reason.INVITE_UNKNOWN),
    "answer in another room": (lambda: Stage().ring(), t.Answer(9, "i1", 8), Reason.ROOM_MISMATCH),
    "answer as audio": (lambda: Stage().ring(), t.Answer(9, "i1", 7, AUDIO), Reason.CALL_TYPE_MISMATCH),
    "answer without hub": (lambda: away(Stage().ring()), t.Answer(9, "i1"), Reason.HUB_UNREACHABLE),
    "decline nothing": (Stage, t.Decline(9, "i1"), Reason.INVITE_UNKNOWN),
    "decline what is accepted": (lambda: Stage().connect(), t.Decline(9, "i1"), Reason.INVITE_UNKNOWN),
    "decline as audio": (lambda: Stage().ring(), t.Decline(9, "i1", False, AUDIO), Reason.CALL_TYPE_MISMATCH),
    "decline while answering": (answering, t.Decline(9, "i1"), Reason.CALL_IN_PROGRESS),
    "switch nothing": (Stage, t.Switch(9, AUDIO), Reason.SWITCH_NOT_ALLOWED),
    "switch while dialling": (lambda: Stage().dial(), t.Switch(9, AUDIO), Reason.SWITCH_NOT_ALLOWED),
    "switch while it rings": (lambda: Stage().ring(), t.Switch(9, AUDIO), Reason.SWITCH_NOT_ALLOWED),
    "switch a group": (group, t.Switch(9, AUDIO), Reason.SWITCH_NOT_ALLOWED),
    "switch a group of two": (group_of_two, t.Switch(9, AUDIO), Reason.SWITCH_NOT_ALLOWED),
    "switch while switching": (switching, t.Switch(9, VIDEO), Reason.SWITCH_NOT_ALLOWED),
    "switch without hub": (lambda: away(Stage().connect()), t.Switch(9, AUDIO), Reason.HUB_UNREACHABLE),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals_change_nothing(case: str) -> None:
    stage, command, reason = REFUSALS[case]
    refused = stage().refuses(command)
    assert refused.reason is reason
    if isinstance(command, t.Switch) and reason is not Reason.NOT_LOGGED_IN:
        assert refused.metadata["code"] == {AUDIO: "60001", VIDEO: "60002"}[command.type]
