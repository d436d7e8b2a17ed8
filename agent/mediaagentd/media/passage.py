"""Whether what a camera has encoded itself may go out as it is. Pure.

Nobody can ask such a stream for a keyframe, a lower rate or another size. So it passes while it is what was
negotiated, no larger than the profile, brings keyframes often enough to wait for, and fits what
the users can take; else it is decoded and encoded like any other picture.
"""

from __future__ import annotations

import math

from mediaagentd.media.codec import h264
from mediaagentd.media.types import VideoFrame, VideoProfile

LONGEST_WAIT = 4.0
"""Seconds between two keyframes: so long may somebody who begins to look see nothing."""

MOST = 2.0
"""Times the profile's bitrate that a camera may send when no user limits it."""

TOLERANCE = 1.25
"""Times what the users can take above which it is over at once."""

BACK_OFF = 20.0
MOST_BACK_OFF = 320.0
"""Seconds after that until it is tried again: twice as many each time that it has passed for less than that,
up to the latter. What users can take beyond the profile's bitrate is seen only by trying, which costs sound.
"""


class Passage:
    """Looks at every frame of the camera, in order. An answer of True first comes at a keyframe."""

    def __init__(self, profile: VideoProfile) -> None:
        self._profile = profile
        self._fits = False
        self._passing = False
        self._keyframe = -math.inf
        self._bits = 0
        self._rate = math.inf
        self._not_before = self._since = -math.inf
        self._back_off = BACK_OFF

    def look(self, frame: VideoFrame, allowed: int) -> bool:
        """Whether this frame passes; `allowed`: bits a second that the users can take."""
        now = frame.captured
        limit = MOST * self._profile.bitrate if allowed >= self._profile.bitrate else allowed
        if frame.keyframe:
            self._begin(frame, now)
            comes_often = now - self._keyframe <= LONGEST_WAIT
            self._keyframe, self._bits = now, 0
            if self._fits and comes_often and self._rate <= limit and now >= self._not_before:
                self._since = self._since if self._passing else now
                self._passing = True
        self._bits += len(frame.data) * 8
        elapsed = now - self._keyframe
        present = max(self._rate, self._bits / elapsed) if elapsed >= 1.0 else self._rate
        if self._passing and present > limit * TOLERANCE:
            self._rest(now)
        if not self._fits or elapsed > LONGEST_WAIT * 1.5:
            self._passing = False
        return self._passing

    def _rest(self, now: float) -> None:
        if now - self._since >= self._back_off:
            self._back_off = BACK_OFF
        self._not_before = now + self._back_off
        self._back_off = min(MOST_BACK_OFF, 2 * self._back_off)
        self._passing = False

    def _begin(self, frame: VideoFrame, now: float) -> None:
        """What the keyframe says, and what came since the one before."""
        elapsed = now - self._keyframe
        self._rate = self._bits / elapsed if 0 < elapsed < math.inf else math.inf
        most = self._profile.size
        try:
            sets = [
                h264.parameter_set(unit) for unit in h264.units(frame.data) if h264.kind(unit) == h264.SPS
            ]
        except ValueError:
            sets = []
        self._fits = bool(sets) and all(
            each.is_negotiated and each.size.width <= most.width and each.size.height <= most.height
            for each in sets
        )
