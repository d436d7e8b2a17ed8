"""Lips and voice of one user together. Pure.

A lag is the time by which something is shown or heard after the far end captured it, by its own clock
(RTCP sender reports): both have the same unknown offset. Whichever would be early waits for the other,
less what nobody notices.
"""

from __future__ import annotations

from typing import Final

SLACK: Final = 0.040
"""Seconds that pictures may be late: from 45 ms on it is noticed (ITU-R BT.1359)."""

AHEAD: Final = 0.065
"""Seconds that they may be early: noticed from 125 ms on, and waiting would cost what they are early by."""


def picture_wait(sound: float | None, at_once: float | None) -> float:
    """Seconds that pictures wait for the sound. `sound`: its lag; `at_once`: that of pictures which are
    shown as they come.
    """
    if sound is None or at_once is None:
        return 0.0
    return max(0.0, sound - at_once - AHEAD)


def least_sound_lag(pictures: float | None) -> float | None:
    """The lag that sound shall have at least, for pictures of that lag."""
    return None if pictures is None else pictures - SLACK
