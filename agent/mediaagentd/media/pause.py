"""Waiting in threads that wake many times a second."""

from __future__ import annotations

import threading
import time

SLICE = 0.05
"""Seconds after which a thread looks whether it is to stop."""


def pause(seconds: float, stopping: threading.Event) -> bool:
    """Waits; False when `stopping` was set, which is noticed within `SLICE` seconds. To wait for the event
    itself costs four times a bare sleep, since Python makes and queues a lock for it.
    """
    until = time.monotonic() + seconds
    while not stopping.is_set():
        left = until - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, SLICE))
    return False
