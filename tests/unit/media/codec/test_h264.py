"""Parameter sets, read back from what x264 writes and from bytes of real cameras' kind."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.codeccontext import VideoCodecContext
from mediaagentd.media.codec import h264
from mediaagentd.media.types import Size


def keyframe(size: Size, profile: str, level: str = "3.1") -> bytes:
    context = av.CodecContext.create("libx264", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt = size.width, size.height, "yuv420p"
    context.time_base = Fraction(1, 30)
    context.options = {"preset": "veryfast", "tune": "zerolatency", "profile": profile, "level": level}
    return b"".join(bytes(packet) for packet in context.encode(av.VideoFrame(size.width, size.height)))


def first_set(data: bytes) -> h264.ParameterSet:
    return next(h264.parameter_set(unit) for unit in h264.units(data) if h264.kind(unit) == h264.SPS)


@pytest.mark.parametrize("size", [Size(640, 480), Size(1280, 720), Size(1920, 1080), Size(426, 240)])
def test_the_size_is_that_of_the_shown_picture(size: Size) -> None:
    assert first_set(keyframe(size, "baseline", "4.0")).size == size


def test_only_what_was_negotiated_is_so() -> None:
    small, large = Size(640, 480), Size(1280, 720)
    assert first_set(keyframe(large, "baseline")).is_negotiated
    assert not first_set(keyframe(small, "baseline", "4.0")).is_negotiated, "a higher level"
    assert not first_set(keyframe(small, "main")).is_negotiated
    assert not first_set(keyframe(small, "high")).is_negotiated
    assert not h264.ParameterSet(66, 0x00, 31, small).is_negotiated, "baseline, but not constrained"
    assert h264.ParameterSet(77, 0xC0, 31, small).is_negotiated, "main that is constrained baseline too"


def test_units_have_start_codes_of_three_or_four_bytes() -> None:
    assert h264.units(b"\0\0\0\1\x67ab\0\0\1\x68c\0\0\0\1\x65d") == [b"\x67ab", b"\x68c", b"\x65d"]
    assert h264.units(b"\0\0\0\x05\x65abcd") == [], "lengths, not start codes"
    assert h264.units(b"") == []


def test_damaged_sets_are_a_value_error_and_nothing_else() -> None:
    unit = next(unit for unit in h264.units(keyframe(Size(640, 480), "high")) if h264.kind(unit) == h264.SPS)
    random = np.random.default_rng(1)
    for _ in range(3000):
        damaged = bytearray(unit[: random.integers(1, len(unit) + 1)])
        damaged[random.integers(len(damaged))] = random.integers(256)
        try:
            size = h264.parameter_set(bytes(damaged)).size
        except ValueError:
            continue
        assert 0 < size.width <= 16384
        assert 0 < size.height <= 16384
