"""What is broken on purpose, and until when. Signalling and media ask; `api/faults.py` sets it.

Nothing of it exists in an agent whose configuration does not say `[faults] enabled`.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


class Fault(enum.Enum):
    """What can be broken for a while; a killed connection is broken at once and for good."""

    HUB_DROPPED = enum.auto()
    SIGNALLING_REFUSED = enum.auto()
    SIGNALLING_DELAYED = enum.auto()
    CAMERA_LOST = enum.auto()


class Faults:
    """The faults in force. Seconds; asked from any thread, set on the event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: dict[Fault, float] = {}
        self._cleared = asyncio.Event()
        self.delay = 0.0
        """By how much signalling is delayed while it is."""

    def begin(self, fault: Fault, seconds: float) -> None:
        """From now on for so long; a fault that is begun anew ends as it was told last."""
        self._until[fault] = self._clock() + seconds

    def left(self, fault: Fault) -> float:
        """How long it still lasts; 0 when it is not in force."""
        return max(0.0, self._until.get(fault, 0.0) - self._clock())

    def clear(self) -> None:
        """Ends them all; what is being delayed goes on at once."""
        self._until.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def pause(self) -> None:
        """Waits as long as a message is delayed now."""
        if not self.left(Fault.SIGNALLING_DELAYED):
            return
        try:
            async with asyncio.timeout(self.delay):
                await self._cleared.wait()
        except TimeoutError:
            pass


@dataclass(frozen=True, slots=True)
class Sabotage:
    """The faults, and what else it takes to break something at once.

    `kill_peer` raises Refused(USER_NOT_IN_CALL).
    """

    faults: Faults
    drop_hub: Callable[[], Awaitable[None]]
    kill_peer: Callable[[str], None]
    lose_camera: Callable[[], None]
