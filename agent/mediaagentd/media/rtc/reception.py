"""Receiver statistics of one RTP stream (RFC 3550 section 6.4.1 and appendix A), by arithmetic on
`now`. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass


class Unwrapper:
    """Makes a counter of `bits` bits endless: values near the highest seen so far, either side."""

    def __init__(self, bits: int) -> None:
        self._mask = (1 << bits) - 1
        self._half = 1 << (bits - 1)
        self._highest: int | None = None

    def unwrap(self, value: int) -> int:
        """The endless value; the first one is itself. Negative when older than the first."""
        if self._highest is None:
            self._highest = value
            return value
        ahead = ((value - self._highest + self._half) & self._mask) - self._half
        result = self._highest + ahead
        if ahead > 0:
            self._highest = result
        return result

    def unwrap_after(self, value: int, steps: int) -> int:
        """The same when about so many went by unseen: more than half a turn, perhaps."""
        if self._highest is not None:
            self._highest += steps
        self._highest = self.unwrap(value)
        return self._highest


PAUSE = 60.0
"""Seconds without a packet after which its time is looked for where the clock says: timestamps wrap, and half
a turn is 6.6 hours of pictures, 12.4 of sound.
"""


@dataclass(frozen=True, slots=True)
class Report:
    """One report block: loss since the previous report in 1/256, the rest as totals."""

    fraction_lost: int
    packets_lost: int
    highest_sequence: int
    jitter: int


class Reception:
    """Counts the packets of one synchronization source."""

    def __init__(self, clock: int) -> None:
        self._clock = clock
        self._sequences = Unwrapper(16)
        self._base: int | None = None
        self._highest = 0
        self._jitter = 0.0
        self._transit: float | None = None
        self._timestamps = Unwrapper(32)
        self._prior_expected = 0
        self._prior_received = 0
        self.received = 0

    def add(self, sequence: int, timestamp: int, now: float) -> None:
        """One packet that arrived at `now` seconds."""
        extended = self._sequences.unwrap(sequence)
        self.received += 1
        if self._base is None:
            self._base = self._highest = extended
        elif extended <= self._highest:
            return  # late or repeated: says nothing about jitter
        self._highest = extended
        transit = now * self._clock - self._timestamps.unwrap(timestamp)
        if self._transit is not None:
            self._jitter += (abs(transit - self._transit) - self._jitter) / 16
        self._transit = transit

    @property
    def expected(self) -> int:
        """Packets that were sent as far as the sequence numbers tell."""
        return 0 if self._base is None else self._highest - self._base + 1

    @property
    def lost(self) -> int:
        """Packets that did not come; never negative, repeated packets hide losses."""
        return max(0, self.expected - self.received)

    def report(self) -> Report:
        """The next report block; starts a new interval."""
        expected = self.expected - self._prior_expected
        lost = expected - (self.received - self._prior_received)
        self._prior_expected, self._prior_received = self.expected, self.received
        fraction = min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0
        return Report(
            fraction_lost=fraction,
            packets_lost=min(self.lost, (1 << 23) - 1),
            highest_sequence=self._highest & 0xFFFFFFFF,
            jitter=min(int(self._jitter), 0xFFFFFFFF),
        )
