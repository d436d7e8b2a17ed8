"""Planted bugs of the hub's core and its rooms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mediaagentd.hub import calls
from mediaagentd.hub import types as hub
from mediaagentd.hub.core import Core
from mediaagentd.hub.exchange import Change as Changes
from mediaagentd.hub.exchange import Exchange
from mediaagentd.hub.missed import MissedCalls
from mediaagentd.hub.quotas import Quotas, Rate
from mediaagentd.hub.registry import Registry
from mediaagentd.hub.rights import Verb
from mediaagentd.hub.sessions import Sessions
from mediaagentd.hub.types import Policy

from tests.simulation.rules import Rules, Town


class _NobodyIsBusy(Exchange):
    """Invites users who are in a call already."""

    def _busy(self, user_id: str) -> bool:
        return False


class _Altered(Core):
    """A core whose effects are changed on the way out."""

    def step(self, now: float, given: hub.Input) -> tuple[hub.Effect, ...]:
        return self.alter(super().step(now, given))

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        raise NotImplementedError


class _ForgetsOne(_Altered):
    """Does not tell the last one concerned."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        pushes = [e for e in effects if isinstance(e, hub.PushCall)]
        return tuple(e for e in effects if len(pushes) < 2 or e is not pushes[-1])


class _Unstored(_Altered):
    """Stores a call when it is made, not when it changes."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        return tuple(e for e in effects if not isinstance(e, hub.PutCall) or e.call.revision == 1)


class _KeepsOver(_Altered):
    """Does not store that a call is over."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        return tuple(e for e in effects if not isinstance(e, hub.PutCall) or not e.call.ended)


class _SameRevision(_Altered):
    """Tells a change of availability without a new revision."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        return tuple(
            hub.PushCall(e.token, replace(e.call, revision=e.call.revision - 1))
            if isinstance(e, hub.PushCall) and e.call.revision > 2
            else e
            for e in effects
        )


class _WithoutAlarms(Exchange):
    """Lets invitations ring for ever."""

    def _set_alarm(self, deadline: float | None, call_id: str) -> None:
        return


class _KeepsTheLost(Core):
    """Keeps a lost or kicked session's user in the call."""

    def _closed(
        self, now: float, session: hub.Session, reason: hub.EndReason, kicked_by: str = ""
    ) -> tuple[tuple[hub.Effect, ...], tuple[hub.Effect, ...]]:
        self._sessions.close(session)
        return (hub.DropSession(session.token, kicked_by),), ()


class _NothingIsRepeated(_NobodyIsBusy):
    """Makes a second call when an invitation is repeated; so it must not refuse it as busy either."""

    def _invite(self, now: float, session: hub.Session, command: hub.Invite) -> tuple[hub.Effect, ...]:
        return super()._invite(now, session, replace(command, request_id=command.call_id))


class _LosesTheLostSoon(Exchange):
    """Gives a device that is silent in a call no time to come back."""

    def in_call(self, session: hub.Session) -> bool:
        return False


class _WaitsForEveryone(Exchange):
    """Waits for any silent device as for one in a call."""

    def in_call(self, session: hub.Session) -> bool:
        return True


class _TellsNoReason(Core):
    """Takes whoever leaves for one who hung up."""

    def _closed(
        self, now: float, session: hub.Session, reason: hub.EndReason, kicked_by: str = ""
    ) -> Changes:
        return super()._closed(now, session, hub.EndReason.HANGUP, kicked_by)


class _KeepsTheGrace(Sessions):
    """Goes on waiting when the call is over."""

    def out_of_call(self, token: str) -> None:
        return


# ------------------------------------------------------------------------------ devices, groups, missed

MULTI = Town(2, 2, Policy.MULTI)
GROUP = Town(4, group=True)
STRICT = Town(3, strict=True)


class _LastToAnswerWins(Exchange):
    """Lets a device answer what another one of the user has answered."""

    def _accept(self, now: float, session: hub.Session, invite_id: str) -> tuple[hub.Effect, ...]:
        call, member = self._invited(session, invite_id)
        if member.state is hub.MemberState.JOINED and not call.ended and member.session != session.token:
            return self._replied(now, call, calls.entered(call, session))
        return super()._accept(now, session, invite_id)


