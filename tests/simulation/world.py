"""A world of agents and one hub under a virtual clock. Everything that happens follows from the seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from mediaagentd.call import types as t
from mediaagentd.errors import Refused
from mediaagentd.hub import calls
from mediaagentd.hub import types as hub

from tests.simulation.device import Device, Peer
from tests.simulation.hubside import HubSide, Unreachable
from tests.simulation.promises import Promises
from tests.simulation.rules import Broken, Faults, Rules, Town

USERS = ("alice", "bob", "carol", "dave", "erin", "frank")


SMALL = Town()
LONGEST = 20.0
"""Seconds that anyone lets ring, unless for ever."""


class World:
    """Agents, hub, wire and clock (seconds)."""

    def __init__(
        self,
        seed: int,
        faults: Faults,
        town: Town = SMALL,
        rules: Rules | None = None,
        trace: list[str] | None = None,
    ) -> None:
        self.random = Random(seed)
        self.faults = faults
        self.rules = rules or Rules()
        self.now = 0.0
        self.trace = trace
        self.town = town
        self.promises = Promises()
        self.tokens: dict[str, str] = {}
        self._queue: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._entries = 0
        self.hub = HubSide(self)
        self.users = USERS[: town.users]
        first = tuple(Device(self, user) for user in self.users)
        self.devices = (*first, *(Device(self, user, 2) for user in self.users[: town.spare]))
        self._of = {user: [d for d in self.devices if d.user_id == user] for user in self.users}

    # ------------------------------------------------------------------------------ time

    def delay(self) -> float:
        return self.random.random() * self.faults.delay

    def later(self, wait: float, action: Callable[..., None], *args: Any) -> None:
        self.at(self.now + wait, action, *args)

    def at(self, time: float, action: Callable[..., None], *args: Any) -> None:
        self._entries += 1
        heapq.heappush(self._queue, (time, self._entries, action, args))

    def run(self, until: float) -> None:
        queue = self._queue
        while queue and queue[0][0] <= until:
            self.now, _, action, args = heapq.heappop(queue)
            action(*args)
        self.now = until

    # ------------------------------------------------------------------------------ media

    def media_opened(self, device: Device, peer: Peer) -> None:
        """Both ends are there: media begins to flow, for as long as the faults allow."""
        call_id, other_id, attempt = peer
        far = (call_id, device.user_id, attempt)
        other = self._at_far_end(other_id, far)
        if other is None or self.random.random() < self.faults.peer_never:
            return
        ends = ((device, peer), (other, far))
        for end, its in ends:
            end.peer_up(0.1 + self.delay(), its)
        if self.random.random() >= self.faults.peer_drops:
            return
        lost = self.random.uniform(0.3, 5.0)
        back = self.random.random() < 0.5
        for end, its in ends:
            end.peer_down(lost, its, final=False)
            if back:
                end.peer_up(lost + self.random.uniform(0.5, 3.0), its)
            else:
                end.peer_down(lost + self.random.uniform(2.0, 8.0), its, final=True)

    def media_closed(self, device: Device, peer: Peer) -> None:
        """The far end hears a farewell, before or after the hub's word; or it notices after a while."""
        call_id, other_id, attempt = peer
        far = (call_id, device.user_id, attempt)
        other = self._at_far_end(other_id, far)
        if other is None:
            return
        if self.random.random() < 0.5:
            other.peer_down(self.delay(), far, final=True)
        else:
            other.peer_down(1.0 + self.delay(), far, final=False)
            other.peer_down(8.0 + self.delay(), far, final=True)

    def _at_far_end(self, user_id: str, far: Peer) -> Device | None:
        """The device of that user that has its end of the connection open."""
        return next((device for device in self._of[user_id] if far in device.peers), None)

    # ------------------------------------------------------------------------------ faults

    def cut(self, device: Device, lasts: float | None = None) -> None:
        """Takes a device off the network, by chance for shorter or longer than its lease, and the one of a
        call. Its media is given up before, or (by choice always) comes back with it.
        """
        device.cut = True
        device.lose_stream()
        patient = lasts is not None or self.random.random() < 0.5
        lasts = lasts or self.random.uniform(15.0, 30.0)
        for peer in sorted(device.peers):
            device.peer_down(1.0, peer, final=False)
            if patient:
                self._media_returns(device, peer, lasts + 0.5)
            else:
                device.peer_down(9.0, peer, final=True)
                self.media_closed(device, peer)
        self.later(lasts, self.join, device)

    def _media_returns(self, device: Device, peer: Peer, wait: float) -> None:
        call_id, other_id, attempt = peer
        far = (call_id, device.user_id, attempt)
        device.peer_up(wait, peer)
        other = self._at_far_end(other_id, far)
        if other is not None:
            other.peer_down(1.0, far, final=False)
            other.peer_up(wait, far)

    def join(self, device: Device) -> None:
        device.cut = False

    def usurp(self, user_id: str) -> None:
        """The user logs in on one more device, which does nothing and is never heard of again."""
        token = self.hub.name("t")
        self.tokens[token] = user_id
        try:
            self.hub.step(hub.Login(token, user_id, f"{user_id}-other"))
        except Unreachable:
            return

    def found(self) -> None:
        """The group, where there is one; whoever has not logged in yet comes later."""
        if self.town.group:
            known = tuple(user for user in self.users if user in self.hub.users)
            self._owner(lambda token: hub.CreateGroup(token, "g", "", known, "found"))

    def regroup(self, user_id: str) -> None:
        """The owner of the group takes one out, or in."""
        group = self.hub.groups.get("g")
        if group is None:
            self.found()
        elif any(member.user_id == user_id for member in group.members):
            self._owner(lambda token: hub.RemoveGroupMembers(token, "g", (user_id,)))
        else:
            self._owner(lambda token: hub.AddGroupMembers(token, "g", (user_id,)))

    def _owner(self, command: Callable[[str], hub.Input]) -> None:
        """Asks as the first user, with whatever session it has."""
        user_id = self.users[0]
        token = next((t for t, session in self.hub.sessions.items() if session.user_id == user_id), None)
        if token is not None:
            with suppress(Refused, Unreachable):
                self.hub.step(command(token))

    # ------------------------------------------------------------------------------ agreement

    def check_quiet(self) -> None:
        """The network has healed and everything has settled: everyone agrees with the hub."""
        for device in self.devices:
            state = device.state
            if state.session is t.SessionPhase.RECONNECTING or device.logging_in:
                raise Broken(f"{device.user_id} is still not back: {state.session}")
            if state.pending is not None or state.held or state.probe is not None:
                raise Broken(f"{device.user_id} still waits: {state}")
            if state.session is t.SessionPhase.ONLINE:
                self._check_agreement(device)
            elif state.call is not None:
                raise Broken(f"{device.user_id} is in a call without a session")
        self.hub.check_leases()
        self._check_promises()

    def _check_promises(self) -> None:
        """Whoever was invited rings, has rung, has answered, or hears of it with the next login."""
        live = self.hub.calls.values()
        known = {(d.user_id, invite_id) for d in self.devices for invite_id in d.missed}
        lost = self.promises.open() - known - set(self.hub.missed)
        lost -= {each for call in live for each in self.promises.pending(call)}
        if lost:
            raise Broken(f"invitations are lost: {sorted(lost)}")
        for (_, invite_id), owed in self.hub.owed.items():
            for device in self.devices:
                if device.device_id in owed and invite_id not in device.missed:
                    entry = self.hub.missed.get((device.user_id, invite_id))
                    if entry is None or device.device_id not in entry.waiting:
                        raise Broken(f"{device.device_id} will not hear that it has missed {invite_id}")
        for call in live:
            due = calls.deadline(call)
            if due is not None and not -0.1 < due - self.hub.now < LONGEST:
                raise Broken(f"{call} rings beyond its time")

    def _check_agreement(self, device: Device) -> None:
        live = [call for call in self.hub.calls.values() if _concerns(call, device)]
        call = device.state.call
        if (call.hub.call_id if call else None) != (live[0].call_id if live else None):
            raise Broken(f"{device.device_id} sees {call}, the hub {live}")
        if call is None:
            return
        held = live[0]
        if call.hub.revision != held.revision:
            raise Broken(f"{device.user_id} is at revision {call.hub.revision}, the hub at {held.revision}")
        me = next(m for m in held.members if m.user_id == device.user_id)
        ringing = me.state is hub.MemberState.PENDING
        if ringing != (call.phase is t.Phase.RINGING):
            raise Broken(f"{device.user_id}: {call.phase}, the hub says {me.state}")
        if ringing:
            return
        video = device.state.camera and call.hub.type is t.CallType.VIDEO
        audio = not device.state.muted and not device.state.deaf
        if (me.audio, me.video) != (audio, video):
            raise Broken(f"{device.user_id} is not what the hub says: {me}")
        joined = {m.user_id: m for m in held.members if m.state is hub.MemberState.JOINED}
        seen = {p.user_id for p in call.participants} | {user for user, _ in call.given_up}
        if not set(joined) - {device.user_id} <= seen:
            raise Broken(f"{device.user_id} sees {seen}, the hub {sorted(joined)}")
        for participant in call.participants:
            there = joined.get(participant.user_id)
            if there is None or (there.audio, there.video) != (participant.audio, participant.video):
                raise Broken(f"{device.user_id} sees {participant}, the hub {there}")
            if participant.link is not t.Link.UP:
                raise Broken(f"{device.user_id} still waits for {participant}")

    # ------------------------------------------------------------------------------ transcript

    def note(self, who: str, text: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.now:9.3f}  {who:6} {text}")


def _concerns(call: hub.Call, device: Device) -> bool:
    """Whether the device rings for the call, or is in it."""
    me = next((m for m in call.members if m.user_id == device.user_id), None)
    if me is None:
        return False
    joined = me.state is hub.MemberState.JOINED and me.device_id == device.device_id
    return joined or me.state is hub.MemberState.PENDING
