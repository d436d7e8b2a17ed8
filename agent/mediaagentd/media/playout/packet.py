"""What an Opus packet says of itself (RFC 6716 section 3.1 and 4.2). Pure."""

from __future__ import annotations

DTX_BYTES = 2
"""A packet that is no larger says only that silence begins (RFC 7587 section 3.1.3: DTX)."""

_CELT = 0x80
_FRAMES_OF_20_MS = {0: 0, 1: 1, 2: 2, 3: 3}
"""SILK frames in an Opus frame by the two bits of its duration: 10, 20, 40, 60 ms; 10 ms is one too."""


def announces_silence(packet: bytes) -> bool:
    """Whether nothing needs to follow before there is sound again."""
    return len(packet) <= DTX_BYTES


def recovers_previous(packet: bytes) -> bool:
    """Whether it carries the 20 ms before it once more (LBRR, RFC 6716 section 4.2.3): the flag behind
    the voice activity flags of the mid channel. Packets of one frame only; so are all of 20 ms.
    """
    if len(packet) <= DTX_BYTES or packet[0] & _CELT or packet[0] & 3:
        return False
    hybrid = packet[0] & 0x60 == 0x60
    frames = 1 if hybrid else max(1, _FRAMES_OF_20_MS[packet[0] >> 3 & 3])
    return bool(packet[1] >> (7 - frames) & 1)
