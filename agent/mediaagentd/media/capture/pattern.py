"""A number that survives compression: drawn into a picture as black and white blocks, and read back.

Eight by five square blocks at the top left of the picture, each `height // 24` pixels wide. First row:
a fixed word that says that there is a code here. Three rows: the number, most significant bit first.
Last row: CRC-8 (polynomial 0x07) of the number's three bytes. White is 1.
"""

from __future__ import annotations

import functools

import numpy as np

from mediaagentd.media.capture.planes import Plane

COLUMNS = 8
ROWS = 5
BLOCKS_PER_HEIGHT = 24
MARK = 0b10110010
LIMIT = 1 << 24
"""Numbers count modulo this."""

BLACK = 16
WHITE = 235
MARGIN = 30
"""A block must differ by this much from the middle grey, or the code is not trusted."""


def draw_counter(luma: Plane, number: int) -> None:
    """Draws `number` (modulo `LIMIT`) into a picture of shape (height, width)."""
    size = luma.shape[0] // BLOCKS_PER_HEIGHT
    value = number % LIMIT
    word = (MARK << 32) | (value << 8) | _crc(value)
    bits = np.array([(word >> shift) & 1 for shift in range(39, -1, -1)], np.uint8).reshape(ROWS, COLUMNS)
    blocks = np.where(bits == 1, np.uint8(WHITE), np.uint8(BLACK))
    code = np.repeat(np.repeat(blocks, size, axis=0), size, axis=1)
    luma[: code.shape[0], : code.shape[1]] = code


def read_counter(luma: Plane) -> int | None:
    """The number in a picture of shape (height, width), of any size that keeps the shape; None when
    there is none that can be trusted.
    """
    size = luma.shape[0] / BLOCKS_PER_HEIGHT
    if size < 3 or luma.shape[1] < COLUMNS * size:
        return None
    levels = np.array([[_level(luma, row, column, size) for column in range(COLUMNS)] for row in range(ROWS)])
    middle = (BLACK + WHITE) / 2
    if np.abs(levels - middle).min() < MARGIN:
        return None
    word = 0
    for bit in (levels > middle).flat:
        word = word << 1 | int(bit)
    value = (word >> 8) & (LIMIT - 1)
    if word >> 32 != MARK or word & 0xFF != _crc(value):
        return None
    return value


def _level(luma: Plane, row: int, column: int, size: float) -> float:
    """The mean of the middle half of a block: its edges ring and bleed."""
    top, left = int((row + 0.25) * size), int((column + 0.25) * size)
    half = max(1, int(size / 2))
    return float(luma[top : top + half, left : left + half].mean())


@functools.lru_cache(maxsize=4)
def _crc(value: int) -> int:
    crc = 0
    for shift in (16, 8, 0):
        crc ^= (value >> shift) & 0xFF
        for _ in range(8):
            crc = ((crc << 1) ^ 0x07 if crc & 0x80 else crc << 1) & 0xFF
    return crc
