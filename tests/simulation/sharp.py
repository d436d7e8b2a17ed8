"""The sharp cases: what happens in one instant, to who is away, on several devices, in a group. The hub
decides each of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from mediaagentd.call import types as t
from mediaagentd.hub.types import Policy

from tests.simulation.device import Device
from tests.simulation.rules import CALM, Town
from tests.simulation.stories import AUDIO, THREE, VIDEO, Story

DAY = 86400.0
TWO_DEVICES = Town(3, 2, Policy.MULTI)
GROUP = Town(4, group=True)
"""At most three of them in one call."""


def bobs_other(story: Story) -> Device:
    return next(device for device in story.world.devices if device.device_id == "bob-2")


def dave(story: Story) -> Device:
    return story.world.devices[3]


def call_group(story: Story, who: Device, timeout: float | None = 20.0) -> None:
    who.command(lambda op: t.Dial(op, (), AUDIO, timeout, "g", f"{who.user_id}-{op}"))


# ------------------------------------------------------------------------------ in one instant


def both_hang_up(story: Story) -> None:
    """Both hang up in the same instant, and once more."""
    story.connect(story.alice, story.bob, AUDIO)
    for device in (story.alice, story.bob):
        device.command(t.Hangup)
    story.wait(0.01)
    story.bob.command(t.Hangup)
    story.wait(1.0)
    story.alice.command(t.Hangup)


def accept_twice(story: Story) -> None:
    """Two clients of one agent accept at once; both succeed, the hub is asked once. So with a late one."""
    story.dial(story.alice, story.bob, type_=AUDIO)
    story.wait(1.0)
    story.answer(story.bob)
    story.answer(story.bob)
    story.wait(1.0)
    story.answer(story.bob)
    story.wait(1.0)
    story.alice.command(t.Hangup)


def two_devices_accept(story: Story) -> None:
    """Two devices of bob's accept in the same instant: the first to reach the hub wins, the other learns by
    which device it was answered."""
    story.dial(story.alice, story.bob, type_=AUDIO)
    story.wait(1.0)
    for device in (bobs_other(story), story.bob):
        story.answer(device)
        story.wait(0.001)
    story.wait(1.0)
    story.bob.command(t.Hangup)
    story.wait(1.0)
    bobs_other(story).command(t.Hangup)


def one_device_declines(story: Story) -> None:
    """What one device of bob's declines is declined, and the other one stops ringing."""
    story.dial(story.alice, story.bob, type_=AUDIO)
    story.wait(1.0)
    story.decline(bobs_other(story))
    story.wait(1.0)
    story.answer(story.bob)


def answered_while_away(story: Story) -> None:
    """One device of bob's is out of reach while the other answers and the call ends; it does not ring on."""
    story.dial(story.alice, story.bob, type_=AUDIO)
    story.wait(1.0)
    story.bob.lose_stream()
    story.answer(bobs_other(story))
    story.wait(0.1)
    story.alice.command(t.Hangup)
    story.wait(4.0)


# ------------------------------------------------------------------------------ busy


def everyone_busy(story: Story) -> None:
    """All whom alice calls are in a call of their own: hers is over before it began."""
    story.connect(story.bob, story.carol, AUDIO)
    story.dial(story.alice, story.bob, story.carol)
    story.wait(1.0)
    story.bob.command(t.Hangup)


def each_says_no_in_another_way(story: Story) -> None:
    """One rejects, one is busy, one lets it ring: the caller hears each, and the end of the call."""
    call_group(story, story.alice, timeout=3.0)
    story.wait(1.0)
    story.decline(story.bob)
    story.decline(story.carol, is_busy=True)
    story.wait(3.0)


# ------------------------------------------------------------------------------ away


def logged_out_and_in_and_called(story: Story) -> None:
    """Logout, login, and then being called."""
    story.bob.logout()
    story.wait(1.0)
    story.bob.login()
    story.wait(1.0)
    story.connect(story.alice, story.bob, AUDIO)
    story.bob.command(t.Hangup)


