"""The picture that every benchmark sends: textured, panning and zooming, with sensor noise.

Generated once into a file of raw pictures, so that reading it costs every contender the same and next
to nothing.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 1280, 720, 30
FRAMES = 90


def texture(random: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Luma of several octaves of smooth noise, shape (height, width)."""
    total = np.zeros((height, width), np.float32)
    for octave in range(3, 9):
        cells = 2**octave
        coarse = random.random((cells * height // width + 2, cells + 2), np.float32)
        rows = np.linspace(0, coarse.shape[0] - 1.001, height)
        columns = np.linspace(0, coarse.shape[1] - 1.001, width)
        total += bilinear(coarse, rows, columns) / octave
    total -= total.min()
    levels: NDArray[np.uint8] = (16 + 219 * total / total.max()).astype(np.uint8)
    return levels


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


def picture(luma: NDArray[np.uint8], number: int, random: np.random.Generator) -> av.VideoFrame:
    """Picture `number` of the loop: a window of the texture that pans and zooms, and noise."""
    angle = 2 * math.pi * number / FRAMES
    width = int(1500 + 200 * math.sin(angle)) & ~1
    height = (width * HEIGHT // WIDTH) & ~1
    left = int((luma.shape[1] - width) * (0.5 + 0.4 * math.cos(angle)))
    top = int((luma.shape[0] - height) * (0.5 + 0.4 * math.sin(angle)))
    window = np.ascontiguousarray(luma[top : top + height, left : left + width])
    scaled = av.VideoFrame.from_ndarray(window, format="gray").reformat(WIDTH, HEIGHT, format="gray")
    noisy = scaled.to_ndarray().astype(np.int16) + random.normal(0, 2, (HEIGHT, WIDTH)).astype(np.int16)
    planes = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    planes[:HEIGHT] = np.clip(noisy, 16, 235)
    planes[HEIGHT:] = 128
    planes[HEIGHT : HEIGHT + HEIGHT // 4] = 110
    return av.VideoFrame.from_ndarray(planes, format="yuv420p")


def ensure(path: Path) -> Path:
    """Writes the content to `path` unless it is there; about 125 MB."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(20261123)
    luma = texture(random, 1600, 2400)
    unfinished = path.with_suffix(".part")
    with av.open(str(unfinished), "w", format="nut") as container:
        stream = container.add_stream("rawvideo", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            frame = picture(luma, number, random)
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    unfinished.rename(path)
    return path
