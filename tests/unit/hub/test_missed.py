"""Invitations that nobody answered: kept until a device has them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.types import (
    Accept,
    AcknowledgeMissed,
    CallType,
    EndReason,
    Hangup,
    InviteMore,
    Logout,
    Missed,
    Policy,
    Reject,
    Tick,
)

from tests.unit.hub.town import LIMITS, Hub


def offline(hub: Hub, user: str) -> None:
    hub.do(Logout(f"{user}/d1"))


def missed(hub: Hub, user: str) -> list[tuple[str, EndReason]]:
    return [(entry.invite_id, entry.reason) for entry in hub.core.missed(f"{user}/d1")]


def test_what_ran_out_while_the_user_was_away() -> None:
    hub = Hub("ann", "bob")
    offline(hub, "bob")
    hub.invite("ann", "bob", timeout=5.0, user_data=b"x")
    hub.now = 105.0
    hub.do(Tick())
    hub.now = 110.0
    token = hub.login("bob")
    assert [call.ended for call in hub.core.welcome(token)] == [True], "it does not ring"
    assert hub.core.missed(token) == (
        Missed(
            "bob", "i1", "c1", "ann", CallType.VIDEO, False, "", 100.0, 105.0, EndReason.NO_RESPONSE, b"x"
        ),
    )


def test_within_the_timeout_it_rings_with_the_time_left_and_is_not_missed() -> None:
    hub = Hub("ann", "bob")
    offline(hub, "bob")
    call = hub.invite("ann", "bob", timeout=20.0)
    hub.now = 112.0
    token = hub.login("bob")
    assert hub.core.welcome(token) == (call,)
    assert call.deadline == 120.0
    hub.do(Accept(token, "i1"))
    hub.do(Hangup(token, "c1"))
    assert missed(hub, "bob") == []


def test_what_was_taken_back_and_made_again() -> None:
    """Cancel, and call the same user again: two invitations, two entries."""
    hub = Hub("ann", "bob")
    offline(hub, "bob")
    for n in (1, 2):
        hub.invite("ann", "bob")
        hub.do(Hangup("ann/d1", f"c{n}"))
    hub.invite("ann", "bob")
    hub.login("bob")
    assert missed(hub, "bob") == [("i1", EndReason.CANCELLED), ("i2", EndReason.CANCELLED)]
    assert hub.do(Accept("bob/d1", "i3")) is not None


def test_answered_is_not_missed() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.invite("ann", "bob")
    hub.do(Reject("bob/d1", "i1", False))
    hub.invite("ann", "bob")
    hub.do(Reject("bob/d1", "i2", True))
    hub.connect("ann", "bob")
    assert missed(hub, "bob") == [], "busy is an answer too"
    assert missed(hub, "ann") == [], "nor is one's own call missed"


def test_what_came_while_busy_is_missed_and_told_at_once() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.connect("ann", "bob")
    hub.invite("cat", "bob", "ann")
    assert hub.rung_in_vain == [("bob/d1", "i2"), ("ann/d1", "i2")]
    (entry,) = hub.core.missed("bob/d1")
    assert (entry.sponsor, entry.reason, entry.created, entry.ended) == ("cat", EndReason.BUSY, 100.0, 100.0)
    hub.do(AcknowledgeMissed("bob/d1", ("i2",)))
    assert missed(hub, "bob") == []
    assert missed(hub, "ann") == [("i2", EndReason.BUSY)]


def test_who_is_asked_into_a_running_call_while_busy_has_missed_each_time() -> None:
    hub = Hub("ann", "bob", "cat", "dan")
    hub.connect("ann", "bob")
    hub.connect("cat", "dan")
    hub.do(InviteMore("bob/d1", "c1", "j1", ("cat",), None, "r"))
    hub.do(Hangup("ann/d1", "c1"))
    assert hub.rung_in_vain == []
    assert missed(hub, "cat") == [("j1", EndReason.BUSY)]
    call = hub.invite("ann", "bob", "cat")
    hub.do(Accept("bob/d1", call.invite_id))
    hub.do(InviteMore("bob/d1", call.call_id, "j2", ("cat",), None, "s"))
    assert hub.rung_in_vain == [("cat/d1", "j2")]
    assert [invite for invite, _ in missed(hub, "cat")] == ["j1", call.invite_id, "j2"]


MULTI = replace(LIMITS, policy=Policy.MULTI, devices=2)


def devices(hub: Hub, user: str, *names: str) -> dict[str, list[str]]:
    """What each is told when it comes anew."""
    for name in names:
        hub.do(Logout(f"{user}/{name}"))
    return {d: [m.invite_id for m in hub.core.missed(hub.login(user, d))] for d in names}


def test_each_device_of_a_user_learns_of_it() -> None:
    hub = Hub("ann", "bob", limits=MULTI)
    hub.login("bob", "d2")
    for token in ("bob/d1", "bob/d2"):
        hub.do(Logout(token))
    hub.invite("ann", "bob")
    hub.do(Hangup("ann/d1", "c1"))
    assert devices(hub, "bob", "d1", "d2") == {"d1": ["i1"], "d2": ["i1"]}
    hub.do(AcknowledgeMissed("bob/d1", ("i1",)))
    hub.do(AcknowledgeMissed("bob/d1", ("i1",)))
    hub.restart()
    assert devices(hub, "bob", "d1", "d2") == {"d1": [], "d2": ["i1"]}
    hub.do(AcknowledgeMissed("bob/d2", ("i1",)))
    assert hub.missed == {}


def test_a_device_that_comes_new_is_not_told_of_what_was_before_it() -> None:
    hub = Hub("ann", "bob", limits=MULTI)
    hub.invite("ann", "bob")
    hub.do(Hangup("ann/d1", "c1"))
    assert devices(hub, "bob", "d2") == {"d2": []}
    hub.do(AcknowledgeMissed("bob/d2", ("i1",)))
    assert devices(hub, "bob", "d1") == {"d1": ["i1"]}, "nor does it answer for others"


def test_the_device_that_has_not_come_for_longest_is_forgotten() -> None:
    hub = Hub("ann", "bob", limits=MULTI)
    for name in ("d2", "d1", "d3"):
        hub.do(Logout(f"bob/{name}"))
        hub.login("bob", name)
        hub.do(Logout(f"bob/{name}"))
    hub.restart()
    assert [device for user, device in hub.devices if user == "bob"] == ["d1", "d3"]
    hub.invite("ann", "bob")
    hub.do(Hangup("ann/d1", "c1"))
    (entry,) = hub.missed.values()
    assert entry.waiting == ("d1", "d3")


def test_where_devices_exclude_each_other_from_now_on_none_of_before_is_waited_for() -> None:
    """A device that is there since the policy changed was never told of what its user had missed."""
    hub = Hub("ann", "bob", limits=MULTI)
    hub.invite("ann", "bob")
    hub.do(Hangup("ann/d1", "c1"))
    hub.limits = LIMITS
    hub.restart()
    assert hub.devices == {}
    assert [entry.waiting for entry in hub.missed.values()] == [()]
    hub.invite("ann", "bob")
    hub.do(Hangup("ann/d1", "c2"))
    assert devices(hub, "bob", "d2") == {"d2": ["i1", "i2"]}
    hub.do(AcknowledgeMissed("bob/d2", ("i1", "i2")))
    assert hub.missed == {}


def test_answered_elsewhere_is_not_missed() -> None:
    hub = Hub("ann", "bob", limits=replace(LIMITS, policy=Policy.MULTI))
    hub.login("bob", "d2")
    hub.invite("ann", "bob")
    hub.do(Accept("bob/d2", "i1"))
    hub.do(Hangup("ann/d1", "c1"))
    assert missed(hub, "bob") == []


def test_kept_until_acknowledged_over_a_crash_too() -> None:
    hub = Hub("ann", "bob")
    for n in (1, 2, 3):
        hub.invite("ann", "bob")
        hub.do(Hangup("ann/d1", f"c{n}"))
    hub.restart()
    assert [invite for invite, _ in missed(hub, "bob")] == ["i1", "i2", "i3"]
    hub.do(AcknowledgeMissed("bob/d1", ("i1", "i3", "i1", "none")))
    assert [invite for invite, _ in missed(hub, "bob")] == ["i2"]
    assert list(hub.missed) == [("bob", "i2")]
    hub.do(AcknowledgeMissed("bob/d1", ("i1", "i3")))
    hub.do(AcknowledgeMissed("bob/d1", ("i2",)))
    hub.do(AcknowledgeMissed("bob/d1", ("i2",)))
    assert hub.missed == {}
    assert missed(hub, "bob") == []


def test_nobody_acknowledges_for_another() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob")
    hub.do(Hangup("ann/d1", "c1"))
    hub.do(AcknowledgeMissed("ann/d1", ("i1",)))
    assert missed(hub, "bob") == [("i1", EndReason.CANCELLED)]
    with pytest.raises(Refused) as refused:
        hub.do(AcknowledgeMissed("nobody", ("i1",)))
    assert refused.value.reason is Reason.SESSION_UNKNOWN


def test_all_of_a_group_who_did_not_answer_have_missed_it() -> None:
    hub = Hub("ann", "bob", "cat", "dan")
    hub.group("ann", "bob", "cat", "dan")
    hub.invite("ann", group_id="g")
    hub.do(Accept("bob/d1", "i1"))
    hub.do(Reject("cat/d1", "i1", False))
    hub.now = 120.0
    hub.do(Tick())
    assert missed(hub, "bob") == missed(hub, "cat") == []
    (entry,) = hub.core.missed("dan/d1")
    assert (entry.group, entry.group_id, entry.reason) == (True, "g", EndReason.NO_RESPONSE)


def test_a_later_invitation_into_the_call_is_missed_by_its_own_name() -> None:
    hub = Hub("ann", "bob", "cat")
    hub.connect("ann", "bob")
    hub.now = 150.0
    hub.do(InviteMore("bob/d1", "c1", "j1", ("cat",), None, "r"))
    hub.do(Hangup("ann/d1", "c1"))
    hub.do(Hangup("bob/d1", "c1"))
    (entry,) = hub.core.missed("cat/d1")
    assert (entry.invite_id, entry.sponsor, entry.created) == ("j1", "bob", 150.0)
    assert entry.reason is EndReason.CANCELLED


def test_beyond_the_limit_the_oldest_goes() -> None:
    hub = Hub("ann", "bob", limits=replace(LIMITS, missed=2))
    for n in (1, 2, 3, 4):
        hub.invite("ann", "bob")
        hub.do(Hangup("ann/d1", f"c{n}"))
    assert [invite for invite, _ in missed(hub, "bob")] == ["i3", "i4"]
    assert list(hub.missed) == [("bob", "i3"), ("bob", "i4")]


def test_an_invitation_that_ran_out_while_the_hub_was_away_is_missed() -> None:
    hub = Hub("ann", "bob")
    offline(hub, "bob")
    hub.invite("ann", "bob", timeout=5.0)
    hub.now = 300.0
    hub.restart()
    hub.do(Tick())
    hub.login("bob")
    assert missed(hub, "bob") == [("i1", EndReason.NO_RESPONSE)]


def test_a_lost_caller_leaves_a_missed_call() -> None:
    hub = Hub("ann", "bob")
    hub.invite("ann", "bob", timeout=None)
    hub.do(Logout("ann/d1"))
    assert missed(hub, "bob") == [("i1", EndReason.CANCELLED)]


def test_more_than_are_kept_by_now_are_told_in_turns() -> None:
    hub = Hub("ann", "bob")
    offline(hub, "bob")
    many = LIMITS.missed + 3
    for number in range(many):
        entry = Missed(
            "bob", f"i{number}", "c", "ann", CallType.AUDIO, False, "", 1.0, 2.0, EndReason.CANCELLED
        )
        hub.missed["bob", entry.invite_id] = entry
    hub.restart()
    hub.login("bob")
    assert [name for name, _ in missed(hub, "bob")] == [f"i{number}" for number in range(LIMITS.missed)]
    hub.do(AcknowledgeMissed("bob/d1", tuple(f"i{number}" for number in range(LIMITS.missed))))
    assert [name for name, _ in missed(hub, "bob")] == [f"i{n}" for n in range(LIMITS.missed, many)]
