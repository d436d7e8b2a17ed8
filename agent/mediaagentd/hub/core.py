"""The authority on calls: who is logged in, and what becomes of what they ask. No I/O, no clock.

The rooms behind it: `sessions` (who exists, who is here), `exchange` (calls, over their `ledger`),
`registry` (groups), `missed` (what nobody answered). Effects come in the order in which the shell performs
them: store, push, reply.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.devices import Devices
from mediaagentd.hub.exchange import Change, Exchange
from mediaagentd.hub.ledger import Ledger
from mediaagentd.hub.missed import MissedCalls, known_by
from mediaagentd.hub.registry import Registry
from mediaagentd.hub.sessions import Sessions
from mediaagentd.hub.types import (
    AcknowledgeMissed,
    AddGroupMembers,
    Call,
    CreateGroup,
    DeleteGroup,
    DropDevice,
    DropMissed,
    DropSession,
    Effect,
    EndReason,
    GetGroup,
    Group,
    Input,
    Limits,
    ListGroups,
    Login,
    Logout,
    Missed,
    Policy,
    PutDevice,
    PutMissed,
    PutSession,
    PutUser,
    RemoveGroupMembers,
    RenewLease,
    Reply,
    Session,
    Tick,
)


class Core:
    """The hub without its network and its disk. Times in seconds of the hub's clock. The rooms are named
    on the class so that a simulation can plant a bug in one.
    """

    sessions: type[Sessions] = Sessions
    exchange: type[Exchange] = Exchange
    registry: type[Registry] = Registry
    missed_calls: type[MissedCalls] = MissedCalls

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions = self.sessions(limits.lease, max(0.0, limits.call_lease - limits.lease))
        self._ledger = Ledger(limits.remembered, limits.remembered_members)
        self._devices = Devices(limits.devices)
        self._missed = self.missed_calls(limits.missed, self._devices)
        self._registry = self.registry(limits, self._sessions, self._ledger)
        self._exchange = self.exchange(limits, self._sessions, self._ledger, self._registry, self._missed)

    def restore(
        self,
        users: Iterable[str],
        sessions: Iterable[Session],
        calls: Iterable[Call],
        now: float,
        groups: Iterable[Group] = (),
        missed: Iterable[Missed] = (),
        devices: Iterable[tuple[str, str]] = (),
    ) -> tuple[Effect, ...]:
        """Takes over what was stored before a crash, each in the order in which it came; every lease begins
        anew at `now`. Invitations keep their deadlines, those that passed meanwhile come up with the next
        Tick; what is dated after `now` was made before somebody set the clock back, and moves with it.
        Returns what has become of it thereby, under other limits or another policy, say.
        """
        for user_id in users:
            self._sessions.know(user_id)
        for session in sessions:
            self._sessions.open(session.token, session.user_id, session.device_id, now)
        forgotten = self._exchange.restore(calls, now)
        self._registry.restore(groups)
        known = self._known_devices(devices)
        told = self._restored(known_by(entry, now) for entry in missed)
        stored, pushed = self._exchange.bereave(now)
        return (*forgotten, *known, *told, *stored, *pushed)

    def session(self, token: str) -> Session:
        """The session of that token. Refused: SESSION_UNKNOWN."""
        session = self._sessions.get(token)
        if session is None:
            raise Refused(Reason.SESSION_UNKNOWN, "the hub does not know this session: log in again")
        return session

    def welcome(self, token: str) -> tuple[Call, ...]:
        """The live call that concerns the session's user, and, so that a session that missed its end
        learns why, the last one that did and is over. Refused: SESSION_UNKNOWN.
        """
        user_id = self.session(token).user_id
        found = (self._ledger.last_over(user_id), self._ledger.of(user_id))
        return tuple(call for call in found if call is not None)

    def missed(self, token: str) -> tuple[Missed, ...]:
        """The calls that the session's user has missed and its device is to learn of, the oldest first.
        Refused: SESSION_UNKNOWN.
        """
        session = self.session(token)
        return self._missed.of(session.user_id, session.device_id)

    def calls(self) -> tuple[Call, ...]:
        """Every live call."""
        return self._ledger.live()

    def deadline(self) -> float | None:
        """When to come with a Tick; a Tick at that time may find nothing to do."""
        times = (self._sessions.deadline(), self._exchange.deadline())
        return min((time for time in times if time is not None), default=None)

    def step(self, now: float, input: Input) -> tuple[Effect, ...]:  # noqa: A002 - the alphabet's word
        """Does what a session asks; Refused before anything changed."""
        match input:
            case Login():
                return self._login(now, input)
            case Logout(token):
                return self._logout(now, token)
            case Tick():
                return self._tick(now)
            case RenewLease(token):
                self._sessions.renew(self.session(token), now)
                return (Reply(None),)
            case AcknowledgeMissed(token, invite_ids):
                return self._acknowledge(self.session(token), invite_ids)
            case (
                CreateGroup() | DeleteGroup() | AddGroupMembers() | RemoveGroupMembers() | GetGroup()
                | ListGroups()
            ):  # fmt: skip
                return self._registry.step(now, self.session(input.token), input)
            case _:
                return self._exchange.step(now, self.session(input.token), input)

    def _known_devices(self, devices: Iterable[tuple[str, str]]) -> tuple[Effect, ...]:
        """Where devices exclude each other now, those of before are waited for no more."""
        if self._limits.policy is Policy.SINGLE:
            return tuple(DropDevice(user_id, device_id) for user_id, device_id in devices)
        for user_id, device_id in devices:
            self._devices.know(user_id, device_id)
        return ()

    def _restored(self, missed: Iterable[Missed]) -> tuple[Effect, ...]:
        """Where devices exclude each other now, what waited for some waits for the first that comes."""
        changed: list[Effect] = []
        for entry in missed:
            if entry.waiting and self._limits.policy is Policy.SINGLE:
                entry = replace(entry, waiting=())
                changed.append(PutMissed(entry))
            self._missed.restore(entry)
        return tuple(changed)

    def _login(self, now: float, login: Login) -> tuple[Effect, ...]:
        others = self._sessions.of(login.user_id)
        if self._limits.policy is Policy.SINGLE:
            kicked = others
        else:
            kicked = tuple(session for session in others if session.device_id == login.device_id)
            self._check_devices(len(others) - len(kicked))
        session = self._sessions.open(login.token, login.user_id, login.device_id, now)
        stored: tuple[Effect, ...] = (PutSession(session), *self._known(login))
        if self._sessions.know(login.user_id):
            stored = (PutUser(login.user_id), *stored)
        pushed: tuple[Effect, ...] = ()
        for old in kicked:
            # A device that logs in once more has begun anew; what it was in, it has lost.
            again = old.device_id == login.device_id
            reason = EndReason.DEVICE_LOST if again else EndReason.KICKED_OUT
            store, push = self._closed(now, old, reason, login.device_id)
            stored, pushed = stored + store, pushed + push
        return (*stored, *pushed, Reply(None))

    def _known(self, login: Login) -> tuple[Effect, ...]:
        """Where devices exclude each other, none is waited for."""
        if self._limits.policy is Policy.SINGLE:
            return ()
        forgotten = self._devices.know(login.user_id, login.device_id)
        known = (PutDevice(login.user_id, login.device_id),)
        return (*known, DropDevice(login.user_id, forgotten)) if forgotten else known

    def _check_devices(self, others: int) -> None:
        limit = self._limits.devices
        if others >= limit:
            message = f"a user is logged in with at most {limit} devices"
            raise Refused(Reason.LIMIT_EXCEEDED, message, {"limit": "devices", "value": str(limit)})

    def _logout(self, now: float, token: str) -> tuple[Effect, ...]:
        session = self._sessions.get(token)
        if session is None:
            return (Reply(None),)
        stored, pushed = self._closed(now, session, EndReason.LOGGED_OUT)
        return (*stored, *pushed, Reply(None))

    def _closed(self, now: float, session: Session, reason: EndReason, kicked_by: str = "") -> Change:
        """Closes a session; its user leaves its call for that reason."""
        self._sessions.close(session)
        stored, pushed = self._exchange.leave(now, session, reason)
        return (DropSession(session.token, kicked_by), *stored), pushed

    def _tick(self, now: float) -> tuple[Effect, ...]:
        stored: tuple[Effect, ...] = ()
        pushed: tuple[Effect, ...] = ()
        for session in self._sessions.expired(now, self._exchange.in_call):
            store, push = self._closed(now, session, EndReason.DEVICE_LOST)
            stored, pushed = stored + store, pushed + push
        store, push = self._exchange.run_out(now)
        return stored + store + pushed + push

    def _acknowledge(self, session: Session, invite_ids: tuple[str, ...]) -> tuple[Effect, ...]:
        left, gone = self._missed.heard(session.user_id, session.device_id, invite_ids)
        forgotten = (DropMissed(session.user_id, gone),) if gone else ()
        return (*map(PutMissed, left), *forgotten, Reply(None))
