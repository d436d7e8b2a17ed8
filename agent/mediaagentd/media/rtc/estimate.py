"""What our receiver tells the far end it may send (REMB). Pure.

Packets carry the time at which they were sent (abs-send-time). The least delay of a tenth of a second,
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

WINDOW: Final = 0.1
"""Seconds of which the least delay counts."""

BASE_WINDOWS: Final = 100
RATE_WINDOWS: Final = 8
CONGESTED_WINDOWS: Final = 3
"""Windows of the least delay of all, of what comes through, and of that while a queue stands."""

STANDING: Final = 0.080
STANDING_WINDOWS: Final = 2
FREE: Final = 0.040
"""Seconds of queue above which the estimate falls, in so many windows, and below which it rises."""

BACK_OFF: Final = 0.85
"""Of what comes through (draft-ietf-rmcat-gcc-02 section 5.5)."""

AGAIN: Final = 0.95
"""Of the estimate itself, when the queue still stands after a pause."""

LEAST: Final = 50_000
"""Bits a second; with less there would be nothing to estimate from."""

PAUSE: Final = 0.3
"""Seconds between two steps down: the queue needs some time to drain."""

CAREFUL: Final = 3.0
CAREFUL_RISE: Final = 1.06
BOLD_RISE: Final = 1.35
"""Seconds after a step down in which the estimate rises carefully; factors a second then and later."""

AHEAD: Final = 1.5
SPARE: Final = 30_000
"""The estimate is at most so many times what comes through, and so many bits a second."""

LEARNING: Final = 1.0
"""Seconds before the first estimate."""

INTERVAL: Final = 0.5
FALLING_INTERVAL: Final = 0.2
"""Seconds between two estimates that are told; after a step down, since what tells of it may be lost too."""


class Estimator:
    """`add` every packet with its abs-send-time; it returns bits a second when there is something to tell."""

    def __init__(self) -> None:
        self._times = Unwrapper(24)
        self._began: float | None = None
        self._window = 0.0
        self._least = math.inf
        self._bits = 0
        self._delays: deque[float] = deque(maxlen=BASE_WINDOWS)
        self._counts: deque[tuple[int, float]] = deque(maxlen=RATE_WINDOWS)
        self._rate: float | None = None
        self._fell = -math.inf
        self._told = -math.inf

    def add(self, send_time: int, size: int, now: float) -> int | None:
        """A packet of `size` bytes, sent at `send_time` (seconds in 6.18 fixed point, modulo 64), came."""
        if self._began is None:
            self._began = self._window = now
        told = self._step(now) if now - self._window >= WINDOW else None
        self._least = min(self._least, now - self._times.unwrap(send_time) / (1 << 18))
        self._bits += 8 * size
        return told

    def _step(self, now: float) -> int | None:
        """The window is over."""
        fell = False
        if self._bits:
            self._delays.append(self._least)
            self._counts.append((self._bits, now - self._window))
            fell = self._adjust(now)
        self._window, self._least, self._bits = now, math.inf, 0
        interval = FALLING_INTERVAL if now - self._fell < CAREFUL else INTERVAL
        if self._rate is None or not (fell or now - self._told >= interval):
            return None
        self._told = now
        return int(self._rate)

    def _adjust(self, now: float) -> bool:
        """Says whether the estimate fell."""
        assert self._began is not None
        queue = min(list(self._delays)[-STANDING_WINDOWS:]) - min(self._delays)
        if queue > STANDING:
            if now - self._fell < PAUSE:
                return False
            before = math.inf if self._rate is None else AGAIN * self._rate
            self._rate = max(LEAST, min(BACK_OFF * self._through(CONGESTED_WINDOWS), before))
            self._fell = now
            return True
        most = AHEAD * self._through(RATE_WINDOWS) + SPARE
        if self._rate is None:
            self._rate = most if now - self._began >= LEARNING else None
        elif queue < FREE:
            factor = CAREFUL_RISE if now - self._fell < CAREFUL else BOLD_RISE
            self._rate = max(self._rate, min(self._rate * factor**WINDOW, most))
        return False

    def _through(self, windows: int) -> float:
        """Bits a second that came in the last so many windows."""
        recent = list(self._counts)[-windows:]
        return sum(bits for bits, _ in recent) / sum(seconds for _, seconds in recent)
