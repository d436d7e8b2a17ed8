"""The stories whose transcripts are kept: what each agent is told, does and publishes, in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mediaagentd.call import types as t

from tests.simulation.device import Device
from tests.simulation.rules import CALM, Town
from tests.simulation.world import World

AUDIO, VIDEO = t.CallType.AUDIO, t.CallType.VIDEO


THREE = Town(3)


class Steady(World):
    """A wire that takes 20 ms, always: what a story tells does not hang on chance."""

    def delay(self) -> float:
        return 0.02


class Story:
    """A world without faults whose agents are logged in, and what is done in it. Times in seconds."""

    def __init__(self, town: Town = THREE) -> None:
        self.lines: list[str] = []
        self.world = Steady(1, CALM, town, trace=self.lines)
        self.alice, self.bob, self.carol = self.world.devices[:3]
        for device in self.world.devices:
            device.login()
        self.wait(1.0)
        self.world.found()
        self.lines.clear()

    def wait(self, seconds: float) -> None:
        self.world.run(self.world.now + seconds)

    def dial(
        self, who: Device, *others: Device, type_: t.CallType = VIDEO, timeout: float | None = 20.0
    ) -> None:
        users = tuple(other.user_id for other in others)
        who.command(lambda op: t.Dial(op, users, type_, timeout, "", f"{who.user_id}-{op}"))

    def answer(self, who: Device) -> None:
        invite = self.invite(who)
        who.command(lambda op: t.Answer(op, invite))

    def decline(self, who: Device, is_busy: bool = False) -> None:
        invite = self.invite(who)
        who.command(lambda op: t.Decline(op, invite, is_busy))

    def invite(self, who: Device) -> str:
        call = who.state.call or who.state.previous
        return call.invite.invite_id if call else "none"

    def connect(self, caller: Device, callee: Device, type_: t.CallType = VIDEO) -> None:
        self.dial(caller, callee, type_=type_)
        self.wait(1.0)
        self.answer(callee)
        self.wait(2.0)


def accept_and_hangup(story: Story) -> None:
    story.connect(story.alice, story.bob)
    story.bob.command(lambda op: t.SetMicMute(op, True))
    story.wait(1.0)
    story.alice.command(t.CloseCamera)
    story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.alice.command(t.Hangup)


def reject(story: Story) -> None:
    """The camera that dialling had opened is off after it."""
    story.dial(story.alice, story.bob)
    story.wait(1.0)
    story.decline(story.bob)
    story.wait(1.0)
    story.answer(story.bob)


def busy(story: Story) -> None:
    story.connect(story.alice, story.bob, AUDIO)
    story.dial(story.carol, story.bob)
    story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.dial(story.carol, story.bob)
    story.wait(1.0)
    story.decline(story.bob, is_busy=True)


def cancel(story: Story) -> None:
    story.dial(story.alice, story.bob)
    story.wait(1.0)
    story.alice.command(t.Hangup)


def timeout(story: Story) -> None:
    story.dial(story.alice, story.bob, timeout=3.0)


def switch_to_audio_and_back(story: Story) -> None:
    story.bob.command(lambda op: t.Switch(op, AUDIO))
    story.connect(story.alice, story.bob)
    story.bob.command(lambda op: t.Switch(op, AUDIO))
    story.wait(1.0)
    story.alice.command(lambda op: t.Switch(op, AUDIO))
    story.alice.command(lambda op: t.Switch(op, VIDEO))
    story.wait(2.0)
    story.bob.command(t.Hangup)


def glare(story: Story) -> None:
    """Both call each other at once: the hub takes one call, its invitee rings, the other is refused."""
    story.dial(story.alice, story.bob)
    story.wait(0.001)
    story.dial(story.bob, story.alice)
    story.wait(1.0)
    for device in (story.alice, story.bob):
        call = device.state.call
        if call is not None and call.phase is t.Phase.RINGING:
            story.answer(device)
    story.wait(2.0)
    story.alice.command(t.Hangup)


def crossing(story: Story) -> None:
    """A calls B while B calls C."""
    story.dial(story.bob, story.carol)
    story.wait(0.001)
    story.dial(story.alice, story.bob)


def accept_before_cancel(story: Story) -> None:
    """Accept and cancel in one instant, the accept reaches the hub first."""
    story.dial(story.alice, story.bob)
    story.wait(1.0)
    story.answer(story.bob)
    story.wait(0.001)
    story.alice.command(t.Hangup)


def cancel_before_accept(story: Story) -> None:
    """Accept and cancel in one instant, the cancel reaches the hub first."""
    story.dial(story.alice, story.bob)
    story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(0.001)
    story.answer(story.bob)


def kicked_in_call(story: Story) -> None:
    story.connect(story.alice, story.bob)
    story.world.usurp("bob")
    story.wait(2.0)
    story.bob.login()


def hub_restart_in_call(story: Story) -> None:
    """The call does not notice; what was changed meanwhile is told afterwards."""
    story.connect(story.alice, story.bob)
    story.world.hub.crash()
    story.wait(0.1)
    story.bob.command(lambda op: t.SetMicMute(op, True))
    story.bob.command(lambda op: t.Switch(op, AUDIO))
    story.wait(8.0)
    story.bob.command(t.Hangup)


def hangup_without_hub(story: Story) -> None:
    story.connect(story.alice, story.bob)
    story.world.hub.crash()
    story.wait(0.1)
    story.alice.command(t.Hangup)
    story.wait(8.0)


def rejected_while_away(story: Story) -> None:
    """The inviter's stream is away when the outcome comes; it learns of it on its return."""
    story.dial(story.alice, story.bob)
    story.wait(1.0)
    story.alice.lose_stream()
    story.decline(story.bob)
    story.wait(4.0)


