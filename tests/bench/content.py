"""The picture that every benchmark sends: textured, panning and zooming, with sensor noise, and a number
that says which picture of the loop it is.

Generated once into a file of raw pictures, so that reading it costs every contender the same and next
to nothing. It is as hard as a camera's picture: at 1.5 Mbit/s the usual real-time settings give 32 to 36 dB;
and no harder on a denoiser (the stock library has one) than a camera: details are larger than a pixel.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from mediaagentd.media.capture.pattern import draw_counter
from numpy.typing import NDArray

from tests.integration.processes import REPOSITORY

Luma = NDArray[np.uint8]

WIDTH, HEIGHT, FPS = 1280, 720, 30
FRAMES = 90
"""Pictures of the loop, which has no seam."""

EDGES = 4
NOISE = 3.0
"""Standard deviation of the sensor noise, in levels."""

FILE = REPOSITORY / "build" / "bench" / "content-3.nut"
SMALL = REPOSITORY / "build" / "bench" / "content-3-480p.nut"
TINY = REPOSITORY / "build" / "bench" / "content-3-tiny.nut"
"""The same as 1280x720, 640x480 and 320x240."""

_SIZES = {FILE: (WIDTH, HEIGHT), SMALL: (640, 480), TINY: (320, 240)}


def texture(random: np.random.Generator, height: int, width: int) -> Luma:
    """Luma of smooth noise in eight octaves, the finer the stronger, and four layers of patches with hard
    edges; shape (height, width).
    """
    total = _octaves(random, height, width, range(2, 10), 1.2)
    total /= np.abs(total).max()
    for _ in range(EDGES):
        patches = _octaves(random, height, width, range(3, 7), 0.6)
        total += 0.35 / EDGES**0.5 * np.sign(patches - np.quantile(patches, 0.6))
    total -= total.min()
    levels: Luma = (16 + 219 * total / total.max()).astype(np.uint8)
    return levels


def _octaves(
    random: np.random.Generator, height: int, width: int, octaves: range, gain: float
) -> NDArray[np.float32]:
    """Noise about zero whose octaves differ in strength by the factor `gain`."""
    total = np.zeros((height, width), np.float32)
    for octave in octaves:
        cells = 2**octave
        coarse = random.random((cells * height // width + 2, cells + 2), np.float32) - 0.5
        rows = np.linspace(0, coarse.shape[0] - 1.001, height)
        columns = np.linspace(0, coarse.shape[1] - 1.001, width)
        total += bilinear(coarse, rows, columns) * gain ** (octave - octaves.start)
    return total


def bilinear(
    coarse: NDArray[np.float32], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float32]:
    """`coarse` read at every (row, column) of the grid."""
    top, left = rows.astype(int), columns.astype(int)
    down, right = (rows - top)[:, None], (columns - left)[None, :]
    upper = coarse[top][:, left] * (1 - right) + coarse[top][:, left + 1] * right
    lower = coarse[top + 1][:, left] * (1 - right) + coarse[top + 1][:, left + 1] * right
    blended: NDArray[np.float32] = (upper * (1 - down) + lower * down).astype(np.float32)
    return blended


def pictures(width: int = WIDTH, height: int = HEIGHT) -> Iterator[av.VideoFrame]:
    """The loop in any size of whatever shape; the same for every run."""
    random = np.random.default_rng(20261124)
    luma = texture(random, 1600, 2400)
    for number in range(FRAMES):
        yield _picture(luma, number, random, width, height)


def _picture(luma: Luma, number: int, random: np.random.Generator, width: int, height: int) -> av.VideoFrame:
    """A window of the texture that pans and zooms, noise over it."""
    angle = 2 * math.pi * number / FRAMES
    across = int(1500 + 300 * math.sin(2 * angle)) & ~1
    down = min(luma.shape[0], across * height // width) & ~1
    left = int((luma.shape[1] - across) * (0.5 + 0.4 * math.cos(angle)))
    top = int((luma.shape[0] - down) * (0.5 + 0.4 * math.sin(angle)))
    window = np.ascontiguousarray(luma[top : top + down, left : left + across])
    scaled = av.VideoFrame.from_ndarray(window, format="gray").reformat(width, height, format="gray")
    noisy = scaled.to_ndarray() + random.normal(0, NOISE, (height, width))
    planes = np.empty((height * 3 // 2, width), np.uint8)
    planes[:height] = np.clip(noisy, 16, 235)
    planes[height:] = 128
    planes[height : height + height // 4] = 110
    draw_counter(planes[:height], number)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def ensure(path: Path = FILE) -> Path:
    """Writes the content to `path`, one of those above, unless it is there; about 125 MB."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with av.open(str(unfinished), "w", format="nut") as container:
        stream = container.add_stream("rawvideo", rate=FPS)
        stream.width, stream.height = size = _SIZES[path]
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(pictures(*size)):
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    unfinished.rename(path)
    return path


@functools.cache
def originals(path: Path = FILE) -> list[av.VideoFrame]:
    """The pictures of the file."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))
