"""The hub's side of a simulated world: the real core, a disk image, streams that may break."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mediaagentd.call import types as call_types
from mediaagentd.errors import Refused
from mediaagentd.hub import types as hub

from tests.simulation import law
from tests.simulation.pace import STRICT, Pace
from tests.simulation.rules import CALL_LEASE, LEASE, Broken

if TYPE_CHECKING:
    from tests.simulation.signalling import Signalling
    from tests.simulation.world import World

_MEMBER_STATE = {s: call_types.MemberState(s.value) for s in hub.MemberState}
_REASON = {r: call_types.EndReason(r.value) for r in hub.EndReason}
_TYPE = {t: call_types.CallType(t.value) for t in hub.CallType}
Told = call_types.Report | hub.Missed
TYPE = {t: hub.CallType(t.value) for t in call_types.CallType}


def told(call: hub.Call, now: float) -> call_types.HubCall:
    """A call as it travels."""
    return call_types.HubCall(
        call_id=call.call_id,
        invite_id=call.invite_id,
        room_id=call.room_id,
        type=_TYPE[call.type],
        sponsor=call.sponsor,
        members=tuple(
            call_types.Member(
                m.user_id,
                _MEMBER_STATE[m.state],
                m.device_id,
                m.join_order,
                m.audio,
                m.video,
                _asked_in(m.invitation, now),
                _REASON[m.left] if m.left else None,
            )
            for m in call.members
        ),
        revision=call.revision,
        group_id=call.group_id,
        timeout=None if call.deadline is None else max(0.0, call.deadline - now),
        ended=call.ended,
        end_reason=_REASON[call.end_reason] if call.end_reason else None,
        ended_by=call.ended_by,
        is_group=call.group,
    )


def _asked_in(invitation: hub.Invitation | None, now: float) -> call_types.Invitation | None:
    if invitation is None:
        return None
    timeout = None if invitation.deadline is None else max(0.0, invitation.deadline - now)
    return call_types.Invitation(invitation.invite_id, invitation.sponsor, timeout)


class Unreachable(Exception):
    """The hub is down."""


class HubSide:
    """The hub. `users`, `sessions`, `disk` (calls), `groups`, `missed` and `known` (devices) are what a crash
    leaves; `owed` are the devices that are to hear of a missed call."""

    def __init__(self, world: World) -> None:
        self._world = world
        town = world.town
        self._limits = hub.Limits(
            lease=LEASE, call_lease=CALL_LEASE, members=town.members, remembered=20, policy=town.policy
        )
        if town.strict:
            self._limits = replace(self._limits, caller=STRICT[0], callee=STRICT[1])
        self.core = world.rules.core(self._limits)
        self._pace = Pace(self._limits)
        self._leases = law.Leases(world.now)
        self.up = True
        self.users: set[str] = set()
        self.sessions: dict[str, hub.Session] = {}
        self.disk: dict[str, hub.Call] = {}
        self.groups: dict[str, hub.Group] = {}
        self.missed: dict[tuple[str, str], hub.Missed] = {}
        self.known: dict[tuple[str, str], None] = {}
        self.owed: dict[tuple[str, str], tuple[str, ...]] = {}
        self.streams: dict[str, tuple[Signalling, int]] = {}
        self.kicked: dict[str, str] = {}
        self.departures: dict[tuple[str, str, int], call_types.EndReason] = {}
        self._arrivals: dict[str, float] = {}
        self._outboxes: dict[str, list[Told]] = {}
        self._tick_at = float("inf")
        self._names = 0
        self._ahead = 0.0

    @property
    def now(self) -> float:
        """The hub's clock. It runs evenly as long as the hub lives."""
        return self._world.now + self._ahead

    @property
    def calls(self) -> dict[str, hub.Call]:
        """The calls on the disk that live."""
        return {call_id: call for call_id, call in self.disk.items() if not call.ended}

    def name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    def step(self, given: hub.Input) -> hub.Call | None:
        """Runs the core and performs its effects. Refused; Unreachable when down, or when it dies after
        it has stored the change and before it has told anyone."""
        if not self.up:
            raise Unreachable
        world = self._world
        try:
            effects = self.core.step(self.now, given)
        except Refused as refused:
            self._pace.refused(self.now, refused)
            raise
        if any(isinstance(effect, hub.PutCall) for effect in effects):
            law.check_actor(given, self.disk, self.sessions)
        self._leases.in_call(world.now, self.calls.values())
        if isinstance(given, hub.Login | hub.RenewLease):
            self._leases.heard(world.now, given.token)
        torn = bool(world.faults.torn and world.random.random() < world.faults.torn)
        reply = self._perform(given, effects, torn)
        if len(self.calls) != len(self.core.calls()):
            raise Broken(f"the disk holds {sorted(self.calls)}, the core {self.core.calls()}")
        if torn:
            self.crash()
            raise Unreachable
        self.check_leases()
        self._set_timer()
        return reply

    def _perform(self, given: hub.Input, effects: tuple[hub.Effect, ...], torn: bool) -> hub.Call | None:
        """What is stored is stored; what is told is not when the hub is about to die. The reply."""
        reply: hub.Call | None = None
        for effect in effects:
            match effect:
                case hub.PushCall(token, call):
                    if not torn:
                        self.push(token, call_types.CallChanged(told(call, self.now)))
                case hub.PushMissed(token, missed):
                    if not torn:
                        self.push(token, missed)
                case hub.PushSignal():
                    pass
                case hub.Reply(answer):
                    reply = answer if isinstance(answer, hub.Call) else None
                    self._promised(given, reply)
                case _:
                    self._store(given, effect)
        return reply

    def _store(self, given: hub.Input, effect: hub.Effect) -> None:
        match effect:
            case hub.PutUser(user_id):
                self.users.add(user_id)
            case hub.PutDevice(user_id, device_id):
                self.known.pop((user_id, device_id), None)
                self.known[user_id, device_id] = None
            case hub.DropDevice(user_id, device_id):
                del self.known[user_id, device_id]
            case hub.PutSession(session):
                self.sessions[session.token] = session
            case hub.DropSession(token, kicked_by):
                if isinstance(given, hub.Tick):
                    self._leases.dropped(self._world.now, token, self.calls.values())
                self._drop(token, kicked_by)
            case hub.PutCall(call):
                if isinstance(given, hub.Invite | hub.InviteMore):
                    inviter = self.sessions[given.token].user_id
                    self._pace.told(self.now, inviter, self.disk.get(call.call_id), call)
                self._put(given, call)
            case hub.DropCall(call_id):
                self.disk.pop(call_id, None)
            case hub.PutGroup(group):
                self.groups[group.group_id] = group
            case hub.DropGroup(group_id):
                del self.groups[group_id]
            case hub.PutMissed(missed):
                name = missed.user_id, missed.invite_id
                self.missed[name] = missed
                self.owed.setdefault(name, tuple(d for u, d in self.known if u == missed.user_id))
            case hub.DropMissed(user_id, invite_ids):
                for invite_id in invite_ids:
                    self.missed.pop((user_id, invite_id), None)

    def check_leases(self) -> None:
        """Nobody is kept for longer than it may be silent. Broken."""
        self._leases.check(self._world.now, self.sessions, self.calls.values())

    def push(self, token: str, report: Told) -> None:
        """Puts a report into a session's outbox and, while there is one, on its stream."""
        outbox = self._outboxes.setdefault(token, [])
        outbox.append(report)
        self._send(token, report, len(outbox))

    def _send(self, token: str, report: Told, sequence: int) -> None:
        """In order; lost when the stream breaks before it arrives."""
        stream = self.streams.get(token)
        if stream is None:
            return
        world = self._world
        at = max(world.now + world.delay(), self._arrivals.get(token, 0.0))
        self._arrivals[token] = at
        device, epoch = stream
        world.at(at, device.deliver, epoch, report, sequence)

    def welcome(self, token: str, device: Signalling, epoch: int, cursor: int) -> None:
        """Begins a stream: what is live, then every push after the cursor if they are still known.
        Refused, Unreachable."""
        if not self.up:
            raise Unreachable
        now = self.now
        calls = tuple(told(call, now) for call in self.core.welcome(token))
        self.streams[token] = (device, epoch)
        self._send(token, call_types.CallsListed(calls), 0)
        missed = self.core.missed(token)
        if again := [entry for entry in missed if entry.invite_id in device.acknowledged]:
            raise Broken(f"{device.device_id} is told again of {again}")
        if missed:
            self._world.at(self._arrivals[token], device.deliver_missed, epoch, missed)
        if self._world.random.random() < 0.7:
            for sequence, report in self._newest(token):
                if sequence > cursor:
                    self._send(token, report, sequence)

    def _newest(self, token: str) -> list[tuple[int, Told]]:
        """What a session was pushed, but nothing of a call that was told anew after it."""
        pushes = list(enumerate(self._outboxes.get(token, ()), 1))
        last = {r.call.call_id: at for at, r in pushes if isinstance(r, call_types.CallChanged)}
        return [
            (at, r)
            for at, r in pushes
            if not isinstance(r, call_types.CallChanged) or last[r.call.call_id] == at
        ]

    def crash(self, step: float = 0.0) -> None:
        """Dies; comes back from its disk after a while, with a clock that was set by `step` seconds."""
        world = self._world
        self.up = False
        streams, self.streams = self.streams, {}
        self._outboxes.clear()
        for device, epoch in streams.values():
            world.later(world.delay(), device.stream_broke, epoch)
        world.later(world.random.uniform(0.2, 4.0), self._restart, step)
        if world.trace is not None:
            world.note("hub", "crashes")

    def _restart(self, step: float) -> None:
        self._ahead += step
        self.core = self._world.rules.core(self._limits)
        self._pace = Pace(self._limits)
        self._leases = law.Leases(self._world.now, self.sessions)
        changed = self.core.restore(
            self.users, self.sessions.values(), self.disk.values(), self.now, self.groups.values(),
            self.missed.values(), self.known,
        )  # fmt: skip
        if changed:
            raise Broken(f"what a crash left is whole, and the hub mended {changed}")
        self.up = True
        self._set_timer()
        if self._world.trace is not None:
            clock = f", its clock {step:+.0f} s" if step else ""
            self._world.note("hub", f"is back from its disk{clock}")

    def _drop(self, token: str, kicked_by: str) -> None:
        del self.sessions[token]
        if kicked_by:
            self.kicked[token] = kicked_by
            user = self._world.tokens[token]
            report = call_types.SessionChanged(call_types.SessionPhase.KICKED_OUT, user, kicked_by)
            self.push(token, report)
        stream = self.streams.pop(token, None)
        if stream is not None:
            device, epoch = stream
            at = max(self._world.now, self._arrivals.get(token, 0.0)) + self._world.delay()
            self._world.at(at, device.stream_broke, epoch)

    def _put(self, given: hub.Input, call: hub.Call) -> None:
        before = self.disk.get(call.call_id)
        for old, new in zip(before.members, call.members, strict=False) if before else ():
            if old.state is hub.MemberState.JOINED and new.state is hub.MemberState.LEFT:
                departure = call.call_id, old.user_id, old.join_order
                self.departures[departure] = _REASON[law.why(given, old)]
        self.disk[call.call_id] = call
        others = [c for c in self.disk.values() if c is not call and not c.ended]
        law.check(before, call, others, self.sessions, self.groups, self._limits.members)
        self._world.promises.changed(call)

    def _promised(self, given: hub.Input, call: hub.Call | None) -> None:
        """What is stored is promised, told or not. A repeated request makes nothing."""
        if isinstance(given, hub.Invite | hub.InviteMore) and call is not None:
            sponsor = self.sessions[given.token].device_id
            into = given.call_id if isinstance(given, hub.InviteMore) else ""
            self._world.promises.invited(sponsor, f"{into}/{given.request_id}", given.invite_id, call)

    def _set_timer(self) -> None:
        deadline = self.core.deadline()
        if deadline is None:
            return
        at = max(deadline - self._ahead, self._world.now + 1e-6)
        if at < self._tick_at:
            self._tick_at = at
            self._world.at(at, self._tick, at)

    def _tick(self, at: float) -> None:
        if at != self._tick_at:
            return
        self._tick_at = float("inf")
        if self.up:
            try:
                self.step(hub.Tick())
            except Unreachable:
                return
            self._set_timer()


