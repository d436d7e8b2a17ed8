"""One call machine on a stage: what it is told, what it wants done, what it publishes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mediaagentd.call import events, machine
from mediaagentd.call import types as t
from mediaagentd.errors import Reason, Refused

S = t.MemberState
VIDEO, AUDIO = t.CallType.VIDEO, t.CallType.AUDIO


def call(
    *members: t.Member, revision: int = 1, type_: t.CallType = VIDEO, name: str = "1", **how: object
) -> t.HubCall:
    """A call of the hub; the first member is the sponsor."""
    hub = t.HubCall(f"c{name}", f"i{name}", 7, type_, members[0].user_id, members, revision, timeout=20.0)
    return replace(hub, **how)  # type: ignore[arg-type]


def joined(user: str, order: int = 1, audio: bool = False, video: bool = False) -> t.Member:
    return t.Member(user, S.JOINED, f"{user}-1", order, audio, video)


def member(user: str, state: t.MemberState, device: str = "") -> t.Member:
    return t.Member(user, state, device)


def pending(user: str) -> t.Member:
    return member(user, S.PENDING)


def over(hub: t.HubCall, reason: t.EndReason, by: str = "") -> t.HubCall:
    return replace(hub, ended=True, end_reason=reason, ended_by=by)


class Stage:
    """The agent of `user`, logged in unless told otherwise."""

    def __init__(self, user: str = "ann", online: bool = True) -> None:
        self.user = user
        self.state = t.State()
        self.now = 0.0
        self.ops = 0
        self.effects: tuple[t.Effect, ...] = ()
        self.events: tuple[events.Event, ...] = ()
        if online:
            self.tell(t.SessionChanged(t.SessionPhase.ONLINE, user, "", f"{user}-1"))

    def tell(self, told: t.Input) -> tuple[t.Effect, ...]:
        old = self.state
        self.state, self.effects = machine.step(old, self.now, told)
        self.events = events.derive(old, self.state)
        return self.effects

    def push(self, *members: t.Member, revision: int = 1, **how: object) -> tuple[t.Effect, ...]:
        return self.tell(t.CallChanged(call(*members, revision=revision, **how)))  # type: ignore[arg-type]

    def refuses(self, command: t.Input) -> Refused:
        before = self.state
        with pytest.raises(Refused) as refused:
            self.tell(command)
        assert self.state is before
        return refused.value

    def tick(self) -> tuple[t.Effect, ...]:
        """Comes exactly at the deadline."""
        when = machine.deadline(self.state)
        assert when is not None
        self.now = when
        return self.tell(t.Tick())

    # --------------------------------------------------------------- chapters

    def dial(self, type_: t.CallType = VIDEO, users: tuple[str, ...] = ("bob",)) -> Stage:
        self.tell(t.Dial(1, users, type_, 20.0, "", "r1"))
        self.tell(t.HubDone(1, call(joined("ann"), *map(pending, users), type_=type_)))
        return self

    def ring(self, type_: t.CallType = VIDEO) -> Stage:
        self.push(joined("bob"), pending("ann"), type_=type_)
        return self

    def answer(self, type_: t.CallType = VIDEO) -> Stage:
        self.ring(type_)
        self.tell(t.Answer(1, "i1"))
        self.tell(t.HubDone(1, call(joined("bob"), joined("ann", 2), revision=2, type_=type_)))
        return self

    def connect(self, type_: t.CallType = VIDEO) -> Stage:
        self.answer(type_)
        self.tell(t.PeerUp("c1", "bob", 2))
        return self

    def open_camera(self) -> Stage:
        assert self.state.probe is not None
        self.tell(t.CameraOpened(self.state.probe.op))
        return self

    # --------------------------------------------------------------- questions

    def phase(self) -> t.Phase | None:
        return self.state.call.phase if self.state.call else None

    @property
    def end(self) -> tuple[t.EndReason | None, str]:
        assert self.state.call is None
        assert self.state.previous is not None
        return self.state.previous.end_reason, self.state.previous.ended_by

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


def has(effects: tuple[t.Effect, ...], kind: type) -> bool:
    return any(isinstance(effect, kind) for effect in effects)


def failure(effects: tuple[t.Effect, ...], op: int) -> Reason:
    found = [e for e in effects if isinstance(e, t.Failed) and e.op == op]
    assert len(found) == 1
    return found[0].error.reason


UNREACHABLE = Refused(Reason.HUB_UNREACHABLE, "away")
FULL = Refused(Reason.CALL_FULL, "six are in it")


def asked(user: str, by: str, name: str = "i2", state: t.MemberState = S.PENDING, order: int = 0) -> t.Member:
    """A member who was asked in later, by somebody in the call."""
    device = f"{user}-1" if state is S.JOINED else ""
    return t.Member(user, state, device, order, invitation=t.Invitation(name, by, 30.0))


def commands(stage: Stage) -> list[t.HubCommand]:
    return [effect.command for effect in stage.effects if isinstance(effect, t.Hub)]


def in_group(stage: Stage) -> Stage:
    """Ann has called bob and cid; bob is in, cid is not."""
    stage.dial(AUDIO, ("bob", "cid"))
    stage.push(joined("ann"), joined("bob", 2), pending("cid"), revision=2, type_=AUDIO, is_group=True)
    stage.tell(t.PeerUp("c1", "bob", 2))
    return stage
