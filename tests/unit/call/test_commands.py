"""What a client may ask, when, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
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
