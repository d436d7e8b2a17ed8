"""What one connection lets in: who may speak, how often, and when somebody last did. Pure.

Whoever does not know our ICE user fragment gets no answer and costs a comparison, who knows it but not the
password (RFC 8445 section 7.3) a digest; neither reaches DTLS or SRTP. So no stranger can end a call with a
forged alert, nor fill a queue, nor use up what the far end may ask.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import structlog

LOG_INTERVAL = 1.0
"""Seconds between two log lines about the same."""

TRUSTED = 64
"""Addresses that have proved themselves and are remembered; the oldest is forgotten."""

SOURCES = 256
"""Sources whose rate is kept; the oldest is forgotten."""

BURST = 100
RATE = 50.0
"""STUN requests of one source at once, and a second: a check every 20 ms (RFC 8445 section 14.2)."""

RTCP_BURST = 100_000
RTCP_RATE = 50_000.0
"""Bytes of RTCP at once, and a second: a call has about one thousand, a repair storm twenty. Each byte may
ask for the search of four packets.
"""

STREAMS = 64
"""Synchronization sources of the far end; SRTP keeps a context for each, for good: a source that it forgot
could be replayed, and not be read once its numbers have wrapped. A call has four, and four more for each
time that its senders begin anew.
"""

WORN = 3600.0
"""Seconds from which on one more means that the connection is worn out; before, that it is a flood."""

_log = structlog.stdlib.get_logger()


class Tally:
    """Counts what was dropped and says so at most once a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said = float("-inf")
        self.count = 0

    def add(self, error: Exception | None = None) -> None:
        """One more; `error` is for a defect of ours, whose trace is wanted."""
        self.count += 1
        now = time.monotonic()
        if now - self._said >= LOG_INTERVAL:
            self._said = now
            _log.warning(self._what, total=self.count, exc_info=error)


class Bucket:
    """Lets `rate` a second through, and `burst` at once."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._left = burst
        self._filled = float("-inf")

    def take(self, now: float, amount: float = 1) -> bool:
        """Whether so much is left at `now`, and takes it."""
        if self._left < self._burst:
            self._left = min(self._burst, self._left + (now - self._filled) * self._rate)
        self._filled = now
        if self._left < amount:
            return False
        self._left -= amount
        return True


class Gate:
    """See the module. Addresses are (host, port)."""

    def __init__(self) -> None:
        self.tally = Tally("datagrams_dropped")
        self.heard = float("-inf")
        """When the far end last proved to be there."""
        self.trusted: OrderedDict[tuple[str, int], None] = OrderedDict()
        """Addresses that have proved to know the password."""
        self._sources: OrderedDict[tuple[str, int], Bucket] = OrderedDict()
        self._rtcp = Bucket(RTCP_BURST, RTCP_RATE)
        self.streams: set[bytes] = set()
        """Synchronization sources (their four bytes) of which an authentic packet came."""
        self._begun = time.monotonic()
        self.on_worn: Callable[[], None] = lambda: None
        """Called when no further stream would be heard, though all those came in good time."""

    def alive(self, now: float) -> None:
        """Something authentic came."""
        self.heard = now

    def trust(self, address: tuple[str, int], now: float) -> None:
        """That address has proved to know the password."""
        self.heard = now
        if address not in self.trusted:
            self.trusted[address] = None
            if len(self.trusted) > TRUSTED:
                self.trusted.popitem(last=False)

    def may_ask(self, address: tuple[str, int], now: float) -> bool:
        """Whether a STUN request from there is answered, once it has shown that it knows the password."""
        bucket = self._sources.get(address)
        if bucket is None:
            bucket = self._sources[address] = Bucket(BURST, RATE)
            if len(self._sources) > SOURCES:
                self._sources.popitem(last=False)
        return bucket.take(now)

    def may_report(self, size: int, now: float) -> bool:
        """Whether an RTCP packet is looked at: each asks for work, and the far end may be hostile too."""
        return self._rtcp.take(now, size)

    def note_stream(self, source: bytes) -> None:
        """An authentic packet of that synchronization source came."""
        if source not in self.streams:
            self.streams.add(source)
            if self.is_full and time.monotonic() - self._begun >= WORN:
                self.on_worn()

    @property
    def is_full(self) -> bool:
        """Whether packets of further sources are not looked at."""
        return len(self.streams) > STREAMS
