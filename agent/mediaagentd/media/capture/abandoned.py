"""Threads that hang in a driver: how many of one device there may be.

A read of a device may block for ever and cannot be interrupted. Each attempt anew would leave one more
thread behind, every few seconds for as long as a call lasts.
"""

from __future__ import annotations

import threading
from collections import defaultdict

MOST = 3
"""Threads of one device that may hang; it is not opened again before one of them has come back. One counts
from when it is left alone: who opens the device twice in that second may have one more.
"""

_lock = threading.Lock()
_hanging: defaultdict[str, list[threading.Thread]] = defaultdict(list)


def leave(device: str, thread: threading.Thread, patience: float) -> None:
    """Waits `patience` seconds for the thread's end and then leaves it alone."""
    thread.join(patience)
    if thread.is_alive():
        with _lock:
            _hanging[device].append(thread)


def hangs(device: str) -> bool:
    """Whether as many threads as may be hang in this device's driver."""
    with _lock:
        hanging = [each for each in _hanging.pop(device, []) if each.is_alive()]
        if hanging:
            _hanging[device] = hanging
        return len(hanging) >= MOST
