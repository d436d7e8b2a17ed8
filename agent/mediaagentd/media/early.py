"""Which attempt to connect with a user a signal is of, and the signals that come before it is made."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mediaagentd.call.signal import Signal

EARLY_SIGNALS = 128
"""Signals kept for attempts that are not open yet."""


@dataclass(frozen=True, slots=True)
class LinkKey:
    """Names one attempt to connect with a user."""

    call_id: str
    user_id: str
    attempt: int


class EarlySignals:
    """Signals of attempts that are not open yet, of all users together; when full the oldest goes."""

    def __init__(self) -> None:
        self._kept: deque[tuple[LinkKey, Signal]] = deque(maxlen=EARLY_SIGNALS)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: LinkKey, signal: Signal) -> None:
        """For later."""
        self._kept.append((key, signal))

    def take(self, key: LinkKey) -> list[Signal]:
        """Those of that attempt, in order. Those of older ones of the same user are forgotten."""
        kept = list(self._kept)
        self._kept.clear()
        self._kept.extend(
            (each, signal)
            for each, signal in kept
            if each.user_id != key.user_id or (each.call_id == key.call_id and each.attempt > key.attempt)
        )
        return [signal for each, signal in kept if each == key]
