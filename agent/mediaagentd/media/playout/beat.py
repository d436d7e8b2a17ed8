"""When the next 20 ms are played: in time, and as the sound card's own clock has it. Pure.

A card's clock is some 20 to 100 millionths off this machine's. Given a block every 20 ms by our clock, a slow
card fills up until a block finds no room, and a fast one runs dry: a click every few minutes. So the beat
waits for a card that is behind and hurries with one that is ahead; the playout buffer evens out what that
makes, unheard.
"""

from __future__ import annotations

from mediaagentd.media.playout.delay import SLOT
from mediaagentd.media.types import AUDIO_FRAME

LATE = 0.25
"""Seconds behind time after which missed beats are left out."""

LOOK = 0.002
"""Seconds until a card without room is looked at again."""

PATIENCE = 0.1
"""Seconds without room after which a card stands still: time goes on without it."""

SPARE = AUDIO_FRAME + AUDIO_FRAME // 2
"""Samples of room from which on a card is ahead."""

HURRY = 0.001
"""Seconds by which each beat comes earlier then."""


class Beat:
    """`due`: when to ask next, in the seconds of the clock that is passed in."""

    def __init__(self, now: float) -> None:
        self.due = now
        self._had_room = now

    def strike(self, now: float, room: int | None) -> float | None:
        """What time it is for a block that is played now; None when none is yet. `room` is how many samples
        the card takes at present, None where there is no card to wait for.
        """
        if now - self.due > LATE:
            self.due = now
        if room is not None:
            if room >= AUDIO_FRAME:
                self._had_room = now
            elif now - self._had_room < PATIENCE:
                self.due = now + LOOK
                return None
        at = self.due
        self.due += SLOT if room is None or room < SPARE else SLOT - HURRY
        return at
