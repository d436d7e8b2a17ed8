"""Sound sent more than once (RED, RFC 2198): earlier packets travel again in the later ones. Pure.

At 20 % loss a quarter of the stock sender's sound is gone and the FEC inside of Opus brings back only
voiced slots; two earlier packets in each make that 0.8 %, at any round trip and for 40 ms of delay.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Final, NamedTuple

from mediaagentd.media.rtc.gaps import LONGEST_ROUND_TRIP
from mediaagentd.media.types import QUIET_LOSS

CLOSE: Final = (1, 2)
SPREAD: Final = (4, 8)
"""How many packets before its own the earlier ones in a packet are: next to each other, or so far apart that
no run of losses takes a packet with all of its copies, which costs 160 ms of delay.
"""

UNEVEN: Final = 0.004
"""Seconds of jitter (RFC 3550 section 6.4.1) from which on sound has to wait about as long anyway."""

ONE_FROM: Final = 0.01
TWO_FROM: Final = 0.04
"""Fractions lost from which one and two earlier packets are sent along."""

CALMS: Final = 0.8
CALM: Final = 0.5
"""How much of the former loss is remembered at each report (about a second) that is better; and from the
second in a row on that tells of none: then it was a queue that ran over, and the room is wanted.
"""

LASTING: Final = 3
"""Reports in a row of loss behind an overrun after which it is the network's own."""

ROOM: Final = 1100
"""Bytes of a payload that fits into any packet: music at a high rate leaves room for less."""

_LONGEST: Final = (1 << 10) - 1
_FURTHEST: Final = (1 << 14) - 1
_BLOCKS: Final = 8


class Block(NamedTuple):
    """An Opus packet, and how many clock ticks it is older than the RTP packet it came in."""

    data: bytes
    age: int


def spreads(round_trip: float | None, jitter: float) -> bool:
    """Whether copies are to be apart: where nothing can be asked for again, which would come sooner, and
    sound waits anyway. Both in seconds.
    """
    return round_trip is not None and round_trip > LONGEST_ROUND_TRIP and jitter >= UNEVEN


class LossMemory:
    """The loss to protect against: rises at once, falls slowly, since one calm second means little.
    `expected`: of a path that nothing is known of, and of one that loses now and then.
    """

    def __init__(self, expected: float = 0.0) -> None:
        self.loss = self._expected = expected
        self._calm = False
        self._lossy = 0

    def report(self, fraction: float, *, overran: bool = False) -> None:
        """What a receiver lost since its last report, 0 to 1. `overran`: a queue of ours has run over."""
        self._lossy = self._lossy + 1 if fraction else 0
        if overran and self._lossy < LASTING:
            fraction = min(fraction, self.loss)
        remembered = CALM if self._calm and not fraction else CALMS
        self.loss = max(fraction, remembered * self.loss + (1 - remembered) * fraction)
        self._calm = not fraction

    def surprise(self) -> bool:
        """A packet was lost, says who asks for it again, before any report does; whether that is news."""
        quiet = self.loss < QUIET_LOSS
        if quiet:
            self.loss = self._expected
        return quiet

    @property
    def depth(self) -> int:
        """Earlier packets to send along."""
        return (self.loss >= ONE_FROM) + (self.loss >= TWO_FROM)


class Redundancy:
    """The sender's side: remembers what was sent."""

    def __init__(self) -> None:
        self._sent: deque[tuple[int, bytes]] = deque(maxlen=max(SPREAD))

    def keep(self, data: bytes, timestamp: int) -> None:
        """A packet of that 32-bit RTP timestamp is sent by itself."""
        self._sent.append((timestamp, data))

    def pack(
        self, data: bytes, timestamp: int, depth: int, payload_type: int, *, spread: bool = False
    ) -> bytes | None:
        """The RED payload for a packet of that 32-bit RTP timestamp and `depth` earlier ones; None when there
        is nothing to send along. `payload_type` is that of Opus.
        """
        places = (SPREAD if spread else CLOSE)[:depth]
        earlier = [
            (age, old)
            for then, old in (self._sent[-place] for place in reversed(places) if place <= len(self._sent))
            if 0 < (age := (timestamp - then) & 0xFFFFFFFF) <= _FURTHEST and len(old) <= _LONGEST
        ]
        self._sent.append((timestamp, data))
        while earlier and sum(4 + len(old) for _, old in earlier) + 1 + len(data) > ROOM:
            del earlier[0]
        if not earlier:
            return None
        heads = [
            struct.pack("!BBH", 0x80 | payload_type, age >> 6, (age & 0x3F) << 10 | len(old))
            for age, old in earlier
        ]
        return b"".join([*heads, bytes([payload_type]), *(old for _, old in earlier), data])


def unpack(payload: bytes, payload_type: int) -> list[Block]:
    """The packets in a RED payload, oldest first; only those of `payload_type`. Raises `ValueError` when
    malformed.
    """
    heads: list[tuple[int, int, int]] = []
    position = 0
    while position < len(payload) and payload[position] & 0x80:
        if position + 4 > len(payload) or len(heads) == _BLOCKS:
            raise ValueError("RED: too many or cut off")
        kind, word = payload[position] & 0x7F, int.from_bytes(payload[position + 1 : position + 4], "big")
        heads.append((kind, word >> 10, word & _LONGEST))
        position += 4
    if position >= len(payload):
        raise ValueError("RED: no primary block")
    primary = payload[position] & 0x7F
    position += 1
    blocks: list[Block] = []
    for kind, age, length in heads:
        if position + length > len(payload):
            raise ValueError("RED: a block is longer than the packet")
        if kind == payload_type and length:
            blocks.append(Block(payload[position : position + length], age))
        position += length
    if primary == payload_type and position < len(payload):
        blocks.append(Block(payload[position:], 0))
    return blocks