class _AnyDeviceActs(Exchange):
    """Takes a command from whatever device of a member."""

    def _joined(self, session: hub.Session, call_id: str) -> hub.Call:
        call = self._ledger.call(call_id)
        member = calls.member(call, session.user_id) if call and not call.ended else None
        if call is not None and member is not None and member.state is hub.MemberState.JOINED:
            return call
        return super()._joined(session, call_id)

    def _hangup(
        self, now: float, session: hub.Session, call_id: str, reason: hub.EndReason
    ) -> tuple[hub.Effect, ...]:
        call = self._ledger.call(call_id)
        member = calls.member(call, session.user_id) if call and not call.ended else None
        if call is not None and member is not None and member.state is hub.MemberState.JOINED:
            return self._replied(now, call, calls.left(call, session.user_id, reason))
        return super()._hangup(now, session, call_id, reason)


class _TellsOneDevice(Exchange):
    """Tells only the device of a user that is logged in longest."""

    def _changed(self, now: float, before: hub.Call | None, after: hub.Call) -> Changes:
        stored, pushed = super()._changed(now, before, after)
        first: dict[str, hub.Effect] = {}
        for push in pushed:
            if isinstance(push, hub.PushCall) and (session := self._sessions.get(push.token)):
                first.setdefault(session.user_id, push)
        return stored, tuple(first.values())


class _NeverFull(Exchange):
    """Lets in whoever comes."""

    def _check_room(self, people: int) -> None:
        return


class _Rightless(Registry):
    """Lets anyone do anything with a group."""

    def check(self, user_id: str, verb: Verb, group_id: str) -> hub.Group:
        return self._groups.get(group_id) or super().check(user_id, verb, group_id)

    def check_members(self, group_id: str, user_ids: Iterable[str]) -> None:
        return


class _AsksAgain(Exchange):
    """Does not remember who was asked into a running call by which request."""

    def _invite_more(
        self, now: float, session: hub.Session, command: hub.InviteMore
    ) -> tuple[hub.Effect, ...]:
        return super()._invite_more(now, session, replace(command, request_id=command.invite_id))


class _FirstAlarmOnly(Exchange):
    """Sets an alarm when a call is made, for no later invitation."""

    def _set_alarm(self, deadline: float | None, call_id: str) -> None:
        call = self._ledger.call(call_id)
        if call is None:
            super()._set_alarm(deadline, call_id)


class _BelievesTheClock(Exchange):
    """Takes the times on its disk as they are, though the clock was set back meanwhile."""

    def restore(self, stored: Iterable[hub.Call], now: float) -> tuple[hub.Effect, ...]:
        return super().restore(stored, float("inf"))


class _RemembersNothingOver(_Altered):
    """Forgets a call that is over when it crashes."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        return tuple(
            hub.DropCall(e.call.call_id) if isinstance(e, hub.PutCall) and e.call.ended else e
            for e in effects
        )


class _KeepsMissedInMind(_Altered):
    """Does not store missed calls."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        return tuple(e for e in effects if not isinstance(e, hub.PutMissed))


class _MissesNothing(MissedCalls):
    """Tells nobody of missed calls."""

    def add(self, missed: hub.Missed) -> tuple[hub.Missed, tuple[str, ...]]:
        return missed, (missed.invite_id,)


class _TellsOneOfMissed(MissedCalls):
    """Lets the first device that comes take a missed call."""

    def add(self, missed: hub.Missed) -> tuple[hub.Missed, tuple[str, ...]]:
        self.restore(missed)
        return missed, ()


