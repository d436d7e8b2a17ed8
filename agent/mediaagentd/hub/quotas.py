"""How often a user may invite and be invited: token buckets. Pure: `now` is an argument.

A bucket holds `burst` tokens and fills with `per_second`; an invitation takes one from its inviter's and one
from each invitee's. The defaults let one inviter alone never empty an invitee's bucket: nobody can be kept
from being called by one who floods them.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from mediaagentd.errors import Reason, Refused

_MOST = 100_000
"""Buckets of one kind that are kept. A full one is as good as none and goes first."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a second in the long run."""

    burst: float
    per_second: float


CALLER = Rate(30, 1.0)
"""Of one inviter: nobody dials faster than once a second for long."""

CALLEE = Rate(60, 2.0)
"""Of one invitee."""


class Buckets:
    """Token buckets of one kind, by name; one that nobody has used is full."""

    def __init__(self, rate: Rate, most: int = _MOST) -> None:
        self._rate = rate
        self._most = most
        self._kept: dict[str, tuple[float, float]] = {}
        """Tokens at a time, by name; the one that was used longest ago comes first."""

    def lacking(self, name: str, now: float) -> float:
        """Seconds until that bucket has a token; 0 when it has one."""
        return max(0.0, 1.0 - self._tokens(name, now)) / self._rate.per_second

    def take(self, name: str, now: float) -> None:
        """Takes one token; to be called when `lacking` is 0."""
        left = self._tokens(name, now) - 1.0
        self._kept.pop(name, None)
        self._kept[name] = (left, now)
        if len(self._kept) > self._most:
            self._sweep(now)

    def _tokens(self, name: str, now: float) -> float:
        tokens, at = self._kept.get(name, (self._rate.burst, now))
        return min(self._rate.burst, tokens + (now - at) * self._rate.per_second)

    def _sweep(self, now: float) -> None:
        """Forgets the full ones and, when that is not enough, the tenth that was used longest ago."""
        for name in [name for name in self._kept if self._tokens(name, now) >= self._rate.burst]:
            del self._kept[name]
        if len(self._kept) > self._most:
            for name in list(self._kept)[: max(1, self._most // 10)]:
                del self._kept[name]


class Quotas:
    """What the core asks before it makes an invitation."""

    def __init__(self, caller: Rate, callee: Rate) -> None:
        self._callers = Buckets(caller)
        self._callees = Buckets(callee)

    def invite(self, now: float, caller: str, callees: Collection[str]) -> frozenset[str]:
        """Counts one invitation; returns the invitees who have had too many and must not ring again, which
        is no reason to keep the others of a group from ringing.

        Refused, and nothing is counted: INVITING_TOO_OFTEN by the inviter, INVITED_TOO_OFTEN when nobody is
        left to ring; metadata `retry_after`.
        """
        wait = self._callers.lacking(caller, now)
        if wait > 0:
            raise _refused(Reason.INVITING_TOO_OFTEN, "you invite too often", caller, wait)
        waits = {user_id: self._callees.lacking(user_id, now) for user_id in callees}
        flooded = frozenset(user_id for user_id, wait in waits.items() if wait > 0)
        if waits and len(flooded) == len(waits):
            user_id = min(waits, key=waits.__getitem__)
            message = f"{user_id} is invited too often"
            raise _refused(Reason.INVITED_TOO_OFTEN, message, user_id, waits[user_id])
        self._callers.take(caller, now)
        for user_id in waits.keys() - flooded:
            self._callees.take(user_id, now)
        return flooded


def _refused(reason: Reason, message: str, user_id: str, wait: float) -> Refused:
    seconds = math.ceil(wait)
    metadata = {"user_id": user_id, "retry_after": str(seconds)}
    return Refused(reason, f"{message}: try again in {seconds} s", metadata)
