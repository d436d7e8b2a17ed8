"""Proof that a picture is the one that it should be: the number and the label that the synthetic camera
writes into it.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import av
import numpy as np
from mediaagent.v1 import view_pb2
from numpy.typing import NDArray

from mediaagentd.media.capture.lettering import HEIGHT, draw_text
from mediaagentd.media.capture.pattern import BLACK, BLOCKS_PER_HEIGHT, ROWS, read_counter
from mediaagentd.media.codec.image import png

Luma = NDArray[np.uint8]

LINE = 2
"""The label is the third line of text below the code."""


def luma_of_picture(picture: view_pb2.WatchViewResponse) -> Luma:
    """Brightness of a picture of an I420 view, (height, width)."""
    return np.frombuffer(picture.data, np.uint8, picture.width * picture.height).reshape(
        picture.height, picture.width
    )


def luma_of_image(image: bytes) -> Luma:
    """Brightness of a PNG or JPEG file, (height, width)."""
    with av.open(io.BytesIO(image), "r") as container:
        frame = next(container.decode(video=0))
    luma: Luma = frame.to_ndarray(format="gray").astype(np.uint8, copy=False)
    return luma


def grid(images: Sequence[bytes], words: Sequence[str]) -> bytes:
    """Up to three pictures of one size and some words, two by two, as a PNG file."""
    cells = [_rgb_of_image(image) for image in images]
    height, width, _ = cells[0].shape
    while len(cells) < 3:
        cells.append(np.full((height, width, 3), BLACK, np.uint8))
    text: Luma = np.full((height, width), BLACK, np.uint8)
    dot = max(1, width // 160)
    for number, line in enumerate(words):
        draw_text(text, line, (number + 1) * 2 * HEIGHT * dot, 2 * HEIGHT * dot, dot)
    cells.append(np.repeat(text[:, :, None], 3, axis=2))
    picture = np.vstack([np.hstack(cells[:2]), np.hstack(cells[2:])])
    return png(av.VideoFrame.from_ndarray(picture, format="rgb24"))


def _rgb_of_image(image: bytes) -> NDArray[np.uint8]:
    with av.open(io.BytesIO(image), "r") as container:
        frame = next(container.decode(video=0))
    pixels: NDArray[np.uint8] = frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
    return pixels


def counter_of(luma: Luma) -> int | None:
    """The number in the picture, None when it cannot be read."""
    return read_counter(luma)


def shows_label(luma: Luma, label: str) -> bool:
    """Whether the picture bears that label, at the size that the camera made it."""
    height = luma.shape[0]
    dot = max(1, height // 180)
    top = (ROWS + 1) * (height // BLOCKS_PER_HEIGHT) + LINE * HEIGHT * dot
    wanted: Luma = np.full((HEIGHT * dot, luma.shape[1]), 128, np.uint8)
    draw_text(wanted, f" {label} ", 0, 0, dot)
    written = wanted != 128
    seen = luma[top : top + HEIGHT * dot]
    if seen.shape != wanted.shape or not written.any():
        return False
    # Compression blurs the edges of letters: 9 in 10 pixels on the right side of grey are proof enough,
    # when another name of the same length gets about 8.
    return bool(((seen[written] > 128) == (wanted[written] > 128)).mean() > 0.92)
