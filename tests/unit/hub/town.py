"""A town around the hub's core: users, their sessions, and what everyone is told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.errors import Refused
from mediaagentd.hub.core import Core
from mediaagentd.hub.types import (
    Accept,
    Answer,
    Call,
    CallType,
    CreateGroup,
    DropCall,
    DropDevice,
    DropGroup,
    DropMissed,
    DropSession,
    Effect,
    EndReason,
    Group,
    Input,
    Invite,
    InviteMore,
    Limits,
    Login,
    MemberState,
    Missed,
    PushCall,
    PushMissed,
    PushSignal,
    PutCall,
    PutDevice,
    PutGroup,
    PutMissed,
    PutSession,
    PutUser,
    Reply,
    Session,
)

LIMITS = Limits(lease=30.0, members=3, remembered=4)
S = MemberState
EVERYONE = ("ann", "bob", "cat", "dan", "eve", "fay")


class Hub:
    """A core with what its effects have done: a disk, and what each session was pushed."""

    def __init__(self, *users: str, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.core = Core(limits)
        self.now = 100.0
        self.users: set[str] = set()
        self.sessions: dict[str, Session] = {}
        self.disk: dict[str, Call] = {}
        self.groups: dict[str, Group] = {}
        self.missed: dict[tuple[str, str], Missed] = {}
        self.devices: dict[tuple[str, str], None] = {}
        self.pushed: list[tuple[str, Call]] = []
        self.rung_in_vain: list[tuple[str, str]] = []
        self.kicked: list[tuple[str, str]] = []
        self._names = 0
        for user in users:
            self.login(user)

    @property
    def calls(self) -> dict[str, Call]:
        """Those that live."""
        return {call_id: call for call_id, call in self.disk.items() if not call.ended}

    def do(self, command: Input) -> Call | None:
        """What a command about a call is answered."""
        answer = self.ask(command)
        assert answer is None or isinstance(answer, Call)
        return answer

    def ask(self, command: Input) -> Answer:
        effects = self.core.step(self.now, command)
        self.pushed.clear()
        self.rung_in_vain.clear()
        self.kicked.clear()
        rank = {PushCall: 1, PushMissed: 1, PushSignal: 1, Reply: 2}
        order = [rank.get(type(e), 0) for e in effects]
        assert order == sorted(order), "store, push, reply"
        reply: Answer = None
        for effect in effects:
            reply = self._perform(effect) or reply
        return reply

    def _perform(self, effect: Effect) -> Answer:
        match effect:
            case PutUser(user_id):
                self.users.add(user_id)
            case PutDevice(user_id, device_id):
                self.devices.pop((user_id, device_id), None)
                self.devices[user_id, device_id] = None
            case DropDevice(user_id, device_id):
                del self.devices[user_id, device_id]
            case PutSession(session):
                self.sessions[session.token] = session
            case DropSession(token, kicked_by):
                del self.sessions[token]
                self.kicked.append((token, kicked_by))
            case PutCall(call):
                self.disk[call.call_id] = call
            case DropCall(call_id):
                del self.disk[call_id]
            case PutGroup(group):
                self.groups[group.group_id] = group
            case DropGroup(group_id):
                del self.groups[group_id]
            case PutMissed(missed):
                self.missed[missed.user_id, missed.invite_id] = missed
            case DropMissed(user_id, invite_ids):
                for invite_id in invite_ids:
                    del self.missed[user_id, invite_id]
            case PushCall(token, call):
                self.pushed.append((token, call))
            case PushMissed(token, missed):
                self.rung_in_vain.append((token, missed.invite_id))
            case PushSignal():
                pass
            case Reply(answer):
                return answer
        return None

    def login(self, user: str, device: str = "d1") -> str:
        token = f"{user}/{device}"
        self.do(Login(token, user, device))
        return token

    def invite(self, sponsor: str, *users: str, **how: object) -> Call:
        self._names += 1
        n = self._names
        command = Invite(
            f"{sponsor}/d1", f"c{n}", f"i{n}", 7, users, CallType.VIDEO, 20.0, len(users) > 1, "", f"r{n}"
        )
        call = self.do(replace(command, **how))  # type: ignore[arg-type]
        assert call is not None
        return call

    def group(self, owner: str, *members: str, group_id: str = "g") -> None:
        self.ask(CreateGroup(f"{owner}/d1", group_id, "", members, f"make {group_id}"))

    def connect(self, sponsor: str, user: str) -> Call:
        call = self.invite(sponsor, user)
        reply = self.do(Accept(f"{user}/d1", call.invite_id))
        assert reply is not None
        return reply

    def told(self) -> set[str]:
        return {token for token, _ in self.pushed}

    def restart(self) -> None:
        self.core = Core(self.limits)
        effects = self.core.restore(
            self.users, self.sessions.values(), self.disk.values(), self.now, self.groups.values(),
            self.missed.values(), self.devices,
        )  # fmt: skip
        self.pushed.clear()
        for effect in effects:
            self._perform(effect)


def states(call: Call | None) -> list[MemberState]:
    assert call is not None
    return [m.state for m in call.members]


def end(call: Call | None) -> tuple[EndReason | None, str]:
    assert call is not None
    assert call.ended
    return call.end_reason, call.ended_by


def more(who: str, *users: str, invite: str = "j1", timeout: float | None = 20.0, n: str = "m") -> InviteMore:
    return InviteMore(f"{who}/d1", "c1", invite, users, timeout, n)


def state(call: Call | None, user: str) -> MemberState:
    assert call is not None
    return next(m.state for m in call.members if m.user_id == user)


def refused(hub: Hub, command: Input) -> Refused:
    with pytest.raises(Refused) as it:
        hub.do(command)
    return it.value