def hub_input(command: call_types.HubCommand, token: str, side: HubSide) -> hub.Input:
    """A machine's command as the hub's service hands it to the core."""
    match command:
        case call_types.Invite(user_ids, type_, timeout, group_id, request_id):
            return hub.Invite(
                token,
                side.name("c"),
                side.name("i"),
                7,
                user_ids,
                TYPE[type_],
                timeout,
                len(user_ids) > 1,
                group_id,
                request_id,
            )
        case call_types.InviteMore(call_id, user_ids, timeout, request_id):
            return hub.InviteMore(token, call_id, side.name("i"), user_ids, timeout, request_id)
        case call_types.JoinCall(call_id, group_id):
            return hub.JoinCall(token, call_id, group_id)
        case call_types.Accept(invite_id):
            return hub.Accept(token, invite_id)
        case call_types.Reject(invite_id, is_busy):
            return hub.Reject(token, invite_id, is_busy)
        case call_types.Leave(call_id, reason):
            return hub.Hangup(token, call_id, hub.EndReason(reason.value))
        case call_types.SwitchCallType(call_id, type_):
            return hub.SwitchCallType(token, call_id, TYPE[type_])
        case call_types.SetAvailability(call_id, audio, video):
            return hub.SetAvailability(token, call_id, audio, video)