def caller_vanishes(story: Story) -> None:
    story.dial(story.alice, story.bob, timeout=None)
    story.wait(1.0)
    story.world.cut(story.alice, 25.0)
    story.wait(40.0)


def callee_vanishes(story: Story) -> None:
    story.dial(story.alice, story.bob, timeout=25.0)
    story.wait(1.0)
    story.world.cut(story.bob, 25.0)
    story.wait(40.0)


def logout_login_called(story: Story) -> None:
    """Logged out while ringing; the next login of the user may answer what still rings."""
    story.dial(story.alice, story.bob)
    story.wait(1.0)
    story.bob.logout()
    story.wait(1.0)
    story.bob.login()
    story.wait(1.0)
    story.answer(story.bob)
    story.wait(2.0)
    story.alice.command(t.Hangup)


def group_of_three(story: Story) -> None:
    story.dial(story.alice, story.bob, story.carol)
    story.wait(1.0)
    story.answer(story.bob)
    story.wait(1.0)
    story.answer(story.carol)
    story.wait(1.0)
    story.alice.command(t.Hangup)
    story.wait(1.0)
    story.bob.command(t.Hangup)


def group_nobody_comes(story: Story) -> None:
    story.dial(story.alice, story.bob, story.carol, timeout=3.0)
    story.wait(1.0)
    story.decline(story.bob)


STORIES: Mapping[str, Callable[[Story], None]] = {
    story.__name__.replace("_", "-"): story
    for story in (
        accept_and_hangup,
        reject,
        busy,
        cancel,
        timeout,
        switch_to_audio_and_back,
        glare,
        crossing,
        accept_before_cancel,
        cancel_before_accept,
        kicked_in_call,
        hub_restart_in_call,
        hangup_without_hub,
        rejected_while_away,
        caller_vanishes,
        callee_vanishes,
        logout_login_called,
        group_of_three,
        group_nobody_comes,
    )
}


def tell(name: str, told: Callable[[Story], None], town: Town = THREE) -> str:
    """The transcript of a story."""
    story = Story(town)
    told(story)
    story.wait(6.0)
    title = " ".join((told.__doc__ or name.replace("-", " ")).split())
    head = f"# {title}\n# <- told or asked   -> to be done   !! published\n"
    return head + "\n".join(line.rstrip() for line in story.lines) + "\n"
