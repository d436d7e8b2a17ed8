"""RTP packets that have come (RFC 3550 section 5.1, RFC 8285), read as far as we need. Pure.

The library's reader makes three objects and a dozen lists of each; this is every packet of a call.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

_FIXED = struct.Struct("!BBHLL")
_BLOCK = struct.Struct("!HH")
_ONE_BYTE, _TWO_BYTES = 0xBEDE, 0x1000

ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
"""URI of the header extension that says when a packet was sent."""


class Inbound(NamedTuple):
    """A packet; `abs_send_time` and `transport_sequence_number` are None when it does not say."""

    payload_type: int
    marker: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    padding_size: int = 0
    abs_send_time: int | None = None
    transport_sequence_number: int | None = None


class Reader:
    """Reads packets; `abs_send_time` and `transport_sequence_number` are the numbers of the extensions as
    they were negotiated, 0 without.
    """

    def __init__(self) -> None:
        self.abs_send_time = 0
        self.transport_sequence_number = 0
        self._silent = b""  # the last block of extensions that said nothing for us: sound's, every time

    def read(self, data: bytes) -> Inbound:
        """The packet. Raises: ValueError when it is malformed."""
        if len(data) < _FIXED.size:
            raise ValueError("rtp: too short")
        first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
        at = _FIXED.size + 4 * (first & 0x0F)
        sent = number = None
        if first & 0x10:
            begin = at + _BLOCK.size
            if len(data) < begin:
                raise ValueError("rtp: no room for extensions")
            profile, words = _BLOCK.unpack_from(data, at)
            at = begin + 4 * words
            block = data[begin - _BLOCK.size : at]
            if block != self._silent:
                sent, number = self._extensions(profile, data, begin, at)
                if sent is None and number is None:
                    self._silent = block
        if first >> 6 != 2 or len(data) < at:
            raise ValueError("rtp: not version 2, or cut off")
        padding = data[-1] if first & 0x20 else 0
        if first & 0x20 and not 0 < padding <= len(data) - at:
            raise ValueError("rtp: padding")
        payload = data[at : len(data) - padding]
        marker, payload_type = second >> 7, second & 0x7F
        return Inbound(payload_type, marker, sequence, timestamp, ssrc, payload, padding, sent, number)

    def _extensions(self, profile: int, data: bytes, at: int, end: int) -> tuple[int | None, int | None]:
        """Those of the two that are in `data[at:end]`."""
        if profile not in (_ONE_BYTE, _TWO_BYTES) or len(data) < end:
            return None, None
        head = 1 if profile == _ONE_BYTE else 2
        sent = number = None
        while at < end:
            first = data[at]
            if not first:  # padding
                at += 1
                continue
            if at + head > end:
                raise ValueError("rtp: an extension is cut off")
            name, size = (first >> 4, (first & 0x0F) + 1) if head == 1 else (first, data[at + 1])
            at += head + size
            if at > end:
                raise ValueError("rtp: an extension is cut off")
            if name == self.abs_send_time and size == 3:
                sent = int.from_bytes(data[at - 3 : at], "big")
            elif name == self.transport_sequence_number and size == 2:
                number = data[at - 2] << 8 | data[at - 1]
        return sent, number


def original(repeated: Inbound, payload_type: int, ssrc: int) -> Inbound:
    """The packet that was repeated in a stream of retransmissions (RFC 4588 section 4); its payload has two
    bytes at least.
    """
    payload = repeated.payload
    sequence = payload[0] << 8 | payload[1]
    return repeated._replace(
        payload_type=payload_type, sequence_number=sequence, ssrc=ssrc, payload=payload[2:]
    )
