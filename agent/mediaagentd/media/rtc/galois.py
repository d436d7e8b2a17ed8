"""Arithmetic in the field of 256 elements, on whole packets at a time. Pure.

Its polynomial is x^8 + x^4 + x^3 + x^2 + 1, as in RFC 8681. A packet is multiplied by `bytes.translate`, and
two are added as one long integer each: some microseconds a kilobyte, in an interpreter.
"""

from __future__ import annotations

import functools
from typing import Final

_POLYNOMIAL: Final = 0x11D
_ORDER: Final = 255


def product(one: int, other: int) -> int:
    """Of two elements."""
    if not one or not other:
        return 0
    powers, logarithms = _tables()
    return powers[(logarithms[one] + logarithms[other]) % _ORDER]


def inverse(element: int) -> int:
    """Of an element that is not zero."""
    powers, logarithms = _tables()
    return powers[-logarithms[element] % _ORDER]


def scaled(packet: bytes, factor: int) -> bytes:
    """The packet with each byte multiplied."""
    return packet if factor == 1 else packet.translate(_times(factor))


def total(one: bytes, other: bytes) -> bytes:
    """Of two packets; the shorter one counts as followed by zeros. The difference is the same."""
    both = int.from_bytes(one, "little") ^ int.from_bytes(other, "little")
    return both.to_bytes(max(len(one), len(other)), "little")


@functools.cache
def _times(factor: int) -> bytes:
    return bytes(product(factor, each) for each in range(256))


@functools.cache
def _tables() -> tuple[list[int], list[int]]:
    powers, logarithms, element = [0] * _ORDER, [0] * 256, 1
    for power in range(_ORDER):
        powers[power], logarithms[element] = element, power
        element <<= 1
        if element & 0x100:
            element ^= _POLYNOMIAL
    return powers, logarithms
