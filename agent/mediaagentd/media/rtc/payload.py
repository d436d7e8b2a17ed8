"""Video frames to RTP payloads and back: VP8 (RFC 7741) and H.264 (RFC 6184).

The byte work is the library's; what a payload says about its picture is read here.
"""

from __future__ import annotations

import functools
import math
from typing import Final, NamedTuple

from aiortc.codecs.h264 import PACKET_MAX, H264Encoder, H264PayloadDescriptor
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor

from mediaagentd.media.types import VideoCodec, VideoFrame

PICTURE_IDS: Final = 1 << 15

_IDR: Final = 5
_SPS: Final = 7
_PPS: Final = 8
_STAP_A: Final = 24
_FU_A: Final = 28


class Payload(NamedTuple):
    """One RTP payload without its payload header.

    `opens` says that a keyframe begins here for certain (VP8: first partition of a key picture, H.264:
    parameter sets), `key` that it belongs to a keyframe as far as it can tell.
    """

    data: bytes
    opens: bool
    key: bool


def packetize(frame: VideoFrame, picture_id: int) -> list[bytes]:
    """RTP payloads of at most 1,300 bytes. `picture_id` counts VP8 pictures modulo `PICTURE_IDS`."""
    match frame.codec:
        case VideoCodec.VP8:
            return Vp8Encoder._packetize(frame.data, picture_id)
        case VideoCodec.H264:
            return _h264_payloads(frame.data)


@functools.lru_cache(maxsize=4)
def _h264_payloads(data: bytes) -> list[bytes]:
    """Kept, since every peer of an encoder sends the same ones."""
    waiting, payloads = list[bytes](), list[bytes]()
    for unit in H264Encoder._split_bitstream(data):
        if len(unit) > PACKET_MAX:
            payloads += [*H264Encoder._packetize(waiting), *_fragments(unit)]
            waiting = []
        elif unit:
            waiting.append(unit)
    return payloads + H264Encoder._packetize(waiting)


def _fragments(unit: bytes) -> list[bytes]:
    """FU-A payloads (RFC 6184 section 5.8) of one size, the last one smaller: the system takes these
    together. The library's differ by a byte from the first on.
    """
    rest = len(unit) - 1
    size = math.ceil(rest / math.ceil(rest / (PACKET_MAX - 2)))
    indicator, kind = unit[0] & 0xE0 | _FU_A, unit[0] & 0x1F
    pieces = [unit[at : at + size] for at in range(1, len(unit), size)]
    last = len(pieces) - 1
    return [
        bytes((indicator, kind | 0x80 * (at == 0) | 0x40 * (at == last))) + piece
        for at, piece in enumerate(pieces)
    ]


def depacketize(codec: VideoCodec, payload: bytes) -> Payload:
    """Raises `ValueError` when the payload is not of that codec."""
    if not payload:
        return Payload(b"", opens=False, key=False)
    match codec:
        case VideoCodec.VP8:
            return _vp8(payload)
        case VideoCodec.H264:
            return _h264(payload)


class ParameterSets:
    """Puts the parameter sets in front of H.264 keyframes that come without: some encoders send them
    once, and whoever begins to look or to record later needs them.
    """

    def __init__(self) -> None:
        self._units: dict[int, bytes] = {}

    def note(self, data: bytes) -> None:
        """Keeps the sets that a depacketized payload brings."""
        if len(data) > 4 and data[4] & 0x1F in (_SPS, _PPS):
            for unit in H264Encoder._split_bitstream(data):
                if unit and unit[0] & 0x1F in (_SPS, _PPS):
                    self._units[unit[0] & 0x1F] = unit

    def complete(self, keyframe: bytes) -> bytes:
        """The keyframe with its parameter sets."""
        units = (unit for unit in H264Encoder._split_bitstream(keyframe) if unit)
        if len(self._units) < 2 or any(unit[0] & 0x1F == _SPS for unit in units):
            return keyframe
        sets = (self._units[_SPS], self._units[_PPS])
        return b"".join(b"\0\0\0\1" + unit for unit in sets) + keyframe


def _vp8(payload: bytes) -> Payload:
    descriptor, data = VpxPayloadDescriptor.parse(payload)
    first = bool(descriptor.partition_start) and descriptor.partition_id == 0
    key = first and bool(data) and not data[0] & 1  # RFC 6386 section 9.1, inverse key bit
    return Payload(data, opens=key, key=key)


def _h264(payload: bytes) -> Payload:
    if payload[0] & 0x1F == _FU_A and len(payload) > 1 and not payload[1] & 0x80:
        return Payload(payload[2:], opens=False, key=False)  # from within a unit, as most are
    _, data = H264PayloadDescriptor.parse(payload)
    types = _unit_types(payload)
    return Payload(data, opens=_SPS in types, key=_IDR in types)


def _unit_types(payload: bytes) -> set[int]:
    """Types of the NAL units that begin in a payload that the library has accepted."""
    kind = payload[0] & 0x1F
    if kind == _FU_A:
        return {payload[1] & 0x1F} if payload[1] & 0x80 else set()
    if kind != _STAP_A:
        return {kind}
    types, position = set(), 1
    while position + 2 < len(payload):
        types.add(payload[position + 2] & 0x1F)
        position += 2 + int.from_bytes(payload[position : position + 2], "big")
    return types
