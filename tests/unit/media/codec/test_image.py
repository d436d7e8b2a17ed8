"""The quality of a JPEG is what was asked for."""

from __future__ import annotations

import io
import math
from itertools import pairwise

import av
import numpy as np
import pytest
from mediaagentd.media.codec.image import JpegEncoder

QUALITIES = (1, 10, 50, 85, 100)


@pytest.fixture(scope="module")
def picture() -> av.VideoFrame:
    """Edges and noise, 320x240, as a camera's limited range has them."""
    noise = np.random.default_rng(7)
    blocks = np.kron(noise.integers(40, 216, (24, 32)), np.ones((10, 10)))
    luma = np.clip(blocks + noise.normal(0, 6, blocks.shape), 16, 235).astype(np.uint8)
    return av.VideoFrame.from_ndarray(np.vstack([luma, np.full((120, 320), 128, np.uint8)]), format="yuv420p")


def likeness(image: bytes, original: av.VideoFrame) -> float:
    """PSNR of luma in dB."""
    with av.open(io.BytesIO(image), "r") as file:
        shown = next(file.decode(video=0)).reformat(format="yuv420p").to_ndarray()[:240]
    error = shown.astype(float) - original.to_ndarray()[:240]
    return 10 * math.log10(255**2 / float(np.mean(error**2)))


def test_a_higher_quality_is_larger_and_more_like_the_picture(picture: av.VideoFrame) -> None:
    images = [JpegEncoder(quality).encode(picture) for quality in QUALITIES]
    assert all(len(less) < len(more) for less, more in pairwise(images))
    seen = [likeness(image, picture) for image in images]
    assert all(less < more for less, more in pairwise(seen))


def test_every_picture_of_an_encoder_has_its_quality(picture: av.VideoFrame) -> None:
    encoder = JpegEncoder(10)
    sizes = [len(encoder.encode(picture)) for _ in range(3)]
    assert max(sizes) - min(sizes) <= 2
    assert sizes[0] < len(JpegEncoder(85).encode(picture)) / 2