def missed_while_away(story: Story) -> None:
    """The invitation runs out before bob comes: he has missed a call, told once."""
    story.bob.logout()
    story.wait(1.0)
    story.dial(story.alice, story.bob, type_=AUDIO, timeout=3.0)
    story.wait(5.0)
    for _ in range(2):
        story.bob.login()
        story.wait(1.0)
        story.bob.logout()
        story.wait(1.0)


def the_same_offline_user_again(story: Story) -> None:
    """Cancelled, and called again while still away: bob has missed the first, and the second rings for the
    time that is left."""
    story.bob.logout()
    story.wait(1.0)
    story.dial(story.alice, story.bob, type_=AUDIO)
    story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.dial(story.alice, story.bob, type_=AUDIO, timeout=10.0)
    story.wait(4.0)
    story.bob.login()
    story.wait(1.0)
    story.answer(story.bob)
    story.wait(1.0)
    story.bob.command(t.Hangup)


def back_in_order(story: Story) -> None:
    """Much happens while bob's stream is away; on its return he hears of each change once, in its order."""
    story.connect(story.alice, story.bob, VIDEO)
    story.bob.lose_stream()
    story.alice.command(lambda op: t.SetMicMute(op, True))
    story.wait(0.05)
    story.alice.command(lambda op: t.SetMicMute(op, False))
    story.alice.command(t.CloseCamera)
    story.wait(0.05)
    story.alice.command(lambda op: t.Switch(op, AUDIO))
    story.wait(3.0)
    story.alice.command(lambda op: t.SetMicMute(op, True))
    story.wait(1.0)
    story.alice.command(t.Hangup)


def over_before_it_rang(story: Story) -> None:
    """The invitation comes and goes while bob's stream is away: it never rings, and he has missed it."""
    story.bob.lose_stream()
    story.dial(story.alice, story.bob, type_=AUDIO)
    story.wait(0.05)
    story.alice.command(t.Hangup)
    story.wait(4.0)


def hub_dies_with_the_invitation(story: Story) -> None:
    """The hub dies when the invitation is stored and nobody is told. Whose dial failed takes the call back
    when the hub is there again; the request that is repeated then makes a call, once."""
    story.world.faults = replace(CALM, torn=1.0)
    story.dial(story.alice, story.bob, type_=AUDIO, timeout=30.0)
    story.wait(0.03)
    story.world.faults = CALM
    story.wait(5.0)
    for _ in range(2):
        story.alice.command(lambda op: t.Dial(op, ("bob",), AUDIO, 30.0, "", "alice-1"))
        story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.alice.command(lambda op: t.Dial(op, ("bob",), AUDIO, 30.0, "", "alice-1"))


def joined_without_knowing(story: Story) -> None:
    """Bob answers and hangs up, joins the same call and hangs up, and hears none of the hub's replies: each
    time that he is in all the same, he leaves."""
    story.dial(story.alice, story.bob, story.carol, type_=AUDIO)
    story.wait(1.0)
    story.answer(story.carol)
    story.wait(1.0)
    story.world.faults = replace(CALM, lost_reply=1.0)
    story.answer(story.bob)
    story.wait(0.01)
    story.bob.command(t.Hangup)
    story.wait(1.0)
    call = story.bob.state.previous
    story.bob.command(lambda op: t.Join(op, call.hub.call_id if call else ""))
    story.wait(0.01)
    story.bob.command(t.Hangup)
    story.wait(1.0)
    story.world.faults = CALM
    story.wait(4.0)
    story.alice.command(t.Hangup)


def clock_a_day_back(story: Story) -> None:
    """The hub dies, and somebody sets its clock back by a day: what rings does not ring for a day."""
    story.dial(story.alice, story.bob, type_=AUDIO, timeout=20.0)
    story.wait(1.0)
    story.world.hub.crash(-DAY)
    story.wait(30.0)


