"""How long sound and pictures must wait before they are played, from when they arrive. Pure.

The transit of a piece is its arrival less its place in time; the least one of the window is the base, so
that the clocks of both ends need not agree and may drift. What repairs a loss counts as arriving when
the repair does: under loss the delay grows by itself to what the repairs need.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

SLOT = 0.020
"""Seconds of one slot of sound."""

KNOWN = 50
"""Pieces after which the window is trusted."""

INTERVAL = 10
"""Pieces between two evaluations of the window."""


@dataclass(frozen=True, slots=True)
class Wish:
    """`share` of the `window` newest pieces shall have arrived in time, with `margin` seconds to spare.
    The target is `first` while little is known, and stays between `least` and `most`, all in seconds.
    """

    window: int
    share: float
    margin: float
    first: float
    least: float
    most: float


SOUND = Wish(window=600, share=0.995, margin=0.005, first=0.040, least=0.020, most=0.500)
"""Twelve seconds; a piece that comes too late is heard. Half a second is what a picture needs that was asked
for again over a long path, and sound goes with it: better a late answer than a picture that stands.
"""

PICTURES = Wish(window=300, share=0.95, margin=0.0, first=0.0, least=0.0, most=0.500)
"""Ten seconds; a picture that comes too late is shown too late, which few see."""


class Delay:
    """`target` is the wanted delay in seconds behind the base."""

    def __init__(self, wish: Wish) -> None:
        self.target = wish.first
        self._wish = wish
        self._transits: deque[float] = deque(maxlen=wish.window)
        self._base = math.inf
        self._count = 0

    @property
    def base(self) -> float:
        """The least transit of the window."""
        return self._base

    def note(self, place: float, now: float) -> None:
        """What belongs at `place` seconds became playable at `now`."""
        transit = now - place
        self._transits.append(transit)
        self._base = min(self._base, transit)
        self._count += 1
        if self._count % INTERVAL == 0:
            self._evaluate()

    def of(self, place: float, now: float) -> float:
        """The delay of what belongs at `place` if it were played at `now`."""
        return now - place - self._base

    def _evaluate(self) -> None:
        wish, ordered = self._wish, sorted(self._transits)
        self._base = ordered[0]
        needed = ordered[min(len(ordered) - 1, int(wish.share * len(ordered)))] - self._base + wish.margin
        if len(ordered) < KNOWN:
            needed = max(needed, wish.first)
        self.target = max(wish.least, min(wish.most, needed))
