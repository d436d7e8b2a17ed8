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

WORTH_IT = 300_000
HARDLY = 150_000
"""Bits a second of the best below which one encoding is enough, and below which two become one again. The
former is less than anybody says who gets no more than the weakest: 0.3 Mbit/s above what comes.
"""

TRY = 2.0
"""Times what the weak ones get, from which one of them is tried with the strong ones: what it can take beyond
what it gets shows nowhere else.
"""

TRIAL = 8.0
FAILED = 0.9
"""Seconds that such a trial may take; share of the rate at its beginning below which it has failed."""

MOST_PATIENCE = 320.0
"""Seconds to the next trial at most; each one that fails doubles them, from `BETTER_FOR` on: it makes the
strong ones' picture worse.
"""

LEAST_DENSITY = 0.02
SMOOTH_DENSITY = 0.015
COMFORT = 1.5
"""Bits a pixel below which a picture is made smaller, and below which there are fewer; and so many times that
for larger ones, or more of them, again.
"""

SLOWER_AFTER = 2.0
"""Seconds of too few bits after which there are fewer pictures: a moment is no reason to be less smooth."""

SCALES = (1.0, 0.75, 0.5, 1 / 3)
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
    second; `fps` is that many, 0 for all. `scale` is that of a picture of so many `full` pixels, the
    profile's; 0 for any.
    """

    scale: float = 1.0
    pace: float = 1.0
    fps: float = 0.0
    full: int = 0

    def scale_of(self, pixels: int) -> float:
        """That of a picture of so many pixels: a camera that gives smaller ones than the profile's has more
        bits for each.
        """
        most = self.scale**2 * self.full * (1 + 1e-9)
        return next((each for each in SCALES if each**2 * pixels <= most), self.scale)


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
        (scale, pace), size = STEPS[self._step], self._profile.size
        return Shape(scale, pace, self._profile.fps * pace if pace < 1 else 0.0, size.width * size.height)

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
        self._users: dict[str, _Grade] = {}

    def update(self, rates: Mapping[str, int], now: float) -> frozenset[str]:
        """The weak ones; `rates`: bits a second that each can take, at `now` seconds."""
        self._users = {user: self._users.get(user) or _Grade() for user in rates}
        best = max(rates.values(), default=0)
        given = min((rates[user] for user, grade in self._users.items() if grade.weak), default=0)
        for user, grade in self._users.items():
            grade.update(rates[user], best, given, now)
        weak = frozenset(user for user, grade in self._users.items() if grade.weak)
        if weak != rates.keys():
            return weak
        for grade in self._users.values():  # nobody to be compared with: the one encoding suits them
            grade.weak = False
        return frozenset()


@dataclass(slots=True)
class _Grade:
    """One user's. `changes`, `could`: since when the opposite is true, and a trial is worth it; `trial`: when
    it began and the rate then.
    """

    weak: bool = False
    changes: float | None = None
    could: float | None = None
    patience: float = BETTER_FOR
    trial: tuple[float, int] | None = None

    def update(self, rate: int, best: int, given: int, now: float) -> None:
        """Rates in bits a second: this user's, the best one's, and what the weak ones get."""
        was = self.weak
        if was:
            self._look_up(rate, best, given, now)
        else:
            self._look_down(rate, best, now)
        if self.weak != was:
            self.changes = self.could = None

    def _look_up(self, rate: int, best: int, given: int, now: float) -> None:
        self.changes = _since(self.changes, now, holds=rate > STRONG * best or best < HARDLY)
        self.could = _since(self.could, now, holds=rate >= TRY * given)
        if _lasts(self.changes, BETTER_FOR, now):
            self.weak, self.trial = False, None
        elif _lasts(self.could, self.patience, now):
            self.weak, self.trial = False, (now, rate)
            self.patience = min(MOST_PATIENCE, 2 * self.patience)

    def _look_down(self, rate: int, best: int, now: float) -> None:
        if rate > STRONG * best:
            self.trial, self.patience = None, BETTER_FOR
        worse = rate < WEAK * best and best >= WORTH_IT
        if self.trial is not None and now < self.trial[0] + TRIAL:
            self.weak = worse and rate < FAILED * self.trial[1]
            return
        self.changes = _since(self.changes, now, holds=worse)
        self.weak = _lasts(self.changes, WORSE_FOR, now)


def _since(since: float | None, now: float, *, holds: bool) -> float | None:
    """Since when it holds, without a break."""
    return (now if since is None else since) if holds else None


def _lasts(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and now - since >= seconds


class Feed:
    """What one user gets: one stream at a time, changed at a keyframe of the new one."""

    def __init__(self) -> None:
        self._current: Stream | None = None
        self._last = -1

    def interrupt(self) -> None:
        """Pictures are left out from now on: it goes on at a keyframe."""
        self._current = None

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