class _ForgetsTheBusy(_Altered):
    """Leaves no trace of a call that came while its invitee was busy."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        return tuple(
            e
            for e in effects
            if not isinstance(e, hub.PutMissed | hub.PushMissed) or e.missed.reason is not hub.EndReason.BUSY
        )


class _NeverForgetsMissed(_Altered):
    """Does not take an acknowledged missed call from the disk."""

    def alter(self, effects: tuple[hub.Effect, ...]) -> tuple[hub.Effect, ...]:
        return tuple(e for e in effects if not isinstance(e, hub.DropMissed))


class _NoLimits(Exchange):
    """Lets everyone invite as often as they like."""

    def __init__(self, *rooms: Any) -> None:
        super().__init__(*rooms)
        self._quotas = Quotas(Rate(1e9, 1e9), Rate(1e9, 1e9))


class _CountsTheBusy(Exchange):
    """Takes an invitation that did not ring for one that did."""

    def _busy(self, user_id: str) -> bool:
        self._quotas._callees.take(user_id, 0.0)
        return super()._busy(user_id)


def _core(
    exchange: type[Exchange] = Exchange,
    registry: type[Registry] = Registry,
    missed: type[MissedCalls] = MissedCalls,
    sessions: type[Sessions] = Sessions,
) -> type[Core]:
    """A core with another room."""
    rooms = {"exchange": exchange, "registry": registry, "missed_calls": missed, "sessions": sessions}
    return type("_Core", (Core,), rooms)


HUB_BUGS: Mapping[str, Rules] = {
    "hub: nobody is busy": Rules(core=_core(_NobodyIsBusy)),
    "hub: forgets to tell one": Rules(core=_ForgetsOne),
    "hub: stores only new calls": Rules(core=_Unstored),
    "hub: keeps what is over on disk": Rules(core=_KeepsOver),
    "hub: changes without a new revision": Rules(core=_SameRevision),
    "hub: never times out": Rules(core=_core(_WithoutAlarms)),
    "hub: keeps the lost in a call": Rules(core=_KeepsTheLost),
    "hub: loses the lost of a call too soon": Rules(
        core=_core(_LosesTheLostSoon), town=Town(3), faults={"device_lost": 0.2}
    ),
    "hub: waits for everyone as in a call": Rules(core=_core(_WaitsForEveryone)),
    "hub: waits on when the call is over": Rules(
        core=_core(sessions=_KeepsTheGrace), town=Town(2), faults={"device_lost": 0.2}
    ),
    "hub: does not say why somebody left": Rules(core=_TellsNoReason),
    "hub: makes a repeated request twice": Rules(core=_core(_NothingIsRepeated)),
    "hub: lets the last device that answers win": Rules(core=_core(_LastToAnswerWins), town=MULTI),
    "hub: lets any device act": Rules(core=_core(_AnyDeviceActs), town=MULTI),
    "hub: tells one device only": Rules(core=_core(_TellsOneDevice), town=MULTI),
    "hub: is never full": Rules(core=_core(_NeverFull), town=GROUP),
    "hub: knows no rights": Rules(core=_core(registry=_Rightless), town=GROUP),
    "hub: asks twice into a running call": Rules(
        core=_core(_AsksAgain), town=Town(3), faults={"doubled": 0.6}
    ),
    "hub: lets later invitations ring for ever": Rules(core=_core(_FirstAlarmOnly), town=GROUP),
    "hub: forgets what is over when it crashes": Rules(core=_RemembersNothingOver, faults={"crash": 0.2}),
    "hub: rings for a day when its clock is set back": Rules(
        core=_core(_BelievesTheClock), faults={"crash": 0.2, "clock_step": 1.0}
    ),
    "hub: does not store missed calls": Rules(core=_KeepsMissedInMind, faults={"crash": 0.2}),
    "hub: tells nobody of missed calls": Rules(core=_core(missed=_MissesNothing)),
    "hub: tells one device of missed calls": Rules(core=_core(missed=_TellsOneOfMissed), town=MULTI),
    "hub: forgets who called the busy": Rules(core=_ForgetsTheBusy),
    "hub: knows no limits": Rules(core=_core(_NoLimits), town=STRICT),
    "hub: counts what did not ring": Rules(core=_core(_CountsTheBusy), town=STRICT),
    "hub: never forgets missed calls": Rules(core=_NeverForgetsMissed, faults={"crash": 0.2}),
}
