"""What media reports of links, in calls of two and of more."""

from __future__ import annotations

from mediaagentd.call import machine, reports
from mediaagentd.call import types as t
from mediaagentd.call.events import UserLeft

from tests.unit.call.stage import (
    AUDIO,
    S,
    Stage,
    call,
    joined,
    member,
    over,
    pending,
)


def test_phases_follow_the_link() -> None:
    ann = Stage().answer()
    assert ann.phase() is t.Phase.CONNECTING
    ann.tell(t.PeerUp("c1", "bob", 2))
    assert ann.phase() is t.Phase.ACTIVE
    ann.now = 3.0
    ann.tell(t.PeerDown("c1", "bob", 2, final=False))
    assert ann.phase() is t.Phase.RECONNECTING
    assert ann.names() == ["CallChanged"]
    assert ann.tell(t.PeerDown("c1", "bob", 2, final=False)) == ()
    ann.tell(t.PeerUp("c1", "bob", 2))
    assert ann.phase() is t.Phase.ACTIVE
    assert ann.names() == ["CallChanged"], "it has entered before"


def test_a_link_that_is_lost_while_it_is_made_is_still_being_made() -> None:
    ann = Stage().answer()
    assert ann.tell(t.PeerDown("c1", "bob", 2, final=False)) == ()
    assert ann.phase() is t.Phase.CONNECTING


def test_the_last_link_lost_for_good_ends_the_call() -> None:
    ann = Stage().connect()
    assert ann.tell(t.PeerDown("c1", "bob", 2)) == ()
    assert ann.phase() is t.Phase.ACTIVE
    effects = ann.tick()
    assert ann.now == 3.0, "the hub has had its time to say that bob hung up"
    assert t.Hub(0, t.Leave("c1", t.EndReason.CONNECTION_LOST)) in effects
    assert t.ClosePeer("c1", "bob", 2) in effects
    assert ann.end == (t.EndReason.CONNECTION_LOST, "ann")


def test_media_that_ends_before_the_hub_says_so_is_a_hangup() -> None:
    ann = Stage().connect(AUDIO)
    ann.tell(t.PeerDown("c1", "bob", 2))
    assert ann.names() == [], "nothing is being regained: RECONNECTING would flash at each hangup"
    over = {"ended": True, "end_reason": t.EndReason.HANGUP, "ended_by": "bob"}
    ann.push(joined("ann"), member("bob", S.LEFT), revision=9, type_=AUDIO, **over)
    assert ann.end == (t.EndReason.HANGUP, "bob")


def test_the_hubs_word_comes_before_the_end_of_patience() -> None:
    """A link that is away for now and then for good waits for the hub, not longer than before."""
    ann = Stage().connect(AUDIO)
    ann.tell(t.PeerDown("c1", "bob", 2, final=False))
    ann.now = reports.RECONNECT_PATIENCE - 1.5
    ann.tell(t.PeerDown("c1", "bob", 2))
    assert machine.deadline(ann.state) == reports.RECONNECT_PATIENCE
    end = over(call(member("bob", S.LEFT), joined("ann", 2), revision=3), t.EndReason.HANGUP, "bob")
    ann.tell(t.CallChanged(end))
    assert ann.end == (t.EndReason.HANGUP, "bob")


def test_a_link_that_does_not_come_up_is_given_up() -> None:
    ann = Stage().answer(AUDIO)
    ann.tick()
    assert ann.now == 20.0
    assert ann.end == (t.EndReason.CONNECTION_LOST, "ann")


def test_a_link_that_does_not_come_back_is_given_up() -> None:
    ann = Stage().connect(AUDIO)
    ann.tell(t.PeerDown("c1", "bob", 2, final=False))
    ann.tick()
    assert ann.now == reports.RECONNECT_PATIENCE
    assert ann.end == (t.EndReason.CONNECTION_LOST, "ann")
    (left,) = [event for event in ann.events if isinstance(event, UserLeft)]
    assert (left.user_id, left.reason) == ("bob", t.EndReason.CONNECTION_LOST)


# ------------------------------------------------------------------------------ groups


def group() -> Stage:
    """ann has called bob and cat, and sees both."""
    ann = Stage().dial(AUDIO, ("bob", "cat"))
    ann.push(joined("ann"), joined("bob", 2), joined("cat", 3), revision=2, type_=AUDIO)
    ann.tell(t.PeerUp("c1", "bob", 2))
    ann.tell(t.PeerUp("c1", "cat", 3))
    return ann


def test_one_link_lost_for_good_is_one_user_gone() -> None:
    ann = group()
    ann.tell(t.PeerDown("c1", "bob", 2))
    assert ann.tick() == (t.ClosePeer("c1", "bob", 2),)
    assert ann.names() == ["UserLeft", "CallChanged"]
    ann.push(joined("ann"), joined("bob", 2, True), joined("cat", 3), revision=3, type_=AUDIO)
    assert ann.effects == (), "it is not made again"
    ann.push(joined("ann"), joined("bob", 2, True), member("cat", S.LEFT), revision=4, type_=AUDIO)
    assert ann.end == (t.EndReason.CONNECTION_LOST, "ann")


def test_links_that_time_out_together() -> None:
    ann = Stage().dial(AUDIO, ("bob", "cat"))
    ann.push(joined("ann"), joined("bob", 2), joined("cat", 3), revision=2, type_=AUDIO)
    effects = ann.tick()
    assert [e for e in effects if isinstance(e, t.Hub)] == [
        t.Hub(0, t.Leave("c1", t.EndReason.CONNECTION_LOST))
    ]
    assert ann.end == (t.EndReason.CONNECTION_LOST, "ann")


def test_only_the_link_that_is_late_is_given_up() -> None:
    ann = Stage().dial(AUDIO, ("bob", "cat"))
    ann.push(joined("ann"), joined("bob", 2), pending("cat"), revision=2, type_=AUDIO)
    ann.now = 5.0
    ann.push(joined("ann"), joined("bob", 2), joined("cat", 3), revision=3, type_=AUDIO)
    assert ann.tick() == (t.ClosePeer("c1", "bob", 2),)
    assert ann.phase() is t.Phase.CONNECTING


def test_the_only_one_leaves_while_another_may_come() -> None:
    ann = Stage().dial(AUDIO, ("bob", "cat"))
    ann.push(joined("ann"), joined("bob", 2), pending("cat"), revision=2, type_=AUDIO)
    ann.tell(t.PeerUp("c1", "bob", 2))
    ann.push(joined("ann"), member("bob", S.LEFT), pending("cat"), revision=3, type_=AUDIO)
    assert ann.phase() is t.Phase.CONNECTING
    assert ann.names() == ["UserLeft", "CallChanged"]


def test_who_comes_back_is_a_new_connection() -> None:
    ann = group()
    ann.push(joined("ann"), joined("bob", 4), joined("cat", 3), revision=3, type_=AUDIO)
    assert ann.effects == (t.ClosePeer("c1", "bob", 2), t.OpenPeer("c1", "bob", 4, False))
    assert ann.names() == ["UserLeft", "CallChanged"]
