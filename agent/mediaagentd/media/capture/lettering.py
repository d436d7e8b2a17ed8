"""Text in a picture: a 5 by 7 dot font, drawn into the luma plane in blocks of pixels."""

from __future__ import annotations

import functools

import numpy as np

from mediaagentd.media.capture.pattern import BLACK, WHITE
from mediaagentd.media.capture.planes import Plane

HEIGHT = 9
"""Dots of a line of text, with its border."""

_DOTS = {
    " ": "00 00 00 00 00 00 00", "-": "00 00 00 0E 00 00 00", "_": "00 00 00 00 00 00 1F",
    ".": "00 00 00 00 00 0C 0C", ":": "00 0C 0C 00 0C 0C 00", "#": "0A 0A 1F 0A 1F 0A 0A",
    "0": "0E 11 13 15 19 11 0E", "1": "04 0C 04 04 04 04 0E", "2": "0E 11 01 02 04 08 1F",
    "3": "1F 02 04 02 01 11 0E", "4": "02 06 0A 12 1F 02 02", "5": "1F 10 1E 01 01 11 0E",
    "6": "06 08 10 1E 11 11 0E", "7": "1F 01 02 04 08 08 08", "8": "0E 11 11 0E 11 11 0E",
    "9": "0E 11 11 0F 01 02 0C", "A": "0E 11 11 11 1F 11 11", "B": "1E 11 11 1E 11 11 1E",
    "C": "0E 11 10 10 10 11 0E", "D": "1C 12 11 11 11 12 1C", "E": "1F 10 10 1E 10 10 1F",
    "F": "1F 10 10 1E 10 10 10", "G": "0E 11 10 17 11 11 0F", "H": "11 11 11 1F 11 11 11",
    "I": "0E 04 04 04 04 04 0E", "J": "07 02 02 02 02 12 0C", "K": "11 12 14 18 14 12 11",
    "L": "10 10 10 10 10 10 1F", "M": "11 1B 15 15 11 11 11", "N": "11 11 19 15 13 11 11",
    "O": "0E 11 11 11 11 11 0E", "P": "1E 11 11 1E 10 10 10", "Q": "0E 11 11 11 15 12 0D",
    "R": "1E 11 11 1E 14 12 11", "S": "0F 10 10 0E 01 01 1E", "T": "1F 04 04 04 04 04 04",
    "U": "11 11 11 11 11 11 0E", "V": "11 11 11 11 11 0A 04", "W": "11 11 11 15 15 15 0A",
    "X": "11 11 0A 04 0A 11 11", "Y": "11 11 11 0A 04 04 04", "Z": "1F 01 02 04 08 10 1F",
}  # fmt: skip


def draw_text(luma: Plane, text: str, top: int, left: int, dot: int) -> None:
    """Draws a line of white text on black, `dot` pixels a dot; what does not fit is cut off. Letters
    are shown as capitals, unknown signs as spaces.
    """
    line = np.concatenate([_glyph(sign, dot) for sign in text.upper()], axis=1)
    height = max(0, min(line.shape[0], luma.shape[0] - top))
    width = max(0, min(line.shape[1], luma.shape[1] - left))
    luma[top : top + height, left : left + width] = line[:height, :width]


@functools.lru_cache(maxsize=256)
def _glyph(sign: str, dot: int) -> Plane:
    dots = np.zeros((HEIGHT, 6), np.uint8)
    for row, code in enumerate(_DOTS.get(sign, _DOTS[" "]).split()):
        dots[row + 1, :5] = [(int(code, 16) >> shift) & 1 for shift in range(4, -1, -1)]
    pixels = np.where(dots == 1, np.uint8(WHITE), np.uint8(BLACK))
    return np.repeat(np.repeat(pixels, dot, axis=0), dot, axis=1)
