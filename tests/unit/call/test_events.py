"""Public events, in the order that a client expects."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.call import events
from mediaagentd.call import types as t

from tests.unit.call.stage import AUDIO, S, Stage, call, joined, member, over


def test_who_enters_with_microphone_and_camera_on() -> None:
    ann = Stage().answer()
    ann.push(joined("bob", 1, True, True), joined("ann", 2), revision=3)
    assert ann.names() == ["CallChanged"], "not before media flows"
    ann.tell(t.PeerUp("c1", "bob", 2))
    assert ann.names() == ["UserEntered", "UserAudioChanged", "UserVideoChanged", "CallChanged"]
    ann.push(joined("bob", 1, False, True), joined("ann", 2), revision=4)
    event = ann.events[0]
    assert isinstance(event, events.UserAudioChanged)
    assert (event.user_id, event.available) == ("bob", False)
    ann.push(joined("bob", 1, False, False), joined("ann", 2), revision=5)
    assert ann.names() == ["UserVideoChanged", "CallChanged"]


def test_events_carry_the_call_as_it_is_after_the_change() -> None:
    ann = Stage().connect()
    end = over(call(member("bob", S.LEFT), joined("ann", 2), revision=3), t.EndReason.HANGUP, "bob")
    ann.tell(t.CallChanged(end))
    for event in ann.events:
        assert event.call is ann.state.previous  # type: ignore[union-attr]


@pytest.mark.parametrize("reason", [t.EndReason.DEVICE_LOST, t.EndReason.KICKED_OUT, t.EndReason.LOGGED_OUT])
def test_why_a_user_left_is_told_of_that_user(reason: t.EndReason) -> None:
    ann = Stage().connect(AUDIO)
    bob = replace(member("bob", S.LEFT), left=reason)
    ann.push(bob, joined("ann", 2), joined("cid", 3), revision=3, type_=AUDIO, is_group=True)
    event = ann.events[0]
    assert isinstance(event, events.UserLeft)
    assert (event.user_id, event.reason) == ("bob", reason)


def test_the_end_of_a_call_does_not_hide_why_the_other_left() -> None:
    ann = Stage().connect()
    bob = replace(member("bob", S.LEFT), left=t.EndReason.KICKED_OUT)
    ann.tell(t.CallChanged(over(call(bob, joined("ann", 2), revision=3), t.EndReason.HANGUP, "bob")))
    event = ann.events[0]
    assert isinstance(event, events.UserLeft)
    assert event.reason is t.EndReason.KICKED_OUT
    assert ann.end == (t.EndReason.HANGUP, "bob")


def test_all_who_timed_out_come_in_one_event() -> None:
    ann = Stage().dial(AUDIO, ("bob", "cat", "dan"))
    members = (joined("ann"), *(member(u, S.NO_RESPONSE) for u in ("bob", "cat")), joined("dan", 2))
    ann.push(*members, revision=2, type_=AUDIO)
    event = ann.events[0]
    assert isinstance(event, events.NotResponded)
    assert (event.user_id, event.user_ids) == ("bob", ("bob", "cat"))
    assert ann.names() == ["NotResponded", "CallChanged"]


def test_outcomes_are_for_the_inviter_only() -> None:
    ann = Stage().answer(AUDIO)
    ann.push(joined("bob"), joined("ann", 2), member("cat", S.REJECTED), revision=3, type_=AUDIO)
    assert ann.names() == ["CallChanged"]


def test_one_call_ends_and_the_next_rings_in_one_list() -> None:
    ann = Stage().connect()
    ann.push(joined("bob"), joined("ann", 2), revision=3)
    before = ann.state
    end = over(call(member("bob", S.LEFT), joined("ann", 2), revision=4), t.EndReason.HANGUP, "bob")
    ann.tell(t.CallsListed((call(joined("cat"), member("ann", S.PENDING), name="2"), end)))
    assert before.call is not None
    assert ann.names() == ["UserLeft", "CallChanged", "CallEnded", "Invited", "CallChanged"]


def test_what_rings_after_a_return_is_not_turned_away_for_a_call_that_is_over() -> None:
    """The list does not name our call any more, nor how it ended: the hub has made others since."""
    ann = Stage().connect(AUDIO)
    ann.push(joined("bob"), joined("ann", 2), revision=3, type_=AUDIO)
    effects = ann.tell(t.CallsListed((call(joined("cat"), member("ann", S.PENDING), name="2"),)))
    assert not any(isinstance(effect, t.Hub) for effect in effects)
    assert ann.names() == ["UserLeft", "CallChanged", "CallEnded", "Invited", "CallChanged"]
    assert ann.phase() is t.Phase.RINGING


def test_what_no_client_sees_is_no_event() -> None:
    ann = Stage().connect()
    ann.push(joined("bob"), joined("ann", 2, audio=True), revision=3)
    assert ann.events == ()
    assert events.derive(ann.state, ann.state) == ()


def test_the_session() -> None:
    ann = Stage()
    assert ann.events == (events.SessionChanged(t.SessionPhase.ONLINE, "ann"),)


def test_values_for_the_shell() -> None:
    assert events.ErrorRaised(t.ErrorCode.NO_CAMERA, "no camera").code == 60004
