"""How video is encoded on this machine: which encoder, how much effort. Pure.

The figures behind the options are in `agent/DESIGN.md` (tuned codecs, the lighter effort).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from mediaagentd.media.types import VideoCodec, VideoProfile

SOFTWARE = {VideoCodec.H264: "libx264", VideoCodec.VP8: "libvpx"}
"""Encoders that are always there."""

HARDWARE = ("h264_nvenc", "h264_qsv", "h264_v4l2m2m")
"""H.264 encoders of graphics processors and boards, as FFmpeg calls them, in the order of trying."""

BUDGET = 20.0
"""Milliseconds of one core that encoding and decoding a picture may take: 60 % of it at 30 a second."""

SPARE = 4.5
"""The same, up to which a machine has so much to spare that it tries harder than it must."""

MEASURED_PIXELS = 1280 * 720


class Effort(enum.StrEnum):
    """How hard an encoder of software tries."""

    FAST = "fast"
    BALANCED = "balanced"


@dataclass(frozen=True, slots=True)
class Tuning:
    """The H.264 encoder's name and the effort of encoders of software."""

    h264: str = "libx264"
    effort: Effort = Effort.FAST

    def encoder(self, codec: VideoCodec) -> str:
        """The encoder of that codec, as FFmpeg calls it."""
        return self.h264 if codec is VideoCodec.H264 else SOFTWARE[codec]


@dataclass(frozen=True, slots=True)
class Cost:
    """What an encoder was seen to take: milliseconds of CPU a 720p picture, encoding and decoding."""

    encoder: str
    effort: Effort
    encode: float
    decode: float

    @property
    def total(self) -> float:
        """One end of a call does both."""
        return self.encode + self.decode

    @property
    def codec(self) -> VideoCodec:
        """Which codec it is of."""
        return VideoCodec.VP8 if self.encoder == SOFTWARE[VideoCodec.VP8] else VideoCodec.H264


@dataclass(frozen=True, slots=True)
class Choice:
    """What suits a machine: codecs, the cheapest first; the tuning; the highest profile that it holds both
    ways.
    """

    codecs: tuple[VideoCodec, ...] = (VideoCodec.H264, VideoCodec.VP8)
    tuning: Tuning = Tuning()
    highest: VideoProfile = VideoProfile.P1080


def choose(costs: Sequence[Cost]) -> Choice:
    """Hardware first; more effort than the least where 720p stays within `SPARE` with it; without any cost
    the default.
    """
    hardware = [cost for cost in costs if cost.encoder in HARDWARE]
    balanced = [cost.total for cost in costs if cost.effort is Effort.BALANCED and cost not in hardware]
    effort = Effort.BALANCED if balanced and min(balanced) <= SPARE else Effort.FAST
    usable = [*hardware[:1], *(cost for cost in costs if cost.effort is effort and cost not in hardware)]
    best = {codec: [cost for cost in usable if cost.codec is codec] for codec in VideoCodec}
    found = [costs_of[0] for costs_of in best.values() if costs_of]
    if not found:
        return Choice()
    ordered = sorted(found, key=lambda cost: cost.total)
    h264 = next((cost.encoder for cost in found if cost.codec is VideoCodec.H264), Tuning().h264)
    return Choice(
        codecs=tuple(cost.codec for cost in ordered),
        tuning=Tuning(h264, effort),
        highest=_highest(ordered[0].total),
    )


def _highest(cost: float) -> VideoProfile:
    """The largest profile within `BUDGET`, by its number of pixels; the smallest whatever it costs."""
    held = [each for each in VideoProfile if cost * _pixels(each) / MEASURED_PIXELS <= BUDGET]
    return max(held, key=_pixels, default=VideoProfile.P480)


def _pixels(profile: VideoProfile) -> int:
    return profile.size.width * profile.size.height


# --- what FFmpeg is told -------------------------------------------------------------------------------

_X264 = (
    "no-deblock=0:deblock=0,0:partitions=i4x4:deadzone-inter=15:deadzone-intra=8"
    ":repeat-headers=1:scenecut=0:sliced-threads=0:keyint=infinite"
)
_X264_SEARCH = {Effort.FAST: 0, Effort.BALANCED: 1}
_VP8_SPEED = {Effort.FAST: "-8", Effort.BALANCED: "-6"}


def options(encoder: str, effort: Effort, rate: int, buffer: int) -> dict[str, str]:
    """Constant bitrate, no delay, keyframes on request only. `rate` in bits a second, `buffer` in bits."""
    limits = {"maxrate": str(rate), "bufsize": str(buffer)}
    match encoder:
        case "libx264":
            return limits | {
                "preset": "ultrafast",
                "tune": "zerolatency",
                "profile": "baseline",
                "forced-idr": "1",
                "x264-params": f"{_X264}:subme={_X264_SEARCH[effort]}",
            }
        case "libvpx":
            return limits | _vp8(rate, effort)
        case "h264_nvenc":
            return limits | {
                "preset": "p4", "tune": "ull", "profile": "baseline", "rc": "cbr", "zerolatency": "1",
                "delay": "0", "forced-idr": "1",
            }  # fmt: skip
        case "h264_qsv":
            return limits | {
                "preset": "veryfast", "profile": "baseline", "async_depth": "1", "low_delay_brc": "1",
                "forced_idr": "1",
            }  # fmt: skip
        case _:
            return {}


def _vp8(rate: int, effort: Effort) -> dict[str, str]:
    return {
        "deadline": "realtime",
        "cpu-used": _VP8_SPEED[effort],
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "static-thresh": "1",
        "minrate": str(rate),
        "bufsize": str(rate),
        "undershoot-pct": "100",
        "overshoot-pct": "15",
        "max-intra-rate": "300",  # a keyframe may take three pictures' worth of bits, not a whole buffer
        "qmin": "4",
        "qmax": "56",
    }
