"""When the next packet of pictures may leave. Pure: by arithmetic on `now`, in seconds.

On a wide path a large picture is only spread, so that it overruns no queue on its way. When the far end says
that less gets through than is sent, the path is tight: then nothing leaves faster than it gets through,
repairs included, and nothing at all for as long as what was too much needs to drain. Sound never asks here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

BURST: Final = 96_000
GROUP: Final = 48_000
"""Bits that leave at once, and then between two pauses: 12 kB are no burst to anybody."""

TIGHT_BURST: Final = 20_000
TIGHT_GROUP: Final = 10_000
"""The same on a tight path: two packets, and one."""

PACE: Final = 6_000_000
LEAST_PACE: Final = 1_000_000
PACE_FACTOR: Final = 3.0
"""Bits a second: without an estimate, at least, and as a multiple of the estimate."""

TIGHT: Final = 3.0
TIGHT_LEAST: Final = 60_000
"""Seconds after a fall of the estimate in which the path is tight; bits a second at least then."""

FALLEN: Final = 0.95
"""Share of the former estimate below which it has fallen."""

EXCESS: Final = 1.3
"""Times the estimate that is sent, from which it must drain."""

DRAIN: Final = 0.3
DRAIN_MOST: Final = 0.4
"""Seconds of draining for each time that the estimate is exceeded, and at most: a usual queue."""

BREATH: Final = 0.7
BREATH_LEAST: Final = 0.35
BREATH_TELLS: Final = 1.0
BREATH_APART: Final = 3.0
"""Seconds without pictures for the sake of what tells us and the far end to send less, at most; after which
any word on what gets through ends it; in which it is about what was sent before; and between two of them.
"""

WINDOW: Final = 0.1
WINDOWS: Final = 4
"""Seconds, and how many of them, over which the rate of sending is measured."""


class Pacer:
    """Nothing goes for `wait` seconds; then one packet may, which it is told of by `sent`, or as many as
    `grant` says.
    """

    def __init__(self) -> None:
        self._rate = float(PACE)
        self._estimate: int | None = None
        self._debt = 0.0
        self._then = -math.inf
        self._paused = False
        self._tight_until = -math.inf
        self._held_until = -math.inf
        self._breathed = self._breath_until = -math.inf
        self._breath_rate = 0.0
        self._window = -math.inf
        self._bits = 0
        self._counts: deque[tuple[int, float]] = deque(maxlen=WINDOWS)

    def tight(self, now: float) -> bool:
        """Whether less gets through than is wanted."""
        return now < self._tight_until

    def told(self, estimate: int, now: float) -> float:
        """The far end's word on what gets through, bits a second; how many times that has been sent, when it
        must drain first, else 0.
        """
        before, self._estimate = self._estimate, max(1, estimate)
        since = self._breathed if now < self._breathed + BREATH_TELLS else now
        over = (self._sending(now) if since == now else self._breath_rate) / self._estimate
        fallen = before is not None and estimate < FALLEN * before
        if fallen or over > EXCESS:
            self._tight_until = now + TIGHT
        if fallen or now >= self._breathed + BREATH_LEAST:
            self._breath_until = now
        drains = over > EXCESS and self._held_until < now
        if drains:
            self._held_until = since + min(DRAIN_MOST, DRAIN * (over - 1))
            self._breath_rate = 0.0
        self._adapt(now)
        return over if drains else 0.0

    def breathe(self, now: float) -> None:
        """A queue grows on the way to us: it may do so on the way from us too, where our word on it goes."""
        if now - self._breathed >= BREATH_APART:
            self._breathed, self._breath_rate = now, self._sending(now)
            self._breath_until = now + BREATH

    def sent(self, size: int, now: float) -> None:
        """So many bytes leave."""
        self.grant((size,), now)

    def grant(self, sizes: Iterable[int], now: float) -> int:
        """How many packets, of these bytes, may leave together when one may; they count as sent."""
        self._accrue(now)
        if now - self._window >= WINDOW:
            self._turn(now)
        burst = TIGHT_BURST if now < self._tight_until else BURST
        count = bits = 0
        for size in sizes:
            count += 1
            bits += 8 * size
            if self._debt + bits >= burst:
                break
        self._debt += bits
        self._bits += bits
        return count

    def wait(self, now: float) -> float:
        """Seconds until the next packet may leave."""
        held_until = max(self._held_until, self._breath_until)
        if now < held_until:
            return held_until - now
        burst, group = (TIGHT_BURST, TIGHT_GROUP) if now < self._tight_until else (BURST, GROUP)
        if self._debt < burst and not self._paused:
            return 0.0
        self._accrue(now)
        target = burst - group
        self._paused = self._debt > target and (self._paused or self._debt >= burst)
        return (self._debt - target) / self._rate if self._paused else 0.0

    def _accrue(self, now: float) -> None:
        self._debt = max(0.0, self._debt - (now - self._then) * self._rate) if self._then > -math.inf else 0.0
        self._then = now

    def _adapt(self, now: float) -> None:
        if self._estimate is None:
            return
        if now < self._tight_until:
            self._rate = float(max(TIGHT_LEAST, self._estimate))
        else:
            self._rate = max(LEAST_PACE, PACE_FACTOR * self._estimate)

    def _sending(self, now: float) -> float:
        """Bits a second of late."""
        if now - self._window > WINDOW * WINDOWS:
            return 0.0
        bits = self._bits + sum(bits for bits, _ in self._counts)
        return bits / max(WINDOW, now - self._window + sum(seconds for _, seconds in self._counts))

    def _turn(self, now: float) -> None:
        if now - self._window > WINDOW * WINDOWS:
            self._counts.clear()
        elif self._window > -math.inf:
            self._counts.append((self._bits, now - self._window))
        self._window, self._bits = now, 0
