"""How much may be sent again. Pure.

In a full network most of what was sent is asked for again; sending it all made a bottleneck of 0.4 Mbit/s
see 600 repeated packets a second and no whole picture for four seconds.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.9
"""Bytes that may be sent again for each that was sent: 30 % loss, each repair sent twice, and again when both
are lost. Without anything left a picture stands: with 0.6 for 1.5 s in one call of forty.
"""

STEADY: Final = 4_000
"""Bytes a second on top: sound that is asked for, the last packets before a pause."""

MOST: Final = 40_000
LEAST: Final = 5_000
SAVED: Final = 0.25
"""Bytes that can be saved up: a large picture; where the path is known, so many seconds of it, but at least
the second.
"""


class Allowance:
    """`sent` and `accrue` add to it, `take` spends."""

    def __init__(self) -> None:
        self._bytes = self._most = float(MOST)
        self._then: float | None = None

    @property
    def ample(self) -> bool:
        """Whether there is enough for sending things twice."""
        return self._bytes > self._most / 2

    def bound(self, rate: int) -> None:
        """The path takes so many bits a second."""
        self._most = max(LEAST, min(MOST, SAVED * rate / 8))
        self._bytes = min(self._bytes, self._most)

    def sent(self, size: int) -> None:
        """So many bytes were sent for the first time."""
        self._bytes = min(self._most, self._bytes + SHARE * size)

    def accrue(self, now: float) -> None:
        """Time has passed, `now` in seconds."""
        if self._then is not None:
            self._bytes = min(self._most, self._bytes + STEADY * (now - self._then))
        self._then = now

    def take(self, size: int) -> bool:
        """Whether so many bytes may be sent again; then they are spent."""
        if self._bytes < size:
            return False
        self._bytes -= size
        return True
