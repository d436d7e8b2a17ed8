"""Which packets of sound are asked for again, and when. Pure.

Only where the round trip allows: sound waits in the far end's playout for as long as repairs took before,
and nobody wants to talk with more delay than that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

LONGEST_ROUND_TRIP: Final = 0.15
"""Seconds; beyond it a repair comes too late to be played."""

REORDER: Final = 0.010
"""Seconds that a gap may be mere reordering."""

TRIES: Final = 2
OLDEST: Final = 25
"""Packets (half a second) after which a gap is forgotten; a larger one is an outage and not asked for."""


@dataclass(slots=True)
class _Missing:
    due: float
    tries: int = 0


class Gaps:
    """Numbers are endless (see `Unwrapper`). `round_trip` in seconds, None while it is not known."""

    def __init__(self) -> None:
        self.round_trip: float | None = None
        self._highest: int | None = None
        self._missing: dict[int, _Missing] = {}

    @property
    def missing(self) -> bool:
        """Whether anything is."""
        return bool(self._missing)

    def note(self, number: int, now: float, *, covered: Collection[int] = ()) -> None:
        """A packet has come, and with it the `covered` ones."""
        if self._highest is None:
            self._highest = number
        if not self._missing and number == self._highest + 1:  # the next one, as nearly always
            self._highest = number
            return
        first = max(self._highest + 1, number - OLDEST)
        for lost in range(first, number):
            self._missing[lost] = _Missing(now + REORDER)
        for got in (number, *covered):
            self._missing.pop(got, None)
        self._highest = max(self._highest, number)
        if not self._missing:
            return
        for old in [each for each in self._missing if each < self._highest - OLDEST]:
            del self._missing[old]

    def due(self, now: float) -> list[int]:
        """What to ask for at `now`, oldest first."""
        if not self._useful():
            return []
        asked = [number for number, missing in self._missing.items() if missing.due <= now]
        for number in asked:
            missing = self._missing[number]
            missing.tries += 1
            missing.due = now + max(0.02, 1.2 * (self.round_trip or 0.0))
            if missing.tries >= TRIES:
                del self._missing[number]
        return asked

    def deadline(self) -> float | None:
        """When `due` has something to say."""
        if not self._missing or not self._useful():
            return None
        return min(missing.due for missing in self._missing.values())

    def _useful(self) -> bool:
        return self.round_trip is not None and self.round_trip <= LONGEST_ROUND_TRIP
