"""Decides what runs from who wants what: nothing runs that nobody wants. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mediaagentd.media.grading import Stream
from mediaagentd.media.types import Feedback, VideoCodec, VideoProfile

KEYFRAME_GAP = 0.5
"""Seconds between two keyframes that are made on request: many requests become one."""

LEAST_BITRATE = 120_000
"""Bits a second of video below which nothing can be recognised."""

AUDIO_SHARE = 50_000
"""Bits a second kept free for sound and its headers: audio first."""

ADJUSTMENT = 1.0
"""Seconds between two changes of one peer's rate."""

TOLERATED_LOSS = 0.02
HIGH_LOSS = 0.10
"""Fractions lost below which the rate rises, and above which it falls."""


@dataclass(frozen=True, slots=True)
class Wants:
    """Who wants what. `peers`: of each connected user the codec of our video to it, None without video.
    `local_encoded` and `local_decoded`: whether a view or snapshot wants the local picture in that form;
    `local_codecs`: the codecs that local web pages want it in; `weak`: the users who can take much less than
    the others; `remote_decoded`: the users whose decoded pictures somebody wants.
    """

    camera_open: bool = False
    sending_audio: bool = False
    sending_video: bool = False
    echo: bool = False
    peers: Mapping[str, VideoCodec | None] = field(default_factory=dict)
    weak: frozenset[str] = frozenset()
    local_encoded: bool = False
    local_codecs: frozenset[VideoCodec] = frozenset()
    local_decoded: bool = False
    remote_decoded: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """What runs: the camera, the encoders, the microphone, decoders and voices of users."""

    capture: bool = False
    encoders: frozenset[Stream] = frozenset()
    microphone: bool = False
    decoders: frozenset[str] = frozenset()
    heard: frozenset[str] = frozenset()


def plan(wants: Wants, preferred: VideoCodec) -> Plan:
    """What must run for that; `preferred` is the codec of a local view when no peer decides it."""
    if wants.echo:
        return Plan(decoders=wants.remote_decoded)
    encoders: set[Stream] = set()
    if wants.camera_open and wants.sending_video:
        peers = wants.peers.items()
        encoders.update(Stream(codec, user in wants.weak) for user, codec in peers if codec is not None)
    if wants.camera_open:
        encoders.update(Stream(codec) for codec in wants.local_codecs)
    if wants.camera_open and wants.local_encoded and not encoders:
        encoders.add(Stream(preferred))
    return Plan(
        capture=wants.camera_open and (bool(encoders) or wants.local_decoded),
        encoders=frozenset(encoders),
        microphone=wants.sending_audio and bool(wants.peers),
        decoders=wants.remote_decoded,
        heard=frozenset(wants.peers),
    )


class KeyframeGate:
    """Makes one keyframe of many requests, at most one per `KEYFRAME_GAP`; none is forgotten."""

    def __init__(self) -> None:
        self._last = -math.inf
        self._wanted = False

    def request(self) -> None:
        """Somebody wants one."""
        self._wanted = True

    def due(self, now: float) -> bool:
        """Whether the picture of `now` seconds is to be one; then the requests so far are fulfilled."""
        if not self._wanted or now - self._last < KEYFRAME_GAP:
            return False
        self._wanted, self._last = False, now
        return True


class RateControl:
    """The bitrate that one peer can take, from its feedback: falls by half the loss above `HIGH_LOSS`,
    stays, or rises by 8 % a second below `TOLERATED_LOSS`; never above what the far end estimates.
    """

    def __init__(self, profile: VideoProfile) -> None:
        self._most = profile.bitrate
        self._loss_based = float(profile.bitrate)
        self._estimate: int | None = None
        self._changed = -math.inf
        self._worst = 0.0

    def feedback(self, feedback: Feedback, now: float) -> None:
        """Takes what the far end said at `now` seconds."""
        if feedback.bitrate is not None:
            self._estimate = feedback.bitrate
        self._worst = max(self._worst, feedback.fraction_lost)
        if now - self._changed < ADJUSTMENT:
            return
        self._changed = now
        loss, self._worst = self._worst, 0.0
        if loss > HIGH_LOSS:
            self._loss_based *= 1 - loss / 2
        elif loss < TOLERATED_LOSS:
            self._loss_based *= 1.08
        self._loss_based = max(LEAST_BITRATE, min(self._most, self._loss_based))

    @property
    def bitrate(self) -> int:
        """Bits a second for video, between `LEAST_BITRATE` and the profile's."""
        limit = self._loss_based
        if self._estimate is not None:
            limit = min(limit, self._estimate - AUDIO_SHARE)
        return int(max(LEAST_BITRATE, min(self._most, limit)))


def encoder_bitrate(peers: Iterable[RateControl], profile: VideoProfile) -> int:
    """The rate of the encoder that serves these peers: the least that one of them can take."""
    return min((peer.bitrate for peer in peers), default=profile.bitrate)
