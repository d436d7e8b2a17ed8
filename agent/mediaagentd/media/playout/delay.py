"""How long sound must wait before it is played, from when it arrives. Pure.

The transit of a slot is its arrival less its place in time; the least one of the window is the base, so
that the clocks of both ends need not agree and may drift. Sound that repairs a loss counts as arriving
when the repair does: under loss the delay grows by itself to what the repairs need.
"""

from __future__ import annotations

import math
from collections import deque

SLOT = 0.020
"""Seconds of one slot."""

WINDOW = 600
"""Slots looked back on: twelve seconds."""

SHARE = 0.995
"""Of the slots that shall have arrived in time."""

MARGIN = 0.005
"""Seconds on top: the tick that plays is not exact."""

FIRST = 0.040
LEAST = 0.020
MOST = 0.300
"""Seconds of the target: while little is known, and its bounds."""

KNOWN = 50
"""Slots after which the window is trusted."""

INTERVAL = 10
"""Slots between two evaluations of the window."""


class Delay:
    """`target` is the wanted delay in seconds behind the base."""

    def __init__(self) -> None:
        self.target = FIRST
        self._transits: deque[float] = deque(maxlen=WINDOW)
        self._base = math.inf
        self._count = 0

    def note(self, slot: int, now: float) -> None:
        """The sound of a slot became playable at `now` seconds."""
        transit = now - slot * SLOT
        self._transits.append(transit)
        self._base = min(self._base, transit)
        self._count += 1
        if self._count % INTERVAL == 0:
            self._evaluate()

    def of(self, slot: int, now: float) -> float:
        """The delay at which a slot would be played if it began at `now`."""
        return now - slot * SLOT - self._base

    def _evaluate(self) -> None:
        ordered = sorted(self._transits)
        self._base = ordered[0]
        needed = ordered[min(len(ordered) - 1, int(SHARE * len(ordered)))] - self._base + MARGIN
        if len(ordered) < KNOWN:
            needed = max(needed, FIRST)
        self.target = max(LEAST, min(MOST, needed))