def clock_a_day_ahead(story: Story) -> None:
    """The other way round: what rings has run out, as after a day's outage; who talks goes on talking."""
    story.connect(story.alice, story.bob, AUDIO)
    story.carol.command(lambda op: t.SetMicMute(op, True))
    story.world.hub.crash(DAY)
    story.wait(6.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.dial(story.alice, story.carol, type_=AUDIO, timeout=20.0)
    story.wait(1.0)
    story.world.hub.crash(DAY)
    story.wait(6.0)


def back_within_the_lease_of_a_call(story: Story) -> None:
    """A device is wholly cut off for longer than a lease, but in a call: nobody leaves."""
    story.connect(story.alice, story.bob, AUDIO)
    story.world.cut(story.bob, 20.0)
    story.wait(26.0)
    story.bob.command(t.Hangup)


# ------------------------------------------------------------------------------ groups


def group_call(story: Story) -> None:
    """One message calls the group; who accepts enters, who comes too late is told that it is full, and enters
    when somebody has left; the last one left ends."""
    call_group(story, story.alice)
    story.wait(1.0)
    for device in (story.bob, story.carol, dave(story)):
        story.answer(device)
        story.wait(1.0)
    story.bob.command(t.Hangup)
    story.wait(1.0)
    story.answer(dave(story))
    story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.carol.command(t.Hangup)


def join_a_running_call(story: Story) -> None:
    """A member who had said no joins by the group's name; another call of the group is refused meanwhile."""
    call_group(story, story.alice)
    story.wait(1.0)
    story.answer(story.bob)
    story.decline(story.carol)
    story.wait(1.0)
    call_group(story, story.carol)
    story.wait(1.0)
    story.carol.command(lambda op: t.Join(op, group_id="g"))
    story.wait(1.0)
    for device in (story.alice, story.bob):
        device.command(t.Hangup)
        story.wait(1.0)


def invite_more(story: Story) -> None:
    """A call of two becomes a call of three; who had left is asked again, by an invitation of its own."""
    story.connect(story.alice, story.bob, AUDIO)
    story.bob.command(lambda op: t.InviteUsers(op, ("carol",), 10.0, "more"))
    story.wait(1.0)
    story.answer(story.carol)
    story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.carol.command(lambda op: t.InviteUsers(op, ("alice",), 3.0, "again"))
    story.wait(4.0)
    story.bob.command(t.Hangup)


def lost_from_a_group_call(story: Story) -> None:
    """A device stays away longer than the lease of a call: it leaves, and the others stay."""
    story.dial(story.alice, story.bob, story.carol, type_=AUDIO)
    story.wait(1.0)
    for device in (story.bob, story.carol):
        story.answer(device)
    story.wait(1.0)
    story.world.cut(story.carol, 30.0)
    story.wait(40.0)
    story.alice.command(t.Hangup)


_STORIES: tuple[tuple[Town, tuple[Callable[[Story], None], ...]], ...] = (
    (
        THREE,
        (
            both_hang_up,
            accept_twice,
            everyone_busy,
            logged_out_and_in_and_called,
            missed_while_away,
            the_same_offline_user_again,
            back_in_order,
            over_before_it_rang,
            hub_dies_with_the_invitation,
            joined_without_knowing,
            clock_a_day_back,
            clock_a_day_ahead,
            back_within_the_lease_of_a_call,
            invite_more,
            lost_from_a_group_call,
        ),
    ),
    (TWO_DEVICES, (two_devices_accept, one_device_declines, answered_while_away)),
    (GROUP, (each_says_no_in_another_way, group_call, join_a_running_call)),
)

SHARP: Mapping[str, tuple[Callable[[Story], None], Town]] = {
    story.__name__.replace("_", "-"): (story, town) for town, stories in _STORIES for story in stories
}
