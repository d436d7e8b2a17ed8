"""Values that travel between the rooms of `media`: encoded frames, formats, feedback, figures."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, NamedTuple

AUDIO_CLOCK = 48_000
"""RTP clock of Opus, ticks a second (RFC 7587 section 4.1)."""

VIDEO_CLOCK = 90_000
"""RTP clock of all video, ticks a second (RFC 6184, RFC 7741)."""

AUDIO_FRAME = 960
"""Samples of one 20 ms audio frame at 48 kHz."""

UNKNOWN_LOSS: Final = 0.009
"""Fraction of sound that a path is taken to lose while nothing is known of it, and when it loses a packet
now and then: enough for FEC, too little for packets to go out twice.
"""

QUIET_LOSS: Final = 0.001
"""Fraction below which it is taken to lose nothing."""


class VideoCodec(enum.StrEnum):
    """Video codecs that we send and receive."""

    H264 = "H264"
    VP8 = "VP8"


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in pixels."""

    width: int
    height: int


class VideoProfile(enum.Enum):
    """The source's video qualities: size, frames a second, bits a second at the start."""

    P480 = (Size(640, 480), 30, 800_000)
    P720 = (Size(1280, 720), 30, 1_500_000)
    P1080 = (Size(1920, 1080), 30, 3_000_000)

    @property
    def size(self) -> Size:
        """Pixels."""
        return self.value[0]

    @property
    def fps(self) -> int:
        """Frames a second."""
        return self.value[1]

    @property
    def bitrate(self) -> int:
        """Bits a second."""
        return self.value[2]


@dataclass(frozen=True, slots=True)
class SoundStyle:
    """How our sound is sent: a voice or music, in two channels where the source has them; `bitrate` in bits a
    second, 0 for what suits. With `stereo` sound is played in two channels too, where the speaker has them.
    """

    music: bool = False
    stereo: bool = False
    bitrate: int = 0

    def rate(self, channels: int) -> int:
        """Bits a second of so many channels; within what RFC 7587 section 3.1.1 recommends."""
        if self.bitrate:
            return self.bitrate
        voice, music = (32_000, 64_000) if channels == 1 else (48_000, 128_000)
        return music if self.music else voice


VOICE: Final = SoundStyle()
"""Of one channel, at a rate that suits it."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a far end says of how it hears us (RFC 7587 section 6.1): whether in two channels, and the bits a
    second that it takes; None when unsaid.
    """

    stereo: bool = False
    most: int | None = None


UNSAID: Final = Hearing()


class VideoFrame(NamedTuple):
    """One encoded picture: H.264 as Annex B with start codes (parameter sets in front of each IDR),
    VP8 as the raw bitstream frame.

    `pts` counts `VIDEO_CLOCK` ticks; `captured` is `time.monotonic()` seconds, of the capture for a
    local frame, of the arrival of the last packet it had to wait for for a remote one. `origin`: when
    a remote one was captured, seconds by the far end's clock; None until it has told.
    """

    codec: VideoCodec
    data: bytes
    pts: int
    keyframe: bool
    captured: float
    origin: float | None = None


class AudioFrame(NamedTuple):
    """One Opus packet of 20 ms. `pts` counts `AUDIO_CLOCK` ticks; `sequence` is the RTP sequence number
    of a remote frame (so that the playout sees gaps), 0 for a local one; the rest as in `VideoFrame`.
    """

    data: bytes
    pts: int
    captured: float
    sequence: int = 0
    origin: float | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the far end says of our stream: bits a second that it estimates (REMB, None when unsaid),
    fraction of packets lost (0 to 1), round trip in seconds (None until measured). And what of our own goes
    over the same path: bits a second of sound, None when unknown, and packets sent again for each sent.
    """

    bitrate: int | None
    fraction_lost: float
    round_trip: float | None
    sound: int | None = None
    repairs: float = 0.0


@dataclass(frozen=True, slots=True)
class StreamStats:
    """Totals of one RTP stream in one direction. `repaired`: packets sent again; received, those
    of sound that came in a later one, and of pictures that others stood in for.
    """

    packets: int = 0
    bytes: int = 0
    frames: int = 0
    keyframes: int = 0
    packets_lost: int = 0
    dropped: int = 0
    repaired: int = 0


@dataclass(frozen=True, slots=True)
class PeerStats:
    """Totals of one WebRTC connection; rates are for the reader to derive from two readings."""

    audio_sent: StreamStats
    audio_received: StreamStats
    video_sent: StreamStats
    video_received: StreamStats
    video_codec: VideoCodec | None
    round_trip: float | None
    fraction_lost: float
