"""The number in the picture survives what a call does to pictures."""

from __future__ import annotations

import numpy as np
import pytest
from mediaagentd.media.capture.pattern import (
    LIMIT,
    draw_counter,
    read_counter,
)
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.codec.image import JpegEncoder, png, scaled
from mediaagentd.media.codec.video import VideoDecoder, VideoEncoder
from mediaagentd.media.types import Size, VideoCodec, VideoProfile

from tests.fakes.pictures import read_counter_in_image


@pytest.mark.parametrize("number", [0, 1, 0x5A5A5A, LIMIT - 1])
def test_what_is_drawn_is_read(number: int) -> None:
    luma = np.full((480, 640), 100, np.uint8)
    draw_counter(luma, number)
    assert read_counter(luma) == number


def test_a_picture_without_a_code_has_no_number() -> None:
    noise = np.random.default_rng(3)
    assert read_counter(np.full((480, 640), 16, np.uint8)) is None
    assert read_counter(noise.integers(0, 256, (480, 640), dtype=np.uint8)) is None
    assert read_counter(np.zeros((8, 8), np.uint8)) is None


def test_one_wrong_block_is_noticed() -> None:
    luma = np.full((480, 640), 100, np.uint8)
    draw_counter(luma, 1000)
    luma[20:40, 0:20] = 235
    assert read_counter(luma) is None


@pytest.mark.parametrize("codec", list(VideoCodec))
@pytest.mark.parametrize("profile", list(VideoProfile))
def test_it_survives_a_third_of_the_profile_bitrate(codec: VideoCodec, profile: VideoProfile) -> None:
    camera = SyntheticCamera(profile.size, profile.fps, "alice")
    encoder = VideoEncoder(codec, profile.fps, profile.bitrate // 3)
    decoder = VideoDecoder(codec)
    read = []
    for number in range(1, 25):
        encoded = encoder.encode(camera.picture(number), keyframe=False)
        assert encoded is not None
        assert encoded.keyframe == (number == 1)
        picture = decoder.decode(encoded)
        assert picture is not None, "a decoder must not hold pictures back"
        read.append(read_counter(luma_of(picture.frame)))
    assert read == list(range(1, 25))


def test_it_survives_scaling_and_files() -> None:
    frame = SyntheticCamera(Size(1280, 720), 30).picture(77).frame
    small = scaled(frame, Size(320, 180))
    assert read_counter(luma_of(small)) == 77
    assert read_counter_in_image(png(frame)) == 77
    assert read_counter_in_image(JpegEncoder(30).encode(small)) == 77
