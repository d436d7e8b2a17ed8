"""The RTP timestamps of a microphone's blocks. Pure.

They count its samples, as RFC 3550 section 5.1 wants it, and so follow its own clock: receivers bear a clock
that drifts, and sender reports say what time it is. They leave out what was not captured, and never go back:
a receiver would take a block under a time that was used for a repeat, and throw it away.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

GAP: Final = 3 * AUDIO_FRAME
"""Ticks by which blocks are late, all of the last `RECENT`, when some are missing in front of them. One alone
may be late because its thread was held up; those that the sound card has kept come right behind it then.
"""

RECENT: Final = 10

CERTAIN: Final = AUDIO_CLOCK // 4
"""Ticks after which nothing has been kept: the microphone was off."""

AHEAD: Final = AUDIO_CLOCK
"""Ticks by which blocks may be ahead of our clock: what a thread that was held up for a second finds. A sound
server keeps more, 43 s in PulseAudio, for a process that stood still. It is let go until our clock has come
up: sound would be ahead of its pictures for as long as what is usual takes to follow, which is hours.
"""

FOLLOW: Final = 1
"""Ticks a block by which what is usual follows the microphone's clock: a thousandth."""


class Stamps:
    """Of one stream, whatever microphones it comes from."""

    def __init__(self) -> None:
        self._next: int | None = None
        self.usual = 0
        """Ticks by which blocks usually come behind their timestamps: those give an even time of capture."""
        self._late: deque[int] = deque(maxlen=RECENT)
        self._is_ahead = False

    def next(self, clock: int) -> int | None:
        """Of the block that came at `clock` ticks of our own clock; None for one that is to be let go."""
        if self._next is None:
            self._next, self.usual = clock, 0
        late = clock - self._next - self.usual
        self._is_ahead = late < (0 if self._is_ahead else -AHEAD)
        if self._is_ahead:
            return None
        self._late.append(late)
        least = min(self._late)
        missing = late if late > CERTAIN else least if len(self._late) == RECENT else 0
        if missing > GAP:
            self._next += missing // AUDIO_FRAME * AUDIO_FRAME
            self._late.clear()
        else:
            self.usual += max(-FOLLOW, min(FOLLOW, least))
        stamp = self._next
        self._next += AUDIO_FRAME
        return stamp
