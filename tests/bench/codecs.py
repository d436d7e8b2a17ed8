"""Encoders against each other on the benchmark's picture: quality against CPU, for choosing defaults.

    python -m tests.bench codecs [480p 720p 1080p]

One thread unless the name says two, packets of the live settings; CPU is the process's own, so that a shared
machine does little harm, and what it took by the clock stands beside it.
SSIM is the mean over blocks of 8 by 8 pixels of the luma.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.types import VideoProfile
from rich.console import Console
from rich.table import Table

from tests.bench import content
from tests.bench.eyes import psnr

WARM_UP = 60
MEASURED = 120
EVERY = 6
"""Of the measured pictures, those that are compared."""

_X264 = {"tune": "zerolatency", "profile": "baseline", "forced-idr": "1"}
_BASE = "repeat-headers=1:scenecut=0:sliced-threads=0:keyint=infinite"
_VP8 = {
    "deadline": "realtime", "lag-in-frames": "0", "auto-alt-ref": "0", "static-thresh": "1",
    "undershoot-pct": "100", "overshoot-pct": "15", "max-intra-rate": "300", "qmin": "4", "qmax": "56",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """An encoder with its options; those of the rate are added."""

    name: str
    encoder: str
    options: dict[str, str]
    buffer: float = 0.5
    """VBV in seconds."""
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Result:
    """Milliseconds of CPU a picture, and by the clock for encoding it (median), kilobits a second, PSNR in dB
    (mean and worst), SSIM.
    """

    encode: float
    took: float
    decode: float
    kbps: float
    psnr: float
    worst: float
    ssim: float


def _x264(preset: str, parameters: str = "", buffer: float = 0.5) -> Candidate:
    options = {**_X264, "preset": preset, "x264-params": f"{_BASE}:{parameters}".rstrip(":")}
    return Candidate(f"x264 {preset} {parameters}".strip(), "libx264", options, buffer)


def _vp8(speed: int, **more: str) -> Candidate:
    told = "".join(f" {key}={value}" for key, value in more.items())
    return Candidate(f"vp8 {-speed}{told}", "libvpx", {**_VP8, "cpu-used": str(-speed), **more}, 1.0)


CANDIDATES = (
    _x264("ultrafast"),
    _x264("ultrafast", "subme=1"),
    _x264("ultrafast", "no-deblock=0:deblock=0,0"),
    _x264("ultrafast", "no-deblock=0:deblock=0,0:subme=1"),
    _x264("ultrafast", "no-deblock=0:deblock=0,0:subme=1:aq-mode=1"),
    _x264("ultrafast", "no-deblock=0:deblock=0,0:subme=1:partitions=i4x4"),
    _x264("ultrafast", "no-deblock=0:deblock=0,0:subme=1:partitions=p8x8,i4x4"),
    _x264("ultrafast", "no-deblock=0:deblock=0,0:subme=2"),
    replace(
        _x264("ultrafast", "no-deblock=0:deblock=0,0:subme=1:sliced-threads=1:threads=2"),
        name="x264 ultrafast no-deblock=0:deblock=0,0:subme=1, two threads, a slice each",
        threads=2,
    ),
    _x264("superfast"),
    _x264("superfast", "subme=2"),
    _x264("veryfast"),
    _x264("faster"),
    _vp8(16),
    _vp8(12),
    _vp8(8),
    _vp8(6),
    Candidate("vp9 8", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}, 1.0),
)


def measure(candidate: Candidate, frames: Sequence[av.VideoFrame], bitrate: int) -> Result:
    """Encodes and decodes. Raises: av.FFmpegError."""
    encoder, decoder = _open(candidate, frames[0], bitrate), _decoder(candidate)
    spent, sizes = [0.0, 0.0], 0
    took: list[float] = []
    psnrs: list[float] = []
    ssims: list[float] = []
    for number in range(WARM_UP + MEASURED):
        frame = frames[number % len(frames)]
        frame.pts, frame.time_base, frame.pict_type = number * 3000, Fraction(1, 90000), PictureType.NONE
        begun, clock = time.process_time(), time.perf_counter()
        data = b"".join(bytes(packet) for packet in encoder.encode(frame))
        coded, clock = time.process_time(), time.perf_counter() - clock
        pictures = decoder.decode(av.Packet(data)) if data else []
        if number < WARM_UP:
            continue
        spent[0] += coded - begun
        spent[1] += time.process_time() - coded
        took.append(clock)
        sizes += len(data)
        if number % EVERY == 0 and pictures:
            psnrs.append(psnr(luma_of(pictures[-1]), luma_of(frame)))
            ssims.append(ssim(luma_of(pictures[-1]), luma_of(frame)))
    return Result(
        encode=spent[0] / MEASURED * 1000,
        took=statistics.median(took) * 1000,
        decode=spent[1] / MEASURED * 1000,
        kbps=sizes * 8 * content.FPS / MEASURED / 1000,
        psnr=statistics.mean(psnrs),
        worst=min(psnrs),
        ssim=statistics.mean(ssims),
    )


def ssim(picture: content.Luma, original: content.Luma, block: int = 8) -> float:
    """Structural similarity (Wang and others, 2004), over blocks that do not overlap."""
    height, width = (side // block * block for side in original.shape)

    def blocks(plane: content.Luma) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        cut = plane[:height, :width].astype(np.float64)
        return cut.reshape(height // block, block, width // block, block).swapaxes(1, 2).reshape(-1, block**2)

    one, two = blocks(picture), blocks(original)
    mean_one, mean_two = one.mean(1), two.mean(1)
    shared = (one * two).mean(1) - mean_one * mean_two
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_one * mean_two + c1) * (2 * shared + c2)
    below = (mean_one**2 + mean_two**2 + c1) * (one.var(1) + two.var(1) + c2)
    return float((above / below).mean())


def _open(candidate: Candidate, frame: av.VideoFrame, bitrate: int) -> VideoCodecContext:
    context = av.CodecContext.create(candidate.encoder, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 90000), Fraction(content.FPS)
    context.bit_rate, context.gop_size = bitrate, 1_000_000
    context.thread_count = candidate.threads
    rate = {"maxrate": str(bitrate), "bufsize": str(round(bitrate * candidate.buffer))}
    if candidate.encoder != "libx264":
        rate["minrate"] = str(bitrate)
    context.options = {**candidate.options, **rate}
    context.open()
    return context


def _decoder(candidate: Candidate) -> VideoCodecContext:
    name = {"libx264": "h264", "libvpx": "vp8", "libvpx-vp9": "vp9"}[candidate.encoder]
    context = av.CodecContext.create(name, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.flags |= av.codec.context.Flags.low_delay
    return context


def main(names: list[str]) -> int:
    """Prints a table for each profile named, all without names."""
    profiles = {f"{profile.name[1:]}p": profile for profile in VideoProfile}
    console = Console(width=None if Console().is_terminal else 150)
    for name in names or profiles:
        profile = profiles[name]
        frames = list(content.pictures(profile.size.width, profile.size.height))
        title = f"{name} at {profile.bitrate / 1e6:g} Mbit/s; CPU ms a picture"
        table = Table(
            "encoder", "encode", "by the clock", "decode", "kbit/s", "PSNR", "worst", "SSIM", title=title
        )
        for candidate in CANDIDATES:
            got = measure(candidate, frames, profile.bitrate)
            table.add_row(
                candidate.name, f"{got.encode:.2f}", f"{got.took:.2f}", f"{got.decode:.2f}",
                f"{got.kbps:.0f}", f"{got.psnr:.2f}", f"{got.worst:.2f}", f"{got.ssim:.4f}",
            )  # fmt: skip
        console.print(table)
    return 0
