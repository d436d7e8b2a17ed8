"""What an H.264 stream says of itself (ITU-T H.264 section 7.3.2.1.1, annex A). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mediaagentd.media.types import Size

IDR, SPS, PPS = 5, 7, 8

NEGOTIATED_LEVEL = 31
"""Level 3.1 of the `profile-level-id` 42e01f that we negotiate: 1280x720 at 30 pictures a second."""

_START = re.compile(rb"\x00\x00\x01")
_EXTENDED = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
"""Profiles whose parameter sets have more fields."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """A sequence parameter set: `constraints` are the eight flags, the first one highest; `level` is ten
    times the level; the size is that of the picture that is shown.
    """

    profile: int
    constraints: int
    level: int
    size: Size

    @property
    def is_negotiated(self) -> bool:
        """Whether it is constrained baseline (RFC 6184 table 5) of no higher level than we negotiate."""
        first, second = bool(self.constraints & 0x80), bool(self.constraints & 0x40)
        baseline = (
            (self.profile == 66 and second)
            or (self.profile == 77 and first)
            or (self.profile == 88 and first and second)
        )
        return baseline and self.level <= NEGOTIATED_LEVEL


def units(data: bytes) -> list[bytes]:
    """The NAL units of an Annex B stream; none when it is not one."""
    starts = [match.end() for match in _START.finditer(data)]
    ends = [*(start - 3 for start in starts[1:]), len(data)][: len(starts)]
    return [unit for a, b in zip(starts, ends, strict=True) if (unit := data[a:b].rstrip(b"\0"))]


def kind(unit: bytes) -> int:
    """`nal_unit_type`."""
    return unit[0] & 0x1F


def parameter_set(unit: bytes) -> ParameterSet:
    """Reads a sequence parameter set. Raises: ValueError when it is cut off or out of range."""
    bits = _Bits(re.sub(rb"\x00\x00\x03", b"\x00\x00", unit[1:]))
    profile, constraints, level = bits.take(8), bits.take(8), bits.take(8)
    bits.number()
    chroma = _extended(bits) if profile in _EXTENDED else 1
    bits.number()
    _picture_order(bits)
    bits.number()
    bits.take(1)
    width, height = bits.number() + 1, bits.number() + 1
    frames_only = bits.take(1)
    height *= 2 - frames_only
    bits.take(1 if frames_only else 2)
    left, right, top, bottom = [bits.number() for _ in range(4)] if bits.take(1) else (0, 0, 0, 0)
    across = 2 if chroma in (1, 2) else 1
    down = (2 if chroma == 1 else 1) * (2 - frames_only)
    size = Size(16 * width - across * (left + right), 16 * height - down * (top + bottom))
    if not (0 < size.width <= 16384 and 0 < size.height <= 16384):
        raise ValueError("sps: size out of range")
    return ParameterSet(profile, constraints, level, size)


def _extended(bits: _Bits) -> int:
    """The fields of the higher profiles up to the scaling lists; the chroma format."""
    chroma = bits.number()
    if chroma == 3:
        bits.take(1)
    bits.number()
    bits.number()
    bits.take(1)
    if bits.take(1):
        raise ValueError("sps: scaling lists are not read")
    return chroma


def _picture_order(bits: _Bits) -> None:
    order = bits.number()
    if order == 0:
        bits.number()
    elif order == 1:
        bits.take(1)
        bits.number()
        bits.number()
        for _ in range(min(bits.number(), 255)):
            bits.number()


class _Bits:
    """Bits from the left, and Exp-Golomb numbers (section 9.1); signed ones take the same bits."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = len(data) * 8

    def take(self, count: int) -> int:
        if count > self._left:
            raise ValueError("sps: cut off")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def number(self) -> int:
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("sps: number out of range")
        return (1 << zeros) - 1 + self.take(zeros)
