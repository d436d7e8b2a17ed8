"""How often cameras give pictures, and how often and how large views show them. Pure."""

from __future__ import annotations

import math
from collections import deque

from mediaagentd.media.types import Size

BURST = 4
"""Pictures that may come together."""

SPAN, RECENT = 1.0, 5
"""Seconds, and the last intervals, in which pictures are counted: more of them are noticed in the second."""

NEWS = 0.1
"""A smaller change of a share, as a part of it, is chance."""

LEAST_SHARE = 1 / 8
"""What is rarer counts as that."""


class RateLimit:
    """Lets through `fps` pictures a second at the most, evenly; all for 0."""

    def __init__(self, fps: float) -> None:
        self._interval = 1 / fps if fps > 0 else 0.0
        self._due = -math.inf

    def allows(self, captured: float) -> bool:
        """Whether the picture of that time, in seconds, is shown."""
        # A camera's pictures do not come to the millisecond: one that is a little early is meant.
        if captured < self._due - 0.1 * self._interval:
            return False
        late = captured - self._due
        # A late picture lets the next one come earlier, so that the mean is kept, but not a burst.
        self._due = captured + self._interval - (min(late, self._interval / 2) if late < math.inf else 0)
        return True


class RateBudget:
    """Lets through `fps` pictures a second in the mean, and up to `BURST` that come at once: a camera's
    pictures do not come to the millisecond, a network camera's come together, and none is to be lost.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._left = float(BURST)
        self._latest = -math.inf

    def allows(self, now: float) -> bool:
        """Whether the picture that came at that time, in seconds, is within it."""
        self._left = min(BURST, self._left + (now - self._latest) * self._fps)
        self._latest = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Cadence:
    """Which share of `fps` pictures a second comes: a camera in the dark gives half of what it was opened
    for. All of them until it is known.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._times: deque[float] = deque()
        self._pauses = 0  # one after the other
        self.share = 1.0

    def expect(self, share: float) -> None:
        """From now on that many come, as somebody knows."""
        self.share, self._pauses = share, 0
        self._times.clear()

    def note(self, captured: float) -> None:
        """A picture of that time, in seconds. One after a pause is the first of those to be counted; pauses,
        one after the other, are how rarely they come, until one comes sooner.
        """
        times = self._times
        since = captured - times[-1] if times else 0.0
        if not 0 <= since <= SPAN:
            times.clear()
        if since > SPAN:
            self._pauses += 1
            self.share = LEAST_SHARE if self._pauses > 1 else self.share
        elif self._pauses:
            self.share = 1.0 if self._pauses > 1 else self.share
            self._pauses = 0
        times.append(captured)
        while captured - times[0] > SPAN:
            times.popleft()
        seconds = captured - times[0]
        if seconds < SPAN / 2:
            return
        share = _rate(times, len(times) - 1) / self._fps
        if len(times) > RECENT:
            share = max(share, _rate(times, RECENT) / self._fps)
        share = min(1.0, max(LEAST_SHARE, share))
        if abs(share - self.share) > NEWS * self.share:
            self.share = share


def _rate(times: deque[float], intervals: int) -> float:
    """Pictures a second in the last so many intervals."""
    seconds = times[-1] - times[-1 - intervals]
    return intervals / seconds if seconds > 0 else math.inf


def within(size: Size, max_width: int, max_height: int) -> Size:
    """The size that keeps the shape within the limits (0 for none), even numbers; never enlarges."""
    scale = min(
        1.0,
        max_width / size.width if max_width else 1.0,
        max_height / size.height if max_height else 1.0,
    )
    return Size(max(2, int(size.width * scale) // 2 * 2), max(2, int(size.height * scale) // 2 * 2))
