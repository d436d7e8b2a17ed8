"""When the pictures of one remote user are shown. Pure.

At once, as long as they come evenly. When repairs of losses make them come in bursts, each waits until
nearly all of its kind have come, so that people see motion and not the last picture of every burst; and
when the sound of the same user has to wait longer, they wait for it.
"""

from __future__ import annotations

from mediaagentd.media.playout.delay import PICTURES, Delay
from mediaagentd.media.types import VIDEO_CLOCK

EVEN = 0.020
"""Seconds of unevenness that nobody sees: within them pictures are shown as they come."""

STEP = 0.002
"""Seconds by which the wait becomes shorter from picture to picture."""

JUMP = 10.0
"""Seconds between two pictures' places in time that only a restarted stream makes."""


class Pacing:
    """`sound` is how much longer than a picture that comes at once the sound waits, in seconds, less what
    nobody notices; set it when it changes.
    """

    def __init__(self) -> None:
        self.sound = 0.0
        self._delay = Delay(PICTURES)
        self._wait = 0.0
        self._place: float | None = None
        self._shown = 0.0
        self._offset: float | None = None  # capture, by the far end's clock, less its place in time

    @property
    def at_once_lag(self) -> float | None:
        """Seconds from capture, by the far end's clock, of pictures that are shown as they come."""
        return None if self._offset is None else self._delay.base - self._offset

    @property
    def own_lag(self) -> float | None:
        """The same of pictures as the network alone wants them shown."""
        even = self._delay.target <= EVEN
        return (
            None if self._offset is None else self.base - self._offset + (0 if even else self._delay.target)
        )

    @property
    def lag(self) -> float | None:
        """The same, of the last picture."""
        if self._offset is None or self._place is None:
            return None
        return self._shown - self._place - self._offset

    @property
    def wanted(self) -> float:
        """Seconds that pictures shall wait behind those that come at once."""
        even = self._delay.target <= EVEN
        return max(0.0 if even else self._delay.target, self.sound)

    @property
    def base(self) -> float:
        """Of the pictures that come at once: arrival less place in time, in seconds."""
        return self._delay.base

    def show(self, pts: int, now: float, origin: float | None = None) -> float:
        """When to show the picture with that RTP timestamp (`VIDEO_CLOCK`), which came at `now` and was
        captured at `origin` by the far end's clock.
        """
        place = pts / VIDEO_CLOCK
        if self._place is not None and abs(place - self._place) > JUMP:
            self._delay, self._wait = Delay(PICTURES), 0.0
        self._place = place
        if origin is not None:
            self._offset = origin - place
        self._delay.note(place, now)
        self._wait = max(self.wanted, self._wait - STEP)
        due = now
        if self._wait > 0:
            due = max(now, place + self._delay.base + self._wait)
        self._shown = max(self._shown, due)  # never out of order
        return self._shown
