"""RTP packets to bytes (RFC 3550 section 5.1) on the hot path: the library puts the block of header
extensions (RFC 8285) together anew for every packet.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap

HEADERS = 62
"""Bytes of IP, UDP, RTP with extensions, and SRTP around a payload."""

_FIXED = struct.Struct("!BBHLL")
_VERSION, _EXTENDED = 2 << 6, 1 << 4
_LATEST = 0xFFFFFF
"""The highest abs-send-time."""


class Outbound(NamedTuple):
    """A packet on its way out; the library's takes eight times as long to be made."""

    payload_type: int
    marker: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes


def repeated(packet: Outbound, payload_type: int, sequence: int, ssrc: int) -> Outbound:
    """The packet once more, in the stream of retransmissions (RFC 4588 section 4)."""
    payload = packet.sequence_number.to_bytes(2, "big") + packet.payload
    return Outbound(payload_type, packet.marker, sequence, packet.timestamp, ssrc, payload)


class HeaderWriter:
    """Writes packets that carry no other extensions than `mid` and abs-send-time, as far as those were
    negotiated. The block is asked of the library once; where it differs between two times, the time goes.
    """

    def __init__(self, extensions: HeaderExtensionsMap, mid: str | None) -> None:
        (profile, first), (_, last) = (
            extensions.set(HeaderExtensions(mid=mid, abs_send_time=time)) for time in (0, _LATEST)
        )
        self._first = _VERSION | (_EXTENDED if first else 0)
        block = struct.pack("!HH", profile, len(first) // 4) + first if first else b""
        places = [at for at, (one, two) in enumerate(zip(first, last, strict=True)) if one != two]
        self._timed = bool(places)
        place = places[0] + 4 if places else len(block)
        self._before, self._behind = block[:place], block[place + len(places) :]

    def write(self, packets: Sequence[Outbound], now: float) -> list[bytes]:
        """The packets, sent at `now`, seconds since the epoch."""
        time = abs_send_time(now).to_bytes(3, "big") if self._timed else b""
        first, block = self._first, self._before + time + self._behind
        return [
            _FIXED.pack(first, marker << 7 | payload_type, number, timestamp, ssrc) + block + payload
            for payload_type, marker, number, timestamp, ssrc, payload in packets
        ]


def abs_send_time(now: float) -> int:
    """24 bits of NTP time, 18 of them behind the point; its epoch is a multiple of 64 s before ours."""
    return int(now * (1 << 18)) & _LATEST
