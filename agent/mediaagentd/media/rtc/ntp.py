"""The time that we tell far ends: NTP's, but even.

Whoever sets this machine's clock in a call (a device without a clock of its own, some minutes after it was
switched on) must not move it: a far end would take the step for a queue of that length, or for a round trip.
"""

from __future__ import annotations

import time
from typing import Final

_SINCE_1900: Final = 2_208_988_800
"""Seconds from NTP's epoch to Unix's (RFC 5905 section 6)."""

_OFFSET: Final = time.time() - time.monotonic()


def unix() -> float:
    """Seconds since 1970, by the machine's clock as it was when this process began."""
    return _OFFSET + time.monotonic()


def ntp() -> int:
    """The same as an NTP timestamp: 64 bits, 32 of them behind the point."""
    return int((unix() + _SINCE_1900) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
