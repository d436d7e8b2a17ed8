"""Packets that stand in for lost ones, whichever they are: forward error correction. Pure.

Each repair packet is a random linear combination of the last packets of the stream over a field of 256
elements, in a sliding window (the idea of RFC 8681; the form on the wire is our own, and between our own ends
only). As many repair packets as there are losses in the window bring all of them back, without a round
trip. An exclusive or over fixed groups (RFC 5109) brings one back for each group.
"""

from __future__ import annotations

import hashlib
import struct
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from aiortc.codecs.h264 import PACKET_MAX

from mediaagentd.media.rtc.galois import inverse, product, scaled, total
from mediaagentd.media.rtc.reception import Unwrapper

WINDOW: Final = 64
"""Packets that a repair packet is made of at most: two thirds of a second of pictures at 0.8 Mbit/s."""

AHEAD: Final = 4 * WINDOW
"""Packets beyond the last one that is known of which an equation may speak: more are lost at once on no path
that is worth a repair, and each equation would be kept.
"""

LONGEST: Final = PACKET_MAX
"""Bytes of a payload, as long as ours are cut; a longer one is not protected."""

_SOURCE: Final = struct.Struct("!HBI")  # bytes of the payload, marker and payload type, timestamp
_REPAIR: Final = struct.Struct("!HBH")  # first sequence number, packets, key of the factors


class Source(NamedTuple):
    """What is protected of a packet."""

    marker: int
    payload_type: int
    timestamp: int
    payload: bytes


class Recovered(NamedTuple):
    """A packet that was lost, by its 16-bit sequence number."""

    sequence: int
    source: Source


class FecEncoder:
    """The sender's side: `add` every packet, then send what `repairs` gives."""

    def __init__(self) -> None:
        self._window: deque[bytes] = deque(maxlen=WINDOW)
        self._last: int | None = None
        self._owed = 0.0
        self._key = 0

    def clear(self) -> None:
        """What was sent until now is protected no more."""
        self._window.clear()
        self._owed = 0.0

    def add(self, sequence: int, source: Source, share: float) -> None:
        """A packet leaves; `share` is of repair packets for each such one."""
        if self._last is None or sequence != (self._last + 1) & 0xFFFF or len(source.payload) > LONGEST:
            self.clear()
        self._last = sequence
        if len(source.payload) <= LONGEST:
            self._window.append(_packed(source))
            self._owed += share

    def repairs(self) -> list[bytes]:
        """The payloads of the repair packets that are due."""
        due, self._owed = int(self._owed), self._owed % 1.0
        return [self._repair() for _ in range(due)] if self._window else []

    def _repair(self) -> bytes:
        assert self._last is not None
        self._key = (self._key + 1) & 0xFFFF
        count, combined = len(self._window), b""
        for factor, symbol in zip(_factors(self._key, count), self._window, strict=True):
            combined = total(combined, scaled(symbol, factor))
        return _REPAIR.pack((self._last - count + 1) & 0xFFFF, count, self._key) + combined


class _Equation(NamedTuple):
    """The sum of the unknown packets, each times its factor, is `value`."""

    factors: dict[int, int]
    value: bytes


