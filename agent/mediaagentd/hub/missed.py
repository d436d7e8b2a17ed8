"""Invitations that nobody answered, by user, until the devices that are to learn of them have them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice

from mediaagentd.hub.devices import Devices
from mediaagentd.hub.types import Missed


def known_by(missed: Missed, now: float) -> Missed:
    """The entry at a time when all of it has been; as a call's invitations, it moves with a clock that was
    set back.
    """
    ahead = max(0.0, missed.ended - now)
    return replace(missed, created=missed.created - ahead, ended=missed.ended - ahead)


Forgotten = tuple[str, ...]
"""Invitations."""

AT_ONCE = 800
"""Missed calls in one welcome; those after them come with the next. Beside the two largest calls, a live and
an ended one, a thousand would be more than an agent takes in.
"""


class MissedCalls:
    """At most `limit` a user; then the oldest goes. Each waits for all `devices` that its user had when it
    was missed; for the first one that hears of it where none are known, since they exclude each other.
    """

    def __init__(self, limit: int, devices: Devices) -> None:
        self._limit = limit
        self._devices = devices
        self._by_user: dict[str, dict[str, Missed]] = {}

    def of(self, user_id: str, device_id: str) -> tuple[Missed, ...]:
        """Those of the user that the device is to learn of, the oldest first; no more at once than are kept,
        though more were kept when the limit was higher, nor than AT_ONCE.
        """
        kept = self._by_user.get(user_id, {}).values()
        told = (missed for missed in kept if not missed.waiting or device_id in missed.waiting)
        return tuple(islice(told, min(self._limit, AT_ONCE)))

    def add(self, missed: Missed) -> tuple[Missed, Forgotten]:
        """Keeps one more; returns it as it is kept, and those that are forgotten for it."""
        missed = replace(missed, waiting=self._devices.of(missed.user_id))
        kept = self.restore(missed)
        gone = tuple(kept)[: max(0, len(kept) - self._limit)]
        for invite_id in gone:
            del kept[invite_id]
        return missed, gone

    def restore(self, missed: Missed) -> dict[str, Missed]:
        """Keeps one as it is; returns all of its user."""
        kept = self._by_user.setdefault(missed.user_id, {})
        kept[missed.invite_id] = missed
        return kept

    def heard(
        self, user_id: str, device_id: str, invite_ids: Iterable[str]
    ) -> tuple[tuple[Missed, ...], Forgotten]:
        """The device has them. Returns those that others are still to learn of, and the forgotten ones."""
        kept = self._by_user.get(user_id, {})
        left: list[Missed] = []
        gone: list[str] = []
        for missed in filter(None, map(kept.get, dict.fromkeys(invite_ids))):
            waiting = tuple(device for device in missed.waiting if device != device_id)
            if not waiting:
                del kept[missed.invite_id]
                gone.append(missed.invite_id)
            elif waiting != missed.waiting:
                kept[missed.invite_id] = replace(missed, waiting=waiting)
                left.append(kept[missed.invite_id])
        if not kept:
            self._by_user.pop(user_id, None)
        return tuple(left), tuple(gone)
