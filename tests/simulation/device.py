"""One agent of a simulated world: the real call machine with a model of its signalling and media."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mediaagentd.call import events, mirror
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused

from tests.simulation.rules import Broken
from tests.simulation.signalling import Signalling
from tests.simulation.watch import Watch
from tests.simulation.words import brief

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.world import World

Peer = tuple[str, str, int]


class Device(Signalling):
    """An agent."""

    def __init__(self, world: World, user_id: str, number: int = 1) -> None:
        device_id = f"{user_id}-{number}"
        super().__init__(world, user_id, device_id, user_id if number == 1 else device_id)
        self.watch = Watch()
        self.peers: set[Peer] = set()
        self.camera_on = False
        self._flowing: set[Peer] = set()
        self._lost: set[Peer] = set()
        self._opened: dict[Peer, float] = {}
        self._ops = 0
        self._dials: dict[int, str] = {}
        self._made: set[str] = set()
        self._tick_at = float("inf")

    # ------------------------------------------------------------------------------ the shell

    def command(self, make: Callable[[int], t.Command]) -> None:
        """A client's command; refusals are its answer."""
        self._ops += 1
        op = self._ops
        self.watch.open_ops.add(op)
        command = make(op)
        if isinstance(command, t.Dial):
            self._dials[op] = command.request_id
        try:
            self.feed(command)
        except Refused as refused:
            self.watch.answered(op)
            if self.world.trace is not None:
                self.world.note(self.name, f"refused: {refused.reason.name}")

    def feed(self, given: t.Input) -> None:
        """An given, its effects, and everything that must hold after it."""
        world = self.world
        if world.trace is not None:
            world.note(self.name, f"<- {brief(given)}")
        old = self.state
        new, effects = world.rules.step(old, world.now, given)
        if new is not old:
            self.watch.step(old, new)
            for event in world.rules.derive(old, new):
                if world.trace is not None:
                    world.note(self.name, f"   !! {brief(event)}")
                self.watch.event(event)
                if isinstance(event, events.CallChanged):
                    self._made.add(event.call.request_id)
                if isinstance(event, events.Invited):
                    world.promises.kept(self.user_id, event.call.invite.invite_id)
                elif isinstance(event, events.UserLeft):
                    self._check_why(event)
            self.state = new
        for effect in effects:
            self._perform(effect)
        if new is not old:
            self._check()
            self._check_given_up(old.call, new.call or new.previous)
            self._set_timer()

    def _perform(self, effect: t.Effect) -> None:
        if self.world.trace is not None:
            self.world.note(self.name, f"   -> {brief(effect)}")
        match effect:
            case t.Hub(0, command):
                self.say(command)
            case t.Hub(op, command):
                self.send(op, command)
            case t.OpenPeer(call_id, user_id, attempt):
                self._open((call_id, user_id, attempt))
            case t.ClosePeer(call_id, user_id, attempt):
                self._close((call_id, user_id, attempt))
            case t.ProbeCamera(op):
                self._probe(op)
            case t.ReleaseCamera():
                self.camera_on = False
            case t.Done(op):
                self.watch.answered(op)
                self._check_made(op)
            case t.Failed(op):
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

    def _check_made(self, op: int) -> None:
        """Who is told that the call is made can have heard of it, or hears that it rings by now."""
        if op in self._dials and self._dials[op] not in self._made and self.state.call is None:
            raise Broken(f"{self.user_id}: nothing came of {self._dials[op]}, which is done")

    def _check_why(self, event: events.UserLeft) -> None:
        """A user that has left did so for the reason that is told, unless its connection was lost before."""
        call = event.call.hub
        gone = call.member(event.user_id)
        if gone is None or gone.state is not t.MemberState.LEFT:
            return
        why = self.world.hub.departures[call.call_id, gone.user_id, gone.join_order]
        if event.reason not in (why, t.EndReason.CONNECTION_LOST):
            raise Broken(f"{gone.user_id} left {call.call_id} for {why}, not {event.reason}")

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
        self.forget()
        for peer in sorted(self.peers):
            self._close(peer)
        self.state, self.watch, self.camera_on = t.State(), Watch(), False
        self._tick_at = float("inf")
        self.world.later(self.world.random.uniform(0.3, 3.0), self.login)

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
