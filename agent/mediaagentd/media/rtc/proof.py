"""Whether who asks knows the password (RFC 8489 section 9.1.3), found out before anything is parsed. Pure."""

from __future__ import annotations

import hmac
import struct

ATTRIBUTES = 32
"""Attributes that are looked through. A check of an agent has six, of a browser ten."""

_HEADER = 20
_ATTRIBUTE = struct.Struct("!HH")
_MESSAGE_INTEGRITY = 0x0008
_DIGEST = 20


def is_signed(data: bytes, key: bytes) -> bool:
    """Whether the first MESSAGE-INTEGRITY of a STUN message (RFC 8489 section 14.5) was made with `key`."""
    at = _HEADER
    for _ in range(ATTRIBUTES):
        if len(data) < at + _ATTRIBUTE.size + _DIGEST:
            return False
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        value = at + _ATTRIBUTE.size
        if kind == _MESSAGE_INTEGRITY:
            length = value + _DIGEST - _HEADER  # as if the message ended with this attribute
            signed = data[:2] + length.to_bytes(2, "big") + data[4:at]
            return size == _DIGEST and hmac.compare_digest(
                hmac.digest(key, signed, "sha1"), data[value : value + _DIGEST]
            )
        at = value + size + -size % 4
    return False
