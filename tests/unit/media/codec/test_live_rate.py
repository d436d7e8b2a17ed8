"""The contract with PyAV, FFmpeg and libvpx that `live_rate` leans on; an upgrade fails here first."""

from __future__ import annotations

import pytest
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.codec import live_rate
from mediaagentd.media.codec.video import VideoEncoder
from mediaagentd.media.types import Size, VideoCodec


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_the_running_encoder_is_found_where_it_should_be(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 30, 500_000)
    encoder.encode(SyntheticCamera(Size(320, 240), 30).picture(1), keyframe=False)
    context = encoder._context
    assert context is not None
    address = live_rate._address(context)
    assert address is not None
    encoder.set_bitrate(300_000)
    assert encoder._context is context, "not rebuilt"
    assert live_rate._bit_rate(address) == 300_000


def test_what_is_not_as_expected_is_left_alone() -> None:
    encoder = VideoEncoder(VideoCodec.VP8, 30, 500_000)
    encoder.encode(SyntheticCamera(Size(320, 240), 30).picture(1), keyframe=False)
    context = encoder._context
    assert context is not None
    context.bit_rate = 400_000  # no longer what libvpx has
    assert not live_rate.set_vpx_rate(context, 300_000)
