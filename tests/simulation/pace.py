"""How often users invited and rang since the hub began, by a ledger of their times: what the hub's buckets
must come to as well.
"""

from __future__ import annotations

from collections import defaultdict

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import types as hub
from mediaagentd.hub.quotas import Rate

from tests.simulation.rules import Broken

STRICT = Rate(2, 0.1), Rate(3, 0.2)
"""Of an inviter and of an invitee, in a town where one soon meets the limits."""

_CLOSE = 1e-6


class Pace:
    """One life of a hub. Broken when it lets through what it must not, or refuses what it must not."""

    def __init__(self, limits: hub.Limits) -> None:
        self._rates = {"inviting": limits.caller, "invited": limits.callee}
        self._times: defaultdict[tuple[str, str], list[float]] = defaultdict(list)

    def told(self, now: float, inviter: str, before: hub.Call | None, after: hub.Call) -> None:
        """An invitation was let through."""
        rang = {m.user_id for m in before.members if _rings(m)} if before else set()
        self._count("inviting", inviter, now)
        for member in after.members:
            if _rings(member) and member.user_id not in rang:
                self._count("invited", member.user_id, now)

    def refused(self, now: float, refused: Refused) -> None:
        """An invitation was not."""
        kinds = {Reason.INVITING_TOO_OFTEN: "inviting", Reason.INVITED_TOO_OFTEN: "invited"}
        kind = kinds.get(refused.reason)
        if kind is not None and self._tokens(kind, refused.metadata["user_id"], now) >= 1 + _CLOSE:
            raise Broken(f"refused too early: {refused.message}")

    def _count(self, kind: str, user_id: str, now: float) -> None:
        if self._tokens(kind, user_id, now) < 1 - _CLOSE:
            raise Broken(f"{user_id} is {kind} too often: {self._times[kind, user_id]}, {now}")
        self._times[kind, user_id].append(now)

    def _tokens(self, kind: str, user_id: str, now: float) -> float:
        rate = self._rates[kind]
        times = self._times[kind, user_id]
        tokens, last = rate.burst, times[0] if times else now
        for time in times:
            tokens = min(rate.burst, tokens + (time - last) * rate.per_second) - 1
            last = time
        return min(rate.burst, tokens + (now - last) * rate.per_second)


def _rings(member: hub.Member) -> bool:
    return member.state is hub.MemberState.PENDING
