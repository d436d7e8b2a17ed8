"""What the hub and media report, and what the machine makes of it."""

from __future__ import annotations

import pytest
from mediaagentd.call import machine
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused

from tests.unit.call.stage import (
    AUDIO,
    UNREACHABLE,
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

ONLINE = t.SessionChanged(t.SessionPhase.ONLINE, "ann", "", "ann-1")
AWAY = t.SessionChanged(t.SessionPhase.RECONNECTING, "ann")


# ------------------------------------------------------------------------------ how a call ends


@pytest.mark.parametrize(
    ("state", "device", "reason", "by", "event"),
    [
        (S.CANCELLED, "", t.EndReason.CANCELLED, "bob", "CallingCancelled"),
        (S.NO_RESPONSE, "", t.EndReason.NO_RESPONSE, "", "CallingTimedOut"),
        (S.REJECTED, "ann-1", t.EndReason.REJECTED, "ann", "CallChanged"),
        (S.BUSY, "ann-1", t.EndReason.BUSY, "ann", "CallChanged"),
        (S.REJECTED, "ann-2", t.EndReason.DECLINED_ELSEWHERE, "ann", "CallChanged"),
        (S.BUSY, "ann-2", t.EndReason.DECLINED_ELSEWHERE, "ann", "CallChanged"),
        (S.JOINED, "ann-2", t.EndReason.ANSWERED_ELSEWHERE, "ann", "CallChanged"),
    ],
)
def test_what_rings_ends(state: t.MemberState, device: str, reason: t.EndReason, by: str, event: str) -> None:
    ann = Stage().ring()
    ann.push(joined("bob"), member("ann", state, device), revision=2)
    assert ann.end == (reason, by)
    assert ann.names()[0] == event
    assert ann.names()[-1] == "CallEnded"


@pytest.mark.parametrize(
    ("state", "reason", "event"),
    [
        (S.REJECTED, t.EndReason.REJECTED, "Rejected"),
        (S.BUSY, t.EndReason.BUSY, "LineBusy"),
        (S.NO_RESPONSE, t.EndReason.NO_RESPONSE, "NotResponded"),
    ],
)
def test_what_is_dialled_ends(state: t.MemberState, reason: t.EndReason, event: str) -> None:
    ann = Stage().dial()
    effects = ann.tell(
        t.CallChanged(over(call(joined("ann"), member("bob", state), revision=2), reason, "bob"))
    )
    assert ann.names() == [event, "CallChanged", "CallEnded"]
    assert ann.end == (reason, "bob")
    assert effects == (t.ReleaseCamera(),), "it was still opening"


def test_a_connected_call_ends() -> None:
    ann = Stage().connect(AUDIO)
    ann.now = 7.0
    end = over(call(member("bob", S.LEFT), joined("ann", 2), revision=3), t.EndReason.HANGUP, "bob")
    effects = ann.tell(t.CallChanged(end))
    assert effects == (t.ClosePeer("c1", "bob", 2), t.SetSending(False, False))
    assert ann.names() == ["UserLeft", "CallChanged", "CallEnded"]
    assert ann.state.previous is not None
    assert ann.state.previous.duration == 7.0


def test_the_hub_took_us_out() -> None:
    ann = Stage().connect()
    end = over(call(joined("bob"), member("ann", S.LEFT), revision=3), t.EndReason.DEVICE_LOST, "ann")
    ann.tell(t.CallChanged(end))
    assert ann.end == (t.EndReason.DEVICE_LOST, "ann")


def test_the_hub_took_us_out_of_a_call_that_goes_on() -> None:
    ann = Stage().connect()
    ann.push(joined("bob"), member("ann", S.LEFT), joined("cat", 3), revision=3)
    assert ann.end == (t.EndReason.DEVICE_LOST, "ann")


def test_an_end_without_a_reason_is_a_hangup() -> None:
    ann = Stage().connect()
    ann.push(joined("bob"), joined("ann", 2), revision=3, ended=True)
    assert ann.end == (t.EndReason.HANGUP, "")


# ------------------------------------------------------------------------------ senseless messages


@pytest.mark.parametrize(
    "told",
    [
        t.CallChanged(call(joined("bob"), joined("ann", 2), revision=2)),
        t.CallChanged(call(joined("bob"), joined("ann", 2), revision=1)),
        t.CallChanged(call(joined("bob"), joined("cat", 2), revision=9)),
        t.CallChanged(call(joined("bob"), joined("cat", 2), name="2")),
        t.CallChanged(call(joined("bob"), member("ann", S.LEFT), name="2")),
        t.CallChanged(over(call(joined("bob"), pending("ann"), name="2"), t.EndReason.CANCELLED)),
        t.HubDone(77, None),
        t.HubFailed(77, UNREACHABLE),
        t.PeerUp("c2", "bob", 2),
        t.PeerUp("c1", "cat", 2),
        t.PeerUp("c1", "bob", 1),
        t.PeerUp("c1", "bob", 2),
        t.PeerDown("c1", "bob", 1),
        t.CameraOpened(55),
        t.CameraFailed(55, UNREACHABLE),
        t.MicrophoneOpened(),
        t.Tick(),
    ],
    ids=str,
)
def test_what_makes_no_sense_in_a_call_is_ignored(told: t.Input) -> None:
    ann = Stage().connect()
    before = ann.state
    ann.tell(t.CallChanged(call(joined("bob"), joined("ann", 2), revision=2)))
    assert ann.state == before or ann.state.call is not None
    before = ann.state
    assert ann.tell(told) == ()
    assert ann.events == ()
    assert ann.state == before


@pytest.mark.parametrize(
    "told",
    [
        t.PeerUp("c1", "bob", 2),
        t.PeerDown("c1", "bob", 2),
        t.CameraOpened(-1),
        t.CameraFailed(0, UNREACHABLE),
        t.MicrophoneFailed(UNREACHABLE),
        t.MicrophoneOpened(),
        t.CallChanged(call(joined("bob"), joined("cat", 2))),
        t.CallsListed(()),
        t.Tick(),
    ],
    ids=str,
)
def test_what_makes_no_sense_alone_is_ignored(told: t.Input) -> None:
    ann = Stage()
    before = ann.state
    assert ann.tell(told) == ()
    assert ann.state == before


# ------------------------------------------------------------------------------ other calls


def test_a_second_invitation_is_answered_busy() -> None:
    ann = Stage().connect()
    assert ann.push(joined("cat"), pending("ann"), name="2") == (t.Hub(0, t.Reject("i2", True)),)


def test_a_call_of_an_earlier_run_is_left() -> None:
    ann = Stage().connect()
    assert ann.push(joined("ann"), pending("cat"), name="2") == (t.Hub(0, t.Leave("c2")),)
    assert ann.phase() is t.Phase.ACTIVE


def test_a_call_of_another_device_is_not_ours() -> None:
    ann = Stage()
    assert ann.push(t.Member("ann", S.JOINED, "ann-2", 1), pending("bob")) == ()


def test_a_late_push_does_not_ring_again() -> None:
    ann = Stage().ring()
    ann.tell(t.Decline(1, "i1"))
    ann.tell(t.HubDone(1, None))
    assert ann.push(joined("bob"), pending("ann"), revision=2) == ()
    assert ann.phase() is None


# ------------------------------------------------------------------------------ lists


def test_the_list_tells_of_what_rings() -> None:
    ann = Stage()
    ann.tell(t.CallsListed((call(joined("bob"), pending("ann")),)))
    assert ann.names() == ["Invited", "CallChanged"]


def test_a_live_call_that_is_not_listed_is_over() -> None:
    ann = Stage().connect()
    ann.push(joined("bob"), joined("ann", 2), revision=3)
    ann.tell(t.CallsListed(()))
    assert ann.end == (t.EndReason.HANGUP, "")


@pytest.mark.parametrize(
    ("wait", "reason", "by"),
    [(1.0, t.EndReason.CANCELLED, "bob"), (21.0, t.EndReason.NO_RESPONSE, "")],
)
def test_what_rings_and_is_not_listed_is_over(wait: float, reason: t.EndReason, by: str) -> None:
    ann = Stage().ring()
    ann.now = wait
    ann.tell(t.CallsListed(()))
    assert ann.end == (reason, by)


def test_what_is_dialled_and_is_not_listed_is_over() -> None:
    ann = Stage().dial()
    ann.push(joined("ann"), pending("bob"), revision=2)
    ann.tell(t.CallsListed(()))
    assert ann.end == (t.EndReason.CANCELLED, "")


def test_a_list_that_is_older_than_the_call_does_not_end_it() -> None:
    ann = Stage().dial()
    ann.tell(t.CallsListed(()))
    assert ann.phase() is t.Phase.DIALLING
    ann.push(joined("ann"), pending("bob"), revision=1)
    assert machine.deadline(ann.state) == 10.0, "only the camera is waited for"
    ann.open_camera()
    assert machine.deadline(ann.state) == 25.0, "and then bob"


def test_a_call_that_the_stream_never_confirms_is_over() -> None:
    ann = Stage().dial(AUDIO)
    ann.tell(t.CallsListed(()))
    ann.tick()
    assert ann.now == 10.0
    assert ann.end == (t.EndReason.CANCELLED, "")


def test_the_list_may_say_how_a_call_ended() -> None:
    ann = Stage().dial()
    end = over(call(joined("ann"), member("bob", S.REJECTED), revision=2), t.EndReason.REJECTED, "bob")
    ann.tell(t.CallsListed((end,)))
    assert ann.names() == ["Rejected", "CallChanged", "CallEnded"]


def test_a_listed_call_that_we_left_is_left_again() -> None:
    ann = Stage().connect()
    ann.tell(AWAY)
    ann.tell(t.Hangup(5))
    ann.tell(ONLINE)
    effects = ann.tell(t.CallsListed((call(joined("bob"), joined("ann", 2), revision=2),)))
    assert effects == (t.Hub(0, t.Leave("c1")),)
    assert ann.phase() is None


def test_availability_is_announced_again() -> None:
    ann = Stage().connect()
    ann.tell(AWAY)
    assert ann.tell(t.SetMicMute(4, True)) == (t.SetSending(False, False), t.Done(4))
    ann.tell(ONLINE)
    assert ann.effects == (t.Hub(0, t.SetAvailability("c1", False, False)),)
    ann.tell(t.CallsListed((call(joined("bob"), joined("ann", 2), revision=2),)))
    assert ann.effects == (t.Hub(0, t.SetAvailability("c1", False, False)),)


# ------------------------------------------------------------------------------ sessions


def test_a_call_outlives_an_outage() -> None:
    ann = Stage().connect()
    ann.tell(AWAY)
    assert ann.names() == ["SessionChanged"]
    assert ann.phase() is t.Phase.ACTIVE
    ann.tell(ONLINE)
    assert ann.names() == ["SessionChanged"]


def test_being_kicked_out_ends_everything_without_telling_the_hub() -> None:
    ann = Stage().connect()
    ann.tell(t.Switch(1, AUDIO))
    effects = ann.tell(t.SessionChanged(t.SessionPhase.KICKED_OUT, "ann", "ann-2"))
    assert failure(effects, 1) is Reason.KICKED_OUT
    assert not has(effects, t.Hub)
    assert has(effects, t.ClosePeer)
    assert ann.names() == ["SessionChanged", "KickedOut", "UserLeft", "CallChanged", "CallEnded"]
    assert ann.end == (t.EndReason.KICKED_OUT, "ann")
    assert (ann.state.kicked_by, ann.state.user_id) == ("ann-2", "ann")


def test_a_logout_ends_everything() -> None:
    ann = Stage().ring()
    ann.tell(t.Answer(1, "i1"))
    effects = ann.tell(t.SessionChanged(t.SessionPhase.LOGGED_OUT, "ann"))
    assert failure(effects, 1) is Reason.NOT_LOGGED_IN
    assert ann.end == (t.EndReason.LOGGED_OUT, "ann")
    assert ann.state.user_id == ""


def test_another_user_begins_anew() -> None:
    ann = Stage().connect()
    ann.tell(t.SessionChanged(t.SessionPhase.ONLINE, "eve"))
    assert ann.end == (t.EndReason.LOGGED_OUT, "ann")
    assert ann.state.user_id == "eve"


# ------------------------------------------------------------------------------ waiting


def test_an_invitation_falls_silent_without_a_hub() -> None:
    ann = Stage().ring()
    ann.tell(AWAY)
    assert ann.tick() == ()
    assert ann.now == 25.0
    assert ann.names() == ["CallingTimedOut", "CallChanged", "CallEnded"]


def test_an_invitation_does_not_fall_silent_while_it_is_answered() -> None:
    ann = Stage().ring()
    ann.now = 24.0
    ann.tell(t.Answer(1, "i1"))
    assert failure(ann.tick(), 1) is Reason.HUB_UNREACHABLE
    assert ann.now == 34.0
    assert ann.end == (t.EndReason.NO_RESPONSE, "")


def test_an_invitation_without_a_limit_rings_on() -> None:
    ann = Stage()
    ann.push(joined("bob"), pending("ann"), timeout=None)
    assert machine.deadline(ann.state) is None


def test_news_of_what_rings_changes_no_phase() -> None:
    ann = Stage().ring()
    ann.push(joined("bob", audio=True), pending("ann"), revision=2, timeout=3.0)
    assert ann.phase() is t.Phase.RINGING
    assert ann.events == ()


def test_a_message_that_makes_no_sense_is_no_exception() -> None:
    ann = Stage().connect()
    ann.push(joined("bob"), pending("ann"), revision=9)
    assert ann.phase() is t.Phase.ACTIVE
    assert isinstance(ann.refuses(t.Answer(3, "i9")), Refused)
