"""Decides what runs from who wants what: nothing runs that nobody wants. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from mediaagentd.media.congestion import RateControl
from mediaagentd.media.grading import Stream
from mediaagentd.media.types import VideoCodec, VideoProfile

KEYFRAME_GAP = 0.5
"""Seconds between two keyframes that are made on request: many requests become one."""


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
        self.made(now)
        return True

    def made(self, now: float) -> None:
        """The picture of `now` seconds is one, asked for or not."""
        self._wanted, self._last = False, now


def encoder_bitrate(peers: Iterable[RateControl], profile: VideoProfile) -> int:
    """The rate of the encoder that serves these peers: the least that one of them can take."""
    return min((peer.bitrate for peer in peers), default=profile.bitrate)
