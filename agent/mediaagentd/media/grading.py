"""Who gets which encoding of our picture, and what an encoder makes of few bits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mediaagentd.media.types import VideoCodec, VideoFrame, VideoProfile

WEAK = 0.5
STRONG = 0.7
"""Shares of the best user's rate: below the first somebody is weak, above the second no longer."""

WORSE_FOR = 3.0
BETTER_FOR = 10.0
"""Seconds that somebody must be so before the encoding changes: each change costs a keyframe."""

WORTH_IT = 400_000
"""Bits a second of the best below which one encoding is enough."""

LEAST_DENSITY = 0.02
SMOOTH_DENSITY = 0.015
COMFORT = 1.5
"""Bits a pixel below which a picture is made smaller, and below which there are fewer; and so many times that
for larger ones, or more of them, again.
"""

SLOWER_AFTER = 2.0
"""Seconds of too few bits after which there are fewer pictures: a moment is no reason to be less smooth."""

STEPS = ((1.0, 1.0), (0.75, 1.0), (0.5, 1.0), (0.5, 0.5), (1 / 3, 0.5))
"""Shares of width and height, and of the pictures a second: fewer pixels first, then fewer pictures."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One encoding of our picture; `weak`: the smaller one, for users who can take little."""

    codec: VideoCodec
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Shape:
    """What an encoder makes of the captured pictures: shares of width and height, and of the pictures a
    second; `fps` is that many, 0 for all.
    """

    scale: float = 1.0
    pace: float = 1.0
    fps: float = 0.0


class Ladder:
    """The shape that suits a bitrate, with hysteresis."""

    def __init__(self, profile: VideoProfile) -> None:
        self._profile = profile
        self._step = 0
        self._few_since: float | None = None

    def shape(self, bitrate: int, now: float) -> Shape:
        """For so many bits a second from `now` (seconds) on."""
        while self._step + 1 < len(STEPS) and self._density(self._step, bitrate) < _least(self._step):
            if _slower(self._step) and not self._lasts(now):
                break
            self._step += 1
        else:
            self._few_since = None
        while self._step > 0 and self._comfortable(self._step - 1, bitrate):
            self._step -= 1
        scale, pace = STEPS[self._step]
        return Shape(scale, pace, self._profile.fps * pace if pace < 1 else 0.0)

    def _lasts(self, now: float) -> bool:
        """Whether there have been too few bits for all pictures for long enough."""
        if self._few_since is None:
            self._few_since = now
        return now - self._few_since >= SLOWER_AFTER

    def _comfortable(self, step: int, bitrate: int) -> bool:
        return self._density(step, bitrate) >= COMFORT * _least(step)

    def _density(self, step: int, bitrate: int) -> float:
        size, (scale, pace) = self._profile.size, STEPS[step]
        return bitrate / (size.width * size.height * scale**2 * self._profile.fps * pace)


def _slower(step: int) -> bool:
    """Whether the next step is one of fewer pictures."""
    return STEPS[step + 1][1] < STEPS[step][1]


def _least(step: int) -> float:
    """Bits a pixel below which the next step is taken."""
    return SMOOTH_DENSITY if _slower(step) else LEAST_DENSITY


class Grades:
    """Which users are much weaker than the best of them, with hysteresis."""

    def __init__(self) -> None:
        self._weak: frozenset[str] = frozenset()
        self._since: dict[str, float] = {}

    def update(self, rates: Mapping[str, int], now: float) -> frozenset[str]:
        """The weak ones; `rates`: bits a second that each can take, at `now` seconds."""
        best = max(rates.values(), default=0)
        weak = self._weak & rates.keys()
        self._since = {user: since for user, since in self._since.items() if user in rates}
        for user, rate in rates.items():
            is_weak = user in weak
            better = rate > STRONG * best or best < WORTH_IT
            changes = better if is_weak else (rate < WEAK * best and best >= WORTH_IT)
            if not changes:
                self._since.pop(user, None)
            elif now - self._since.setdefault(user, now) >= (BETTER_FOR if is_weak else WORSE_FOR):
                del self._since[user]
                weak ^= {user}
        # With nobody left to be compared with, the one encoding that there is suits them.
        self._weak = frozenset() if weak == rates.keys() else weak
        return self._weak


class Feed:
    """What one user gets: one stream at a time, changed at a keyframe of the new one."""

    def __init__(self) -> None:
        self._current: Stream | None = None
        self._last = -1

    def take(self, wanted: Stream, stream: Stream, frame: VideoFrame) -> VideoFrame | None:
        """The picture of `stream` for a user who is to get `wanted`, None when it is not for him. The same
        picture may come in both, this stream's second: times rise all the same.
        """
        if stream == wanted and frame.keyframe:
            self._current = wanted
        if stream != self._current:
            return None
        if frame.pts <= self._last:
            frame = frame._replace(pts=self._last + 1)
        self._last = frame.pts
        return frame
