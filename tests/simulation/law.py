"""What must hold of the hub's disk after every change of a call, and of its sessions' leases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mediaagentd.hub import types as hub

from tests.simulation.rules import CALL_LEASE, LEASE, Broken

_ENGAGED = (hub.MemberState.PENDING, hub.MemberState.JOINED)
_CLOSE = 0.01
_OWN = (hub.Hangup, hub.SetAvailability, hub.SwitchCallType)


def engaged(call: hub.Call) -> list[str]:
    """Who rings or is in it."""
    return [m.user_id for m in call.members if m.state in _ENGAGED]


def check(
    before: hub.Call | None,
    after: hub.Call,
    others: Iterable[hub.Call],
    sessions: Mapping[str, hub.Session],
    groups: Mapping[str, hub.Group],
    limit: int,
) -> None:
    """`others` are live calls. Broken."""
    for other in others:
        if not set(engaged(other)).isdisjoint(engaged(after)):
            raise Broken(f"a user is in two live calls: {other} and {after}")
        if after.group_id and not after.ended and other.group_id == after.group_id:
            raise Broken(f"two calls of one group: {other} and {after}")
    joined = [m for m in after.members if m.state is hub.MemberState.JOINED]
    if len(joined) > limit:
        raise Broken(f"more than {limit} in {after}")
    for member in joined:
        if member.session not in sessions:
            raise Broken(f"{member.user_id} is joined without a session: {after}")
    if before is not None:
        _check_devices(before, joined)
    if after.group_id and not after.ended:
        new = set(engaged(after)) - set(engaged(before) if before else ())
        if not new <= {m.user_id for m in groups[after.group_id].members}:
            raise Broken(f"{new} are not all members of the group of {after}")


def check_actor(given: hub.Input, calls: Mapping[str, hub.Call], sessions: Mapping[str, hub.Session]) -> None:
    """Something changed at the wish of a session: it must be the one that is in the call."""
    if not isinstance(given, _OWN):
        return
    user = sessions[given.token].user_id
    for member in calls[given.call_id].members:
        if (
            member.user_id == user
            and member.state is hub.MemberState.JOINED
            and member.session != given.token
        ):
            raise Broken(f"another device of {user} acts in {given.call_id}: {given}")


def why(given: hub.Input, gone: hub.Member) -> hub.EndReason:
    """Why that member is in its call no more, by what the hub was told."""
    match given:
        case hub.Hangup():
            return given.reason
        case hub.Logout():
            return hub.EndReason.LOGGED_OUT
        case hub.Login() if given.device_id != gone.device_id:
            return hub.EndReason.KICKED_OUT
        case _:
            return hub.EndReason.DEVICE_LOST


class Leases:
    """When each session was heard of last, and until when it was in an answered call. Seconds of one life of
    a hub."""

    def __init__(self, now: float, tokens: Iterable[str] = ()) -> None:
        self._heard = dict.fromkeys(tokens, now)
        self._left = dict.fromkeys(tokens, now)

    def heard(self, now: float, token: str) -> None:
        """A login or a renewal."""
        self._heard[token] = now
        self._left.setdefault(token, now)

    def in_call(self, now: float, calls: Iterable[hub.Call]) -> set[str]:
        """The sessions in live calls that somebody has answered; they have been there until now."""
        joined = (
            m.session for call in calls if call.joins > 1 for m in call.members
            if m.state is hub.MemberState.JOINED
        )  # fmt: skip
        inside = set(joined)
        self._left.update(dict.fromkeys(inside, now))
        return inside

    def dropped(self, now: float, token: str, calls: Iterable[hub.Call]) -> None:
        """The hub takes that device for lost. Broken when that is too early."""
        silent, in_call = now - self._heard[token], token in self.in_call(now, calls)
        if silent < (CALL_LEASE if in_call else LEASE) - _CLOSE:
            raise Broken(f"{token} is lost after {silent} s{' in a call' if in_call else ''}")

    def check(self, now: float, tokens: Iterable[str], calls: Iterable[hub.Call]) -> None:
        """Nobody who is silent is kept for longer. Broken."""
        inside = self.in_call(now, calls)
        for token in tokens:
            ends = self._heard[token] + (CALL_LEASE if token in inside else LEASE)
            if now > max(ends, self._left[token]) + _CLOSE:
                raise Broken(f"{token} is kept without a sign of life since {self._heard[token]}")


def _check_devices(before: hub.Call, joined: list[hub.Member]) -> None:
    was = {m.user_id: m.session for m in before.members if m.state is hub.MemberState.JOINED}
    for member in joined:
        if was.get(member.user_id, member.session) != member.session:
            raise Broken(f"{member.user_id} is taken out of {before.call_id} by another device")
