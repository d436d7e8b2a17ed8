"""What comes of a dial."""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.call import events, machine, mirror
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused

from tests.unit.call.stage import (
    AUDIO,
    UNREACHABLE,
    VIDEO,
    S,
    Stage,
    asked,
    call,
    failure,
    has,
    in_group,
    joined,
    member,
    over,
    pending,
)

DIAL = t.Dial(2, ("bob",), VIDEO, 20.0, "", "r2")


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


def test_a_dial_that_no_hub_ends_is_over_by_itself_and_nobody_answered() -> None:
    ann = Stage().dial(users=("bob", "cid")).open_camera()
    ann.push(joined("ann"), pending("bob"), member("cid", S.REJECTED), revision=2)
    ann.tell(t.SessionChanged(t.SessionPhase.RECONNECTING, "ann", "", "ann-1"))
    assert ann.tick() == (t.Hub(0, t.Leave("c1")), t.ReleaseCamera())
    assert ann.now == 25.0
    assert ann.names() == ["NotResponded", "CallChanged", "CallEnded", "LocalMediaChanged"]
    told = ann.events[0]
    assert isinstance(told, events.NotResponded)
    assert told.user_ids == ("bob",)
    assert ann.end == (t.EndReason.NO_RESPONSE, "")
    assert machine.deadline(ann.state) is None


def test_a_dial_without_limit_waits_for_the_hub_however_long() -> None:
    ann = Stage()
    ann.tell(replace(DIAL, timeout=None))
    ann.tell(t.HubDone(2, call(joined("ann"), pending("bob"), type_=AUDIO, timeout=None)))
    assert machine.deadline(ann.state) is None
    ann.now = 1e6
    ann.tell(t.Tick())
    assert ann.phase() is t.Phase.DIALLING


def test_who_was_asked_later_has_its_own_time_to_answer() -> None:
    ann = Stage().dial(AUDIO)
    ann.now = 15.0
    ann.push(joined("ann"), pending("bob"), asked("cid", "ann"), revision=2, type_=AUDIO)
    assert machine.deadline(ann.state) == 15.0 + 30.0 + 5.0
    ann.now = 16.0
    free = replace(asked("dan", "ann", "i3"), invitation=t.Invitation("i3", "ann", None))
    ann.push(joined("ann"), member("bob", S.REJECTED), free, revision=3, type_=AUDIO)
    assert machine.deadline(ann.state) is None
    ann.push(joined("ann"), member("bob", S.REJECTED), member("dan", S.BUSY), revision=4, type_=AUDIO)
    assert machine.deadline(ann.state) == 25.0


def test_a_dial_is_not_given_up_while_one_more_is_being_invited() -> None:
    ann = Stage().dial(AUDIO)
    ann.now = 24.0
    ann.tell(t.InviteUsers(7, ("cid",), 20.0, "r7"))
    assert failure(ann.tick(), 7) is Reason.HUB_UNREACHABLE
    assert ann.now == 34.0
    assert ann.end == (t.EndReason.NO_RESPONSE, "")


def test_what_the_hub_tells_of_a_dial_that_is_given_up_changes_nothing() -> None:
    ann = Stage().dial(AUDIO)
    ann.tick()
    before = ann.state.previous
    assert ann.push(joined("ann"), joined("bob", 2), revision=2, type_=AUDIO) == ()
    listed = t.CallsListed((call(joined("ann"), joined("bob", 2), revision=2, type_=AUDIO),))
    assert ann.tell(listed) == (t.Hub(0, t.Leave("c1")),)
    assert ann.events == ()
    assert ann.state.previous is before


def test_who_is_left_alone_waits_for_the_others_no_longer_than_they_have() -> None:
    ann = in_group(Stage())
    ann.tell(t.SessionChanged(t.SessionPhase.RECONNECTING, "ann", "", "ann-1"))
    ann.tell(t.PeerDown("c1", "bob", 2, final=True))
    ann.tick()
    assert (ann.now, ann.phase()) == (3.0, t.Phase.CONNECTING)
    assert t.Hub(0, t.Leave("c1", t.EndReason.CONNECTION_LOST)) in ann.tick()
    assert ann.now == 25.0
    assert ann.names() == ["NotResponded", "CallChanged", "CallEnded"]
    assert ann.end == (t.EndReason.CONNECTION_LOST, "ann")


def test_who_joins_and_connects_to_nobody_waits_as_long_as_who_was_asked_later_has() -> None:
    dan = Stage("dan")
    dan.now = 1000.0
    dan.tell(t.Join(1, "c1"))
    members = (joined("ann"), asked("cid", "ann"), joined("dan", 2))
    dan.tell(t.HubDone(1, call(*members, type_=AUDIO, is_group=True, timeout=0.0)))
    dan.tell(t.SessionChanged(t.SessionPhase.RECONNECTING, "dan", "", "dan-1"))
    dan.tick()
    assert (dan.now, dan.phase()) == (1000.0 + mirror.LINK_PATIENCE, t.Phase.CONNECTING)
    dan.tick()
    assert (dan.now, dan.end) == (1000.0 + 30.0 + 5.0, (t.EndReason.CONNECTION_LOST, "dan"))


def test_who_is_left_alone_by_those_who_hung_up_ends_without_an_answer() -> None:
    ann = in_group(Stage())
    bob = member("bob", S.LEFT)
    ann.push(joined("ann"), bob, pending("cid"), revision=3, type_=AUDIO, is_group=True)
    ann.tick()
    assert (ann.now, ann.end) == (25.0, (t.EndReason.NO_RESPONSE, ""))


def test_alone_and_without_anybody_to_wait_for_only_the_hub_ends_the_call() -> None:
    ann = in_group(Stage())
    gone = (member("bob", S.LEFT), member("cid", S.REJECTED))
    ann.push(joined("ann"), *gone, revision=3, type_=AUDIO, is_group=True)
    assert machine.deadline(ann.state) is None
