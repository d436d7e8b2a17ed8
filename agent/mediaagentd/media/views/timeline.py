"""One unbroken time for the packets of a stream whose sender may begin anew. Pure."""

from __future__ import annotations

SLACK = 1.0
"""Seconds that timestamps may be off the times of arrival before the sender is taken to have begun anew."""


class Timeline:
    """Rewrites timestamps of `clock` ticks a second: those of a rebuilt connection go on where the old one
    stopped, at the distance of the arrivals.
    """

    def __init__(self, clock: int) -> None:
        self._clock = clock
        self._shift = 0
        self._last: tuple[int, float] | None = None

    def place(self, pts: int, captured: float) -> int | None:
        """The timestamp for a packet that arrived at `captured` seconds; None for one that comes late."""
        if self._last is None:
            self._last = pts, captured
            return pts
        last, then = self._last
        ahead = pts + self._shift - last
        elapsed = (captured - then) * self._clock
        if abs(ahead - elapsed) > SLACK * self._clock:
            self._shift += round(max(elapsed, 1.0)) - ahead
            ahead = pts + self._shift - last
        if ahead <= 0:
            return None
        self._last = last + ahead, captured
        return last + ahead
