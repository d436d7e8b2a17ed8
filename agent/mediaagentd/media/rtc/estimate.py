"""What our receiver tells the far end it may send (REMB). Pure.

Packets carry the time at which they were sent (abs-send-time). The least delay of some windows of 50 ms,
less the least one of the last ten seconds, is a queue that stands: it grows when more is sent than gets
through, and single late packets, or a busy machine, do not look like it. (The library's estimator of the
delay's gradient took its own machine's jitter for a queue every few seconds, and then rose by 8 % a
second at the most: 25 s after a bottleneck was gone it had come from 0.2 to 0.4 Mbit/s.)
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from mediaagentd.media.rtc.reception import Unwrapper

WINDOW: Final = 0.05
"""Seconds of which the least delay counts."""

BASE_WINDOWS: Final = 200
RATE_WINDOWS: Final = 16
CONGESTED_WINDOWS: Final = 8
"""Windows of the least delay of all, of what comes through, and of that at most while a queue stands."""

STANDING: Final = 0.080
STANDING_MOST: Final = 0.130
STANDING_WINDOWS: Final = 3
USUAL: Final = 1.5
USUAL_SHARE: Final = 0.75
"""Seconds of queue above which the estimate falls, in so many windows; so many times the usual delay above
the least one (which that share of windows does not exceed) when that is more, up to the second: delay that
always varies is no queue.
"""

STEEP: Final = 0.150
STEEP_WINDOWS: Final = 2
"""The same for a queue that grows fast: most of what is sent is lost already."""

BACK_OFF: Final = 0.85
"""Of what comes through (draft-ietf-rmcat-gcc-02 section 5.5)."""

DRAIN_MOST: Final = 0.5
"""Share of it that is left out at most so that the queue drains: as much as the queue has seconds."""

AGAIN: Final = 0.95
"""Of the estimate itself, when the queue still stands after a pause."""

LEAST: Final = 50_000
"""Bits a second; with less there would be nothing to estimate from."""

PAUSE: Final = 0.3
"""Seconds between two steps down: the queue needs some time to drain."""

CAREFUL: Final = 3.0
CAREFUL_RISE: Final = 1.06
NEAR_RISE: Final = 1.1
BOLD_RISE: Final = 1.35
"""Seconds after a step down in which the estimate rises carefully; factors a second then, later while it is
near, and beyond.
"""

NEAR: Final = 1.15
NEAR_FOR: Final = 15.0
"""Times what got through when a queue stood last, up to which it is near, and seconds."""

SURE: Final = 0.9
AKIN: Final = 0.6
"""Share of what got through a moment ago that is believed when less is measured, but more than the second: it
may be that little was sent.
"""

SEVERE: Final = 0.5
"""Share of what came through before: less is a path that has become another."""

AHEAD: Final = 1.5
SPARE: Final = 300_000
"""The estimate is at most so many times what comes through, or so many bits a second above it: a picture that
was made smaller may need no more than it gets, and would stay small for ever.
"""

LEARNING: Final = 1.0
"""Seconds before the first estimate."""

INTERVAL: Final = 0.5
FALLING_INTERVAL: Final = 0.2
STEEP_INTERVAL: Final = 0.1
STEEP_TOLD: Final = 1.0
"""Seconds between two estimates that are told; in `CAREFUL` seconds after a step down, since what tells of it
may be lost too; and in the first `STEEP_TOLD` of them.
"""


SILENCE: Final = BASE_WINDOWS * WINDOW
"""Seconds without a packet after which no delay of before is compared with: the path may have become another,
and later and earlier are no longer told apart when half a minute has passed (packets' times wrap).
"""


class Estimator:
    """`add` every packet with its abs-send-time; it returns bits a second when there is something to tell.
    What else comes over the same path is counted `beside`.
    """

    def __init__(self) -> None:
        self._times = Unwrapper(24)
        self._began: float | None = None
        self._window = self._latest = 0.0
        self._least = math.inf
        self._bits = 0
        self._delays: deque[float] = deque(maxlen=BASE_WINDOWS)
        self._counts: deque[tuple[int, float]] = deque(maxlen=RATE_WINDOWS)
        self._rate: float | None = None
        self._capacity = 0.0
        self._fell = -math.inf
        self._severe = False
        self._told = -math.inf

    @property
    def fell(self) -> float:
        """When the estimate last fell; -inf before."""
        return self._fell

    @property
    def severe(self) -> bool:
        """Whether it fell because the path has suddenly become narrow."""
        return self._severe

    def beside(self, size: int, now: float) -> int | None:
        """So many bytes of another stream came."""
        self._bits += 8 * size
        return None if self._rate is None else self.due(now)

    def add(self, send_time: int, size: int, now: float) -> int | None:
        """A packet of `size` bytes, sent at `send_time` (seconds in 6.18 fixed point, modulo 64), came."""
        if self._began is None:
            self._began = self._window = now
        elif now - self._latest > SILENCE:
            self._times, self._least = Unwrapper(24), math.inf
            self._delays.clear()
        self._latest = now
        if now - self._window >= WINDOW:
            self._step(now)
        self._least = min(self._least, now - self._times.unwrap(send_time) / (1 << 18))
        self._bits += 8 * size
        return self.due(now)

    def due(self, now: float) -> int | None:
        """Bits a second, when there is something to tell; also when no more packets come."""
        if self._rate is None or not (self._fell > self._told or now - self._told >= self._interval(now)):
            return None
        self._told = now
        return int(self._rate)

    @property
    def capacity(self) -> float:
        """Bits a second that got through when the estimate last fell."""
        return self._capacity

    def _step(self, now: float) -> None:
        """The window is over."""
        if self._bits and self._least < math.inf:
            self._delays.append(self._least)
            self._counts.append((self._bits, now - self._window))
            self._adjust(now)
        self._window, self._least, self._bits = now, math.inf, 0

    def _interval(self, now: float) -> float:
        since = now - self._fell
        return STEEP_INTERVAL if since < STEEP_TOLD else FALLING_INTERVAL if since < CAREFUL else INTERVAL

    def _adjust(self, now: float) -> None:
        assert self._began is not None
        base, recent = min(self._delays), list(self._delays)[-STANDING_WINDOWS:]
        queue = min(recent) - base
        steep = min(recent[-STEEP_WINDOWS:]) - base
        standing = self._standing(base)
        if queue > standing or (steep > STEEP and len(recent) >= STEEP_WINDOWS):
            self._fall(max(queue, steep), now)
            return
        most = max(AHEAD * self._through(RATE_WINDOWS), self._through(RATE_WINDOWS) + SPARE)
        if self._rate is None:
            self._rate = most if now - self._began >= LEARNING else None
        elif queue < standing / 2:
            if now - self._fell < CAREFUL:
                self._rate = max(self._rate, BACK_OFF * self._capacity)
            self._rate = max(self._rate, min(self._rate * self._factor(now) ** WINDOW, most))

    def _fall(self, queue: float, now: float) -> None:
        if now - self._fell < PAUSE:
            return
        through = self._through(self._queued())
        if now - self._fell < CAREFUL and through > AKIN * self._capacity:
            through = max(through, SURE * self._capacity)
        self._capacity = through
        self._severe = through < SEVERE * self._through(RATE_WINDOWS)
        before = math.inf if self._rate is None else AGAIN * self._rate
        wanted = (BACK_OFF - min(DRAIN_MOST, max(0.0, queue - STANDING))) * through
        self._rate = max(LEAST, min(wanted, before))
        self._fell = now

    def _factor(self, now: float) -> float:
        """By which the estimate rises in a second."""
        assert self._rate is not None
        since, near = now - self._fell, self._rate < NEAR * self._capacity
        if since < CAREFUL:
            return CAREFUL_RISE
        return NEAR_RISE if near and since < NEAR_FOR else BOLD_RISE

    def _queued(self) -> int:
        """Windows in which the queue has stood: what came in them is all that gets through."""
        base, windows = min(self._delays), 0
        for delay in reversed(self._delays):
            if delay - base < STANDING / 2 or windows == CONGESTED_WINDOWS:
                break
            windows += 1
        return max(2, windows)

    def _standing(self, base: float) -> float:
        """Seconds of queue that are one."""
        usual = sorted(self._delays)[int(USUAL_SHARE * len(self._delays))] - base
        return min(STANDING_MOST, max(STANDING, USUAL * usual))

    def _through(self, windows: int) -> float:
        """Bits a second that came in the last so many windows."""
        recent = list(self._counts)[-windows:]
        return sum(bits for bits, _ in recent) / max(WINDOW, sum(seconds for _, seconds in recent))
