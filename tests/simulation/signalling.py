"""An agent's way to the hub, as a model: logins, a stream that breaks, commands that get lost or doubled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import types as hub

from tests.simulation.hubside import Unreachable, hub_input, told
from tests.simulation.rules import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.world import World

_UNREACHABLE = Refused(Reason.HUB_UNREACHABLE, "the hub is out of reach")


class Signalling(ABC):
    """One device's. `run` counts the starts of the agent: what was meant for an earlier run is lost.
    `name` is what transcripts call it; `missed` and `acknowledged` are invitations, and outlive a run.
    """

    def __init__(self, world: World, user_id: str, device_id: str, name: str) -> None:
        self.world = world
        self.user_id = user_id
        self.device_id = device_id
        self.name = name
        self.state = t.State()
        self.run = 0
        self.token = ""
        self.epoch = 0
        self.cut = False
        self.logging_in = False
        self.missed: set[str] = set()
        self.acknowledged: set[str] = set()
        self._backlog: deque[t.HubCommand] = deque()
        self._sending = False
        self._cursor = 0
        world.later(world.random.uniform(0.0, LEASE / 3), self._renew)

    @abstractmethod
    def feed(self, given: t.Input) -> None:
        """Tells the machine."""

    @abstractmethod
    def command(self, make: Callable[[int], t.Command]) -> None:
        """Asks the machine."""

    def forget(self) -> None:
        """The agent dies, and with it its session and what it had to say."""
        self.run += 1
        self.epoch += 1
        self.token = ""
        self.logging_in = False
        self._backlog.clear()

    def say(self, command: t.HubCommand) -> None:
        """Tells the hub, for as long as it takes."""
        self._backlog.append(command)
        self._send_backlog()

    def login(self) -> None:
        if not self.logging_in:
            self.logging_in = True
            self.world.later(self.world.delay(), self._login_at_hub, self.run)

    def _login_at_hub(self, run: int) -> None:
        if run != self.run:
            return
        side = self.world.hub
        token = side.name("t")
        self.world.tokens[token] = self.user_id
        try:
            if self.cut:
                raise Unreachable
            side.step(hub.Login(token, self.user_id, self.device_id))
        except Unreachable:
            self.world.later(1.0, self._login_at_hub, run)
            return
        self.token = token
        self._cursor = 0
        self.logging_in = False
        self._subscribe()

    def logout(self) -> None:
        """Hangs up, tells the hub (which may not hear it), forgets the session."""
        self.command(lambda op: t.Hangup(op, t.EndReason.LOGGED_OUT))
        token = self.token
        self._end_session()
        self.feed(t.SessionChanged(t.SessionPhase.LOGGED_OUT, self.user_id))
        if self.world.random.random() >= self.world.faults.lost_request:
            self.world.later(self.world.delay(), self._logout_at_hub, token)

    def _logout_at_hub(self, token: str) -> None:
        try:
            self.world.hub.step(hub.Logout(token))
        except Unreachable:
            return

    def _end_session(self) -> None:
        self.token = ""
        self.epoch += 1
        self._backlog.clear()

    def lose_stream(self) -> None:
        """The stream breaks; what is on its way is lost."""
        if not self.token:
            return
        self.epoch += 1
        if self.state.session is t.SessionPhase.ONLINE:
            self.feed(t.SessionChanged(t.SessionPhase.RECONNECTING, self.user_id, "", self.device_id))
        self.world.later(self.world.random.uniform(0.05, 2.0), self._subscribe_again, self.epoch)

    def stream_broke(self, epoch: int) -> None:
        if epoch == self.epoch:
            self.lose_stream()

    def _subscribe_again(self, epoch: int) -> None:
        if epoch == self.epoch and self.token:
            self._subscribe()

    def _subscribe(self) -> None:
        self.epoch += 1
        self.world.later(self.world.delay(), self._subscribe_at_hub, self.epoch)

    def _subscribe_at_hub(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        try:
            if self.cut:
                raise Unreachable
            self.world.hub.welcome(self.token, self, epoch, self._cursor)
        except Unreachable:
            self.world.later(1.0, self._subscribe_again, epoch)
        except Refused:
            self.world.later(self.world.delay(), self._session_unknown, epoch)

    def _session_unknown(self, epoch: int) -> None:
        if epoch != self.epoch:
            return
        kicked_by = self.world.hub.kicked.get(self.token)
        if kicked_by is None:
            self.login()
        else:
            self._kicked(kicked_by)

    def deliver(self, epoch: int, report: t.Report | hub.Missed, sequence: int) -> None:
        """Something came by the stream."""
        if epoch != self.epoch:
            return
        self._cursor = sequence or self._cursor
        match report:
            case hub.Missed():
                self.deliver_missed(epoch, (report,))
            case t.CallsListed() if self.state.session is not t.SessionPhase.ONLINE:
                self.feed(t.SessionChanged(t.SessionPhase.ONLINE, self.user_id, "", self.device_id))
                self.feed(report)
            case t.SessionChanged(_, _, kicked_by):
                self._kicked(kicked_by)
            case _:
                self.feed(report)

    def deliver_missed(self, epoch: int, calls: tuple[hub.Missed, ...]) -> None:
        """The hub tells what nobody answered: it is kept here, and then the hub may forget it."""
        if epoch != self.epoch:
            return
        for call in calls:
            self.missed.add(call.invite_id)
            if self.world.trace is not None:
                self.world.note(self.name, f"<- Missed {call.call_id} {call.sponsor} {call.reason.name}")
        if calls:
            self.world.later(self.world.delay(), self._acknowledge, self.token)

    def _acknowledge(self, token: str) -> None:
        known = tuple(sorted(self.missed - self.acknowledged))
        if self.cut or not known or self.world.random.random() < self.world.faults.lost_request:
            return
        with suppress(Refused, Unreachable):
            self.world.hub.step(hub.AcknowledgeMissed(token, known))
            self.acknowledged |= set(known)

    def _kicked(self, kicked_by: str) -> None:
        self._end_session()
        self.feed(t.SessionChanged(t.SessionPhase.KICKED_OUT, self.user_id, kicked_by, self.device_id))

    def _renew(self) -> None:
        if self.token and not self.cut:
            with suppress(Refused, Unreachable):
                self.world.hub.step(hub.RenewLease(self.token))
        self.world.later(LEASE / 3, self._renew)

    def send(self, op: int, command: t.HubCommand) -> None:
        world = self.world
        chance, faults = world.random.random(), world.faults
        if chance < faults.lost_request:
            self._report(2.0, t.HubFailed(op, _UNREACHABLE))
            return
        mute = world.random.random() < faults.swallowed
        world.later(world.delay(), self._execute, op, command, self.token, self.run, mute)
        if world.random.random() < faults.doubled:
            world.later(2 * world.delay(), self._execute, op, command, self.token, self.run, True)

    def _execute(self, op: int, command: t.HubCommand, token: str, run: int, mute: bool) -> None:
        world = self.world
        if run != self.run:
            return
        wait = world.delay()
        answer: t.Report
        try:
            if self.cut:
                raise Unreachable
            call = world.hub.step(hub_input(command, token, world.hub))
            answer = t.HubDone(op, told(call, world.hub.now) if call else None)
        except Unreachable:
            wait, answer = 1.0, t.HubFailed(op, _UNREACHABLE)
        except Refused as refused:
            answer = t.HubFailed(op, refused)
        if mute:
            return
        if world.random.random() < world.faults.lost_reply:
            wait, answer = 2.0, t.HubFailed(op, _UNREACHABLE)
        self._report(wait, answer)

    def _send_backlog(self) -> None:
        if not self._sending:
            self._sending = True
            self.world.later(self.world.delay(), self._execute_backlog)

    def _execute_backlog(self) -> None:
        """The oldest command that nobody waits for, again and again until the hub has answered."""
        self._sending = False
        if not self._backlog:
            return
        world = self.world
        command = self._backlog[0]
        answered = False
        try:
            if not self.cut and world.random.random() >= world.faults.lost_request:
                world.hub.step(hub_input(command, self.token, world.hub))
                answered = world.random.random() >= world.faults.lost_reply
        except Unreachable:
            pass
        except Refused as refused:
            answered = refused.reason is not Reason.SESSION_UNKNOWN
        if answered:
            self._backlog.popleft()
        if self._backlog:
            self._sending = True
            world.later(world.delay() if answered else 1.0, self._execute_backlog)

    def _report(self, wait: float, report: t.Report) -> None:
        self.world.later(wait, self._reported, self.run, report)

    def _reported(self, run: int, report: t.Report) -> None:
        if run == self.run:
            self.feed(report)
