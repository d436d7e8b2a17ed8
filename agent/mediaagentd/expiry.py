"""How long a UserSig is still good: sessions outlive it, so nothing else tells before one is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from mediaagentd.errors import Refused
from mediaagentd.usersig import parse

_log = structlog.stdlib.get_logger()

DAY = 86400.0
"""Seconds."""

AHEAD = 14 * DAY
"""Seconds before its end from which on it is told, once a day; of a short one the second half of its life."""


def ending(user_sig: str, now: float) -> float | None:
    """Seconds that it is still good at `now` (Unix seconds), below zero when it is over; None while nothing
    has to be done yet, and when it cannot be read.
    """
    try:
        claims = parse(user_sig)
    except Refused:
        return None
    left = claims.ends - now
    return left if left < min(AHEAD, claims.expire / 2) else None


async def watch(user_sig: Callable[[], str]) -> None:
    """Tells in the log when the present one comes to its end, once a day, until cancelled."""
    while True:
        left = ending(user_sig(), time.time())
        if left is not None:
            advice = "log in with another one, or put one into the configuration"
            _log.warning("user_sig_ends", days=round(left / DAY, 1), advice=advice)
        await asyncio.sleep(DAY)
