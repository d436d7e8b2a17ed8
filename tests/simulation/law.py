"""What must hold of the hub's disk after every change of a call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mediaagentd.hub import types as hub

from tests.simulation.rules import Broken

_ENGAGED = (hub.MemberState.PENDING, hub.MemberState.JOINED)
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


def _check_devices(before: hub.Call, joined: list[hub.Member]) -> None:
    was = {m.user_id: m.session for m in before.members if m.state is hub.MemberState.JOINED}
    for member in joined:
        if was.get(member.user_id, member.session) != member.session:
            raise Broken(f"{member.user_id} is taken out of {before.call_id} by another device")
