"""The devices with which each user logs in, where several may: each of them is to learn of a missed call."""

from __future__ import annotations


class Devices:
    """At most `limit` a user; then the one that has not logged in for longest is forgotten."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._by_user: dict[str, dict[str, None]] = {}

    def of(self, user_id: str) -> tuple[str, ...]:
        """Those of the user, the one that logged in last at the end."""
        return tuple(self._by_user.get(user_id, ()))

    def know(self, user_id: str, device_id: str) -> str:
        """The device logs in; returns the one that is forgotten for it, empty for none."""
        known = self._by_user.setdefault(user_id, {})
        known.pop(device_id, None)
        known[device_id] = None
        if len(known) <= self._limit:
            return ""
        oldest = next(iter(known))
        del known[oldest]
        return oldest