class FecDecoder:
    """The receiver's side: both methods return the packets that have so become known.

    Equations are kept solved as far as they can be (reduced row echelon form), each under its pivot, which
    stands in no other. Bounded by the window, by `AHEAD`, and by as many repair packets as other ones.
    """

    def __init__(self) -> None:
        self._sequences = Unwrapper(16)
        self._known: dict[int, Source] = {}
        self._rows: dict[int, _Equation] = {}
        self._highest = 0
        self._credit = WINDOW

    def source(self, sequence: int, source: Source) -> list[Recovered]:
        """A packet has come."""
        number = self._sequences.unwrap(sequence)
        if number in self._known or len(source.payload) > LONGEST:
            return []
        self._credit = min(WINDOW, self._credit + 1)
        self._learn(number, source)
        if not self._rows:
            return []
        symbol = _packed(source)
        concerned = {pivot: row for pivot, row in self._rows.items() if number in row.factors}
        for pivot in concerned:
            del self._rows[pivot]
        for row in concerned.values():
            factor = row.factors.pop(number)
            self._insert(_Equation(row.factors, total(row.value, scaled(symbol, factor))))
        return self._solved()

    def repair(self, payload: bytes) -> list[Recovered]:
        """A repair packet has come. Raises: ValueError when it is malformed."""
        if not _REPAIR.size + _SOURCE.size <= len(payload) <= _REPAIR.size + _SOURCE.size + LONGEST:
            raise ValueError("fec: size")
        first, count, key = _REPAIR.unpack_from(payload)
        if not 0 < count <= WINDOW:
            raise ValueError("fec: window")
        if self._credit <= 0:
            return []
        self._credit -= 1
        start = self._sequences.unwrap(first)
        factors = dict(zip(range(start, start + count), _factors(key, count), strict=True))
        unknown = {number: factor for number, factor in factors.items() if number not in self._known}
        if not unknown or min(unknown) < self._highest - 2 * WINDOW or max(unknown) > self._highest + AHEAD:
            return []
        value = payload[_REPAIR.size :]
        for number in factors.keys() - unknown.keys():
            value = total(value, scaled(_packed(self._known[number]), factors[number]))
        self._insert(_Equation(unknown, value))
        return self._solved()

    def _insert(self, equation: _Equation) -> None:
        for pivot in equation.factors.keys() & self._rows.keys():
            equation = _without(equation, pivot, self._rows[pivot])
        if not equation.factors:
            return
        pivot = min(equation.factors)
        scale = inverse(equation.factors[pivot])
        row = _Equation(
            {number: product(factor, scale) for number, factor in equation.factors.items()},
            scaled(equation.value, scale),
        )
        for other in [other for other, each in self._rows.items() if pivot in each.factors]:
            self._rows[other] = _without(self._rows[other], pivot, row)
        self._rows[pivot] = row

    def _solved(self) -> list[Recovered]:
        found = []
        numbers = sorted(pivot for pivot, row in self._rows.items() if len(row.factors) == 1)
        rows = [self._rows.pop(number) for number in numbers]  # learning lets old rows be forgotten
        for number, row in zip(numbers, rows, strict=True):
            source = _unpacked(row.value)
            if source is not None:
                self._learn(number, source)
                found.append(Recovered(number & 0xFFFF, source))
        return found

    def _learn(self, number: int, source: Source) -> None:
        self._known[number] = source
        self._highest = max(self._highest, number)
        if len(self._known) > 4 * WINDOW:
            self._forget(self._highest - 2 * WINDOW)

    def _forget(self, floor: int) -> None:
        self._known = {number: source for number, source in self._known.items() if number >= floor}
        self._rows = {pivot: row for pivot, row in self._rows.items() if min(row.factors) >= floor}


def _without(equation: _Equation, pivot: int, row: _Equation) -> _Equation:
    """The equation less so many times the row that its pivot is gone."""
    times = equation.factors[pivot]
    factors = dict(equation.factors)
    for number, factor in row.factors.items():
        left = factors.pop(number, 0) ^ product(times, factor)
        if left:
            factors[number] = left
    return _Equation(factors, total(equation.value, scaled(row.value, times)))


def _factors(key: int, count: int) -> Iterable[int]:
    """None is zero; both ends draw the same."""
    drawn = hashlib.blake2b(key.to_bytes(2, "big"), digest_size=count).digest()
    return (each or 1 for each in drawn)


def _packed(source: Source) -> bytes:
    flags = source.marker << 7 | source.payload_type
    return _SOURCE.pack(len(source.payload), flags, source.timestamp) + source.payload


def _unpacked(symbol: bytes) -> Source | None:
    """None when it is none: an equation of a far end that miscounts."""
    size, flags, timestamp = _SOURCE.unpack_from(symbol)
    payload = symbol[_SOURCE.size : _SOURCE.size + size]
    if len(payload) < size or any(symbol[_SOURCE.size + size :]):
        return None
    return Source(flags >> 7, flags & 0x7F, timestamp, payload)
