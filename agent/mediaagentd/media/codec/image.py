"""Pictures as JPEG, PNG and bare planes; blocking."""

from __future__ import annotations

import math
from fractions import Fraction

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorRange

from mediaagentd.media.capture.convert import converted
from mediaagentd.media.capture.planes import plane
from mediaagentd.media.types import Size

_TIME_BASE = Fraction(1, 30)
"""Images have no time; the encoder wants one that rises."""


class JpegEncoder:
    """Encodes pictures as JPEG of `quality` 1 to 100; keeps its encoder while the size stays."""

    def __init__(self, quality: int) -> None:
        self._quality = quality
        self._count = 0
        self._context: VideoCodecContext | None = None

    def encode(self, frame: av.VideoFrame) -> bytes:
        """A JPEG file. Raises: av.FFmpegError."""
        full = converted(
            frame,
            pixel_format="yuvj420p",
            src_color_range=ColorRange.JPEG if _is_full(frame) else ColorRange.MPEG,
            dst_color_range=ColorRange.JPEG,
        )
        context = self._context
        if context is None or (context.width, context.height) != (full.width, full.height):
            context = self._context = self._open(full)
        self._count += 1
        full.pts, full.time_base = self._count, _TIME_BASE
        full.pict_type = av.video.frame.PictureType.NONE
        return b"".join(bytes(packet) for packet in context.encode(full))

    def _open(self, frame: av.VideoFrame) -> VideoCodecContext:
        context = _context("mjpeg", frame, "yuvj420p")
        # Not `global_quality`: then FFmpeg reads the quality of each frame, where PyAV has no place for it.
        quantizer = str(_quantizer(self._quality))
        context.options = {
            "qmin": quantizer,
            "qmax": quantizer,
            "huffman": "default",  # optimal tables cost half as much time again
        }
        return context


def png(frame: av.VideoFrame) -> bytes:
    """A PNG file. Raises: av.FFmpegError."""
    rgb = converted(frame, pixel_format="rgb24")
    context = _context("png", rgb, "rgb24")
    context.options = {"compression_level": "1", "pred": "sub"}
    return b"".join(bytes(packet) for packet in context.encode(rgb))


def i420(frame: av.VideoFrame) -> bytes:
    """Planes Y, U, V one behind the other, without padding."""
    picture = frame if frame.format.name == "yuv420p" else converted(frame, pixel_format="yuv420p")
    return b"".join(np.ascontiguousarray(plane(picture, index)).tobytes() for index in range(3))


def scaled(frame: av.VideoFrame, size: Size) -> av.VideoFrame:
    """The picture in that size; itself when it has it."""
    if (frame.width, frame.height) == (size.width, size.height):
        return frame
    return converted(frame, size.width, size.height)


def _is_full(frame: av.VideoFrame) -> bool:
    return frame.format.name == "yuvj420p" or frame.color_range == ColorRange.JPEG


def _context(name: str, frame: av.VideoFrame, pixel_format: str) -> VideoCodecContext:
    context = av.CodecContext.create(name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = frame.width, frame.height, pixel_format
    context.time_base = _TIME_BASE
    context.thread_count = 1
    return context


def _quantizer(quality: int) -> int:
    """FFmpeg's quantizer (2 best to 31) for a quality of 100 to 1 in the scale that people know."""
    return max(2, min(31, round(31 - 29 * math.sqrt(quality / 100))))
