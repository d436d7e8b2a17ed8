"""One agent of a simulated world: the real call machine with a model of its signalling and media."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from mediaagentd.call import mirror
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import types as hub

from tests.simulation.hubside import Unreachable, hub_input, told
from tests.simulation.rules import LEASE, Broken
from tests.simulation.watch import Watch
from tests.simulation.words import brief

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.world import World

Peer = tuple[str, str, int]
_HERE = (t.SessionPhase.ONLINE, t.SessionPhase.RECONNECTING)
_UNREACHABLE = Refused(Reason.HUB_UNREACHABLE, "the hub is out of reach")


class Device:
    """An agent. `run` counts its starts: what was meant for an earlier run is lost."""

    def __init__(self, world: World, user_id: str) -> None:
        self.world = world
        self.user_id = user_id
        self.device_id = f"{user_id}-1"
        self.state = t.State()
        self.watch = Watch()
        self.run = 0
        self.token = ""
        self.epoch = 0
        self.cut = False
        self.logging_in = False
        self.peers: set[Peer] = set()
        self.camera_on = False
        self._flowing: set[Peer] = set()
        self._lost: set[Peer] = set()
        self._opened: dict[Peer, float] = {}
        self._ops = 0
        self._backlog: deque[t.HubCommand] = deque()
        self._sending = False
        self._tick_at = float("inf")
        self._cursor = 0
        world.later(world.random.uniform(0.0, LEASE / 3), self._renew)

    # ------------------------------------------------------------------------------ the shell

    def command(self, make: Callable[[int], t.Command]) -> None:
        """A client's command; refusals are its answer."""
        self._ops += 1
        op = self._ops
        self.watch.open_ops.add(op)
        command = make(op)
        try:
            self.feed(command)
        except Refused as refused:
            self.watch.answered(op)
            if self.world.trace is not None:
                self.world.note(self.user_id, f"refused: {refused.reason.name}")

    def feed(self, given: t.Input) -> None:
        """An given, its effects, and everything that must hold after it."""
        world = self.world
        if world.trace is not None:
            world.note(self.user_id, f"<- {brief(given)}")
        old = self.state
        new, effects = world.rules.step(old, world.now, given)
        if new is not old:
            self.watch.step(old, new)
            for event in world.rules.derive(old, new):
                if world.trace is not None:
                    world.note(self.user_id, f"   !! {brief(event)}")
                self.watch.event(event)
            self.state = new
        for effect in effects:
            self._perform(effect)
        if new is not old:
            self._check()
            self._check_given_up(old.call, new.call or new.previous)
            self._set_timer()

    def _perform(self, effect: t.Effect) -> None:
        if self.world.trace is not None:
            self.world.note(self.user_id, f"   -> {brief(effect)}")
        match effect:
            case t.Hub(0, command):
                self._backlog.append(command)
                self._send_backlog()
            case t.Hub(op, command):
                self._send(op, command)
            case t.OpenPeer(call_id, user_id, attempt):
                self._open((call_id, user_id, attempt))
            case t.ClosePeer(call_id, user_id, attempt):
                self._close((call_id, user_id, attempt))
            case t.ProbeCamera(op):
                self._probe(op)
            case t.ReleaseCamera():
                self.camera_on = False
            case t.Done(op) | t.Failed(op):
                self.watch.answered(op)
            case t.SetSending(audio):
                self._listen(audio)
            case t.Raise():
                pass

    def _check(self) -> None:
        call = self.state.call
        wanted: set[Peer] = set()
        if call is not None:
            wanted = {(call.hub.call_id, p.user_id, p.attempt) for p in call.participants}
            entered = {p.user_id for p in call.participants if p.entered is not None}
            if not entered <= {user for call_id, user, _ in self._flowing & wanted}:
                raise Broken(f"{self.user_id}: {entered} entered {call.hub.call_id} without media")
        if self.peers != wanted:
            raise Broken(f"{self.user_id} has peers {self.peers}, its call wants {wanted}")
        state = self.state
        if self.camera_on != (state.camera or state.probe is not None):
            raise Broken(f"{self.user_id}: the camera is {'on' if self.camera_on else 'off'}: {state}")
        probing = state.probe is not None and state.probe.preview
        if call is None and self.camera_on and not state.preview and not probing and self._ended():
            raise Broken(f"{self.user_id}: the camera is on after the call")

    def _check_given_up(self, old: t.Call | None, new: t.Call | None) -> None:
        """A connection is given up when media says so, or when it was not up for long."""
        if new is None or old is None or new.given_up == old.given_up:
            return
        for user_id, attempt in new.given_up:
            peer = (new.hub.call_id, user_id, attempt)
            patient = self.world.now - self._opened[peer] > mirror.LINK_PATIENCE - 0.001
            if peer not in self._lost and not patient:
                raise Broken(f"{self.user_id} gives {peer} up, which nobody has lost")

    def _ended(self) -> bool:
        return self.state.previous is not None

    def _set_timer(self) -> None:
        deadline = self.world.rules.deadline(self.state)
        if deadline is not None and deadline < self._tick_at:
            self._tick_at = deadline
            self.world.at(max(deadline, self.world.now), self._tick, deadline, self.run)

    def _tick(self, at: float, run: int) -> None:
        if at != self._tick_at or run != self.run:
            return
        self._tick_at = float("inf")
        deadline = self.world.rules.deadline(self.state)
        if deadline is not None and deadline <= self.world.now:
            self.feed(t.Tick())
        self._set_timer()

    def reboot(self) -> None:
        """Dies and starts again, with nothing left of the run before."""
        self.run += 1
        self.epoch += 1
        self.token = ""
        self._backlog.clear()
        for peer in sorted(self.peers):
            self._close(peer)
        self.state, self.watch, self.camera_on = t.State(), Watch(), False
        self._tick_at = float("inf")
        self.logging_in = False
        self.world.later(self.world.random.uniform(0.3, 3.0), self.login)

    # ------------------------------------------------------------------------------ signalling

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

    def deliver(self, epoch: int, report: t.Report, sequence: int) -> None:
        """Something came by the stream."""
        if epoch != self.epoch:
            return
        self._cursor = sequence or self._cursor
        match report:
            case t.CallsListed() if self.state.session is not t.SessionPhase.ONLINE:
                self.feed(t.SessionChanged(t.SessionPhase.ONLINE, self.user_id, "", self.device_id))
                self.feed(report)
            case t.SessionChanged(_, _, kicked_by):
                self._kicked(kicked_by)
            case _:
                self.feed(report)

    def _kicked(self, kicked_by: str) -> None:
        self._end_session()
        self.feed(t.SessionChanged(t.SessionPhase.KICKED_OUT, self.user_id, kicked_by, self.device_id))

    def _renew(self) -> None:
        if self.token and not self.cut:
            with suppress(Refused, Unreachable):
                self.world.hub.step(hub.RenewLease(self.token))
        self.world.later(LEASE / 3, self._renew)

    def _send(self, op: int, command: t.HubCommand) -> None:
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
            answer = t.HubDone(op, told(call, world.now) if call else None)
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

    # ------------------------------------------------------------------------------ media

    def _open(self, peer: Peer) -> None:
        if peer in self.peers:
            raise Broken(f"{self.user_id} opens {peer} twice")
        self.peers.add(peer)
        self._opened[peer] = self.world.now
        self.world.media_opened(self, peer)

    def _close(self, peer: Peer) -> None:
        if peer not in self.peers:
            raise Broken(f"{self.user_id} closes {peer}, which is not open")
        self.peers.remove(peer)
        self.world.media_closed(self, peer)
        random = self.world.random
        if random.random() < self.world.faults.peer_late:
            for report in (t.PeerUp(*peer), t.PeerDown(*peer, final=True)):
                self._report(random.uniform(0.0, 8.0), report)

    def peer_up(self, wait: float, peer: Peer) -> None:
        self.world.later(wait, self._up, self.run, peer)

    def _up(self, run: int, peer: Peer) -> None:
        self._flowing.add(peer)
        self._reported(run, t.PeerUp(*peer))

    def peer_down(self, wait: float, peer: Peer, final: bool) -> None:
        if final:
            self.world.later(wait, self._lost.add, peer)
        self._report(wait, t.PeerDown(*peer, final))

    def _probe(self, op: int) -> None:
        self.camera_on = True
        world = self.world
        wait = world.delay() + 0.2
        if world.random.random() >= world.faults.camera_fails:
            self._report(wait, t.CameraOpened(op))
            return
        error = Refused(world.random.choice((Reason.DEVICE_NOT_FOUND, Reason.DEVICE_PERMISSION)), "camera")
        match world.random.randrange(3):
            case 0:
                world.later(wait, self._camera_failed, self.run, op, error)
            case 1:
                self._report(wait, t.CameraOpened(op))
                world.later(wait + 2.0, self._camera_failed, self.run, 0, error)
            case _:
                pass  # it never says anything

    def _listen(self, wanted: bool) -> None:
        """A microphone that fails may come back, now or when nobody waits for it any more."""
        world, often = self.world, self.world.faults.microphone_fails
        if wanted and often and world.random.random() < often:
            self._report(world.delay(), t.MicrophoneFailed(Refused(Reason.DEVICE_FAILED, "microphone")))
            if world.random.random() < 0.5:
                self._report(world.delay() + 2.0, t.MicrophoneOpened())

    def _camera_failed(self, run: int, op: int, error: Refused) -> None:
        probe = self.state.probe
        current = probe is not None and probe.op == op if op else self.state.camera
        if run == self.run and current:
            self.camera_on = False
        self._reported(run, t.CameraFailed(op, error))
