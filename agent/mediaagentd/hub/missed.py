"""Invitations that nobody answered, by user, until a device has them."""

from __future__ import annotations

from collections.abc import Iterable

from mediaagentd.hub.types import Missed


class MissedCalls:
    """At most `limit` a user; then the oldest goes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_user: dict[str, dict[str, Missed]] = {}

    def of(self, user_id: str) -> tuple[Missed, ...]:
        """Those of the user, the oldest first."""
        return tuple(self._by_user.get(user_id, {}).values())

    def add(self, missed: Missed) -> tuple[str, ...]:
        """Keeps one more; returns the invitations that are forgotten for it."""
        kept = self._by_user.setdefault(missed.user_id, {})
        kept[missed.invite_id] = missed
        gone = tuple(kept)[: max(0, len(kept) - self._limit)]
        return self.remove(missed.user_id, gone)

    def remove(self, user_id: str, invite_ids: Iterable[str]) -> tuple[str, ...]:
        """Forgets those of the user; returns those that were known."""
        kept = self._by_user.get(user_id, {})
        gone = tuple(invite_id for invite_id in dict.fromkeys(invite_ids) if kept.pop(invite_id, None))
        if gone and not kept:
            del self._by_user[user_id]
        return gone
