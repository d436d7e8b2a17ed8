"""How many bits a second of video one peer can take, from what it says. Pure.

Three voices are heard: the far end's own estimate (REMB), which sees delay grow before anything is lost;
the loss that it reports; and the round trip, for far ends that estimate nothing. Loss that stays when the
rate has fallen is not made by us: it is the network's own, and only what is above it counts.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from mediaagentd.media.types import Feedback, VideoProfile

START: Final = 1_000_000
"""Bits a second that a new connection begins with, if the profile has more."""

LEAST_BITRATE: Final = 80_000
"""Bits a second of video below which nothing can be recognised."""

AUDIO_SHARE: Final = 50_000
"""Bits a second of the far end's estimate kept free for sound and its headers while it is not known what they
take: audio first.
"""

ADJUSTMENT: Final = 1.0
MOST_PASSED: Final = 2.0
"""Seconds between two changes, and of what has passed that count at most."""

RISE: Final = 1.25
RISE_BEHIND: Final = 1.4
"""Factors a second while all is well: from 300 kbit/s to 1.5 Mbit/s in seven seconds; and where the far end
estimates, so that its word decides.
"""

TOLERATED_LOSS: Final = 0.02
HIGH_LOSS: Final = 0.10
"""Fractions lost below which the rate rises, and above which it falls."""

MOST_FALL: Final = 0.7
"""Factor of one step down for loss: what is lost in one second was often sent at the rate before."""

FALLEN: Final = 0.7
"""Share of the rate at which loss began, where it shows whose it is: ours is less there, by what is sent
less.
"""

STEP: Final = 0.95
EXPLAINED: Final = 2.0
"""Share of the far end's former estimate below which it has fallen; seconds after that in which loss is of
what was sent before.
"""

QUEUE: Final = 0.200
QUEUE_FACTOR: Final = 0.8
"""Seconds of round trip above the least one of a minute that say that a queue is full, and what follows."""

ROUND_TRIPS: Final = 60


class RateControl:
    """`feedback` when the far end has said something, `bitrate` at any time."""

    def __init__(self, profile: VideoProfile) -> None:
        self._most = profile.bitrate
        self._rate = float(min(profile.bitrate, START))
        self._estimate: int | None = None
        self._changed = -math.inf
        self._worst = 0.0
        self._own = 0.0
        self._began: tuple[float, float] | None = None  # rate and loss when it began to fall
        self._round_trips: deque[float] = deque(maxlen=ROUND_TRIPS)
        self._sound = AUDIO_SHARE
        self._repairs = 0.0
        self._fell = -math.inf

    def feedback(self, feedback: Feedback, now: float) -> None:
        """Takes what the far end said at `now` seconds."""
        self._sound = AUDIO_SHARE if feedback.sound is None else feedback.sound
        self._repairs = feedback.repairs
        if feedback.bitrate is not None:
            before, self._estimate = self._estimate or math.inf, feedback.bitrate
            if feedback.bitrate < STEP * before and self._reach(1.0) < self._rate:
                self._fell = now
        self._worst = max(self._worst, feedback.fraction_lost)
        if now - self._changed < ADJUSTMENT:
            return
        passed, self._changed = min(MOST_PASSED, now - self._changed), now
        loss, self._worst = self._worst, 0.0
        self._own = min(self._own, loss)
        if now - self._fell < EXPLAINED:
            self._began = None
            self._rate *= self._rise(passed)
        else:
            self._follow(loss, self._queued(feedback.round_trip), passed)
        self._rate = max(LEAST_BITRATE, min(self._most, self._rate, self._reach()))

    @property
    def bitrate(self) -> int:
        """Bits a second for video, between `LEAST_BITRATE` and the profile's."""
        return int(max(LEAST_BITRATE, min(self._most, self._rate, self._reach(1.0))))

    def _follow(self, loss: float, queued: bool, passed: float) -> None:
        excess = loss - self._own
        if excess > HIGH_LOSS:
            began, lost = self._began = self._began or (self._rate, excess)
            ours = max(0.0, 1 - (1 - lost) * began / self._rate)
            if self._rate < FALLEN * began and excess > (ours + lost) / 2:
                self._own, self._began = loss, None
            else:
                self._rate *= max(MOST_FALL, 1 - excess / 2)
        elif queued:
            self._rate *= QUEUE_FACTOR
        elif excess < TOLERATED_LOSS or (self._own > 0 and excess < HIGH_LOSS / 2):
            self._began = None
            self._rate *= self._rise(passed)

    def _rise(self, passed: float) -> float:
        return float((RISE if self._estimate is None else RISE_BEHIND) ** passed)

    def _queued(self, round_trip: float | None) -> bool:
        """Only where the far end does not say so itself: its word is sooner and surer."""
        if round_trip is None or self._estimate is not None:
            return False
        self._round_trips.append(round_trip)
        return round_trip > min(self._round_trips) + QUEUE

    def _reach(self, slack: float = 1.2) -> float:
        """What the far end's estimate allows; with some slack for the rate that waits behind it, which would
        otherwise climb out of sight.
        """
        if self._estimate is None:
            return math.inf
        return slack * (self._estimate - self._sound) / (1 + self._repairs)
