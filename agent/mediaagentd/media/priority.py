"""Who goes first where the cores are fewer than the threads that want one."""

from __future__ import annotations

import contextlib
import os
import threading

CODECS = 5
"""Nice value of encoders and decoders of a call. Beside two busy programs on two cores it keeps 30 pictures a
second at 5, and 13 at 10.
"""

MEASURING = 10
"""That of what can wait."""


def give_way(nice: int) -> None:
    """Lets other threads go before this one, by `nice` (nice(2)); a call's event loop answers sooner then. A
    sandbox may forbid it, and nothing but that is lost.
    """
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(nice, os.nice(0)))
