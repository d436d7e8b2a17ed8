"""Planted bugs: typical mistakes, each as one other part of a world. The simulation must find every one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from mediaagentd.call import events, machine
from mediaagentd.call import types as t
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

Change = t.Change


def _without(unwanted: Callable[[t.State, t.State, t.Effect], bool]) -> Rules:
    """A machine that forgets some effects."""

    def step(state: t.State, now: float, given: t.Input) -> Change:
        after, effects = machine.step(state, now, given)
        return after, tuple(e for e in effects if not unwanted(state, after, e))

    return Rules(step=step)


def _hearing(change: Callable[[t.State, t.Input], t.Input | None]) -> Rules:
    """A machine that takes some inputs for others, or for nothing."""

    def step(state: t.State, now: float, given: t.Input) -> Change:
        heard = change(state, given)
        return machine.step(state, now, heard) if heard is not None else (state, ())

    return Rules(step=step)


Events = tuple[events.Event, ...]


def _telling(change: Callable[[t.State, t.State, Events], Events]) -> Rules:
    """Events derived in another way."""
    return Rules(derive=lambda old, new: change(old, new, events.derive(old, new)))


def _silently_done(state: t.State, now: float, given: t.Input) -> Change:
    """Takes a repeated request for done, though what came of it was taken back."""
    heard = tuple(replace(part, unheard=False) for part in state.over)
    return machine.step(replace(state, over=heard), now, given)


def _any_revision(state: t.State, now: float, given: t.Input) -> Change:
    """Takes whatever comes last for the newest."""
    call = state.call
    told = given.call if isinstance(given, t.CallChanged | t.HubDone) else None
    if call is None or told is None or told.call_id != call.hub.call_id:
        return machine.step(state, now, given)
    believed = replace(call, hub=replace(call.hub, revision=told.revision - 1))
    return machine.step(replace(state, call=believed), now, given)


def _any_attempt(state: t.State, given: t.Input) -> t.Input:
    """Takes a report of an old connection for one of the present connection."""
    if isinstance(given, t.PeerUp | t.PeerDown) and state.call is not None:
        known = state.call.participant(given.user_id)
        if known is not None:
            return replace(given, call_id=state.call.hub.call_id, attempt=known.attempt)
    return given


def _no_memory(state: t.State, now: float, given: t.Input) -> Change:
    """Forgets which calls are over: a late push rings again."""
    return machine.step(replace(state, over=()), now, given)


def _adopts_any_dial(state: t.State, now: float, given: t.Input) -> Change:
    """Does not hold back what is told while a dial is pending: the push comes before the reply."""
    after, effects = machine.step(state, now, given)
    return (replace(after, held=()) if after.held else after), effects


def _stubborn_deadline(state: t.State) -> float | None:
    """Waits for the hub's answer for ever."""
    return machine.deadline(replace(state, pending=None))


def _blind_camera(state: t.State, now: float, given: t.Input) -> Change:
    """Leaves the camera on when a call ends before it has opened."""
    after, effects = machine.step(state, now, given)
    if state.probe is not None and after.call is None and state.call is not None:
        return replace(after, probe=state.probe), tuple(
            e for e in effects if not isinstance(e, t.ReleaseCamera | t.Failed)
        )
    return after, effects


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

    def restore(self, stored: Iterable[hub.Call], now: float) -> None:
        super().restore(stored, float("inf"))


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


def _hangs_up_alone(old: t.State, new: t.State, effect: t.Effect) -> bool:
    return isinstance(effect, t.Hub) and isinstance(effect.command, t.Leave)


def _leaves_strays(old: t.State, new: t.State, effect: t.Effect) -> bool:
    return _hangs_up_alone(old, new, effect) and old.call is None


def _twice(old: t.State, new: t.State, told: Events) -> Events:
    return tuple(e for event in told for e in ((event,) * (1 + isinstance(event, events.CallEnded))))


def _nobody_leaves_at_the_end(old: t.State, new: t.State, told: Events) -> Events:
    over = any(isinstance(e, events.CallEnded) for e in told)
    return tuple(e for e in told if not over or not isinstance(e, events.UserLeft))


def _ends_on_hangup_only(old: t.State, new: t.State, told: Events) -> Events:
    return tuple(
        e
        for e in told
        if not isinstance(e, events.CallEnded) or e.call.end_reason is not t.EndReason.NO_RESPONSE
    )


BUGS: Mapping[str, Rules] = {
    "takes an old revision for news": Rules(step=_any_revision),
    "takes a report of an old connection": _hearing(_any_attempt),
    "lets a late push ring again": Rules(step=_no_memory),
    "loses what is told while a dial is pending": Rules(step=_adopts_any_dial),
    "makes no call of a request that had failed": Rules(step=_silently_done),
    "waits for the hub for ever": Rules(deadline=_stubborn_deadline),
    "does not close a peer": _without(lambda _, __, e: isinstance(e, t.ClosePeer)),
    "does not release the camera": _without(lambda _, __, e: isinstance(e, t.ReleaseCamera)),
    "opens the camera after the call": Rules(step=_blind_camera),
    "does not announce": _without(
        lambda _, __, e: isinstance(e, t.Hub) and isinstance(e.command, t.SetAvailability)
    ),
    "hangs up without telling": _without(_hangs_up_alone),
    "does not leave the call of a dial that failed": _without(_leaves_strays),
    "does not answer an accept": _without(
        lambda old, new, e: (
            isinstance(e, t.Done) and old.pending is not None and isinstance(old.pending.command, t.Accept)
        )
    ),
    "believes a call that is not listed": _hearing(
        lambda state, i: i if not isinstance(i, t.CallsListed) or any(not c.ended for c in i.calls) else None
    ),
    "ignores a final loss": _hearing(
        lambda _, i: replace(i, final=False) if isinstance(i, t.PeerDown) else i
    ),
    "keeps a call when it is kicked": _hearing(
        lambda state, i: (
            replace(i, session=t.SessionPhase.RECONNECTING)
            if isinstance(i, t.SessionChanged) and i.session is t.SessionPhase.KICKED_OUT
            else i
        )
    ),
    "ends a call twice": _telling(_twice),
    "ends a call with people in it": _telling(_nobody_leaves_at_the_end),
    "does not end a call that timed out": _telling(_ends_on_hangup_only),
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
