"""What the kernel tells of the network."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.network import addresses, message_types


def message(kind: int, body: bytes = b"") -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


def test_the_messages_of_a_datagram() -> None:
    assert list(message_types(message(20, b"abc") + message(16) + message(25, b"x" * 8))) == [20, 16, 25]
    assert list(message_types(b"")) == []


@given(st.binary(max_size=200))
def test_whatever_comes_ends(data: bytes) -> None:
    assert len(list(message_types(data))) <= len(data) // 16


def test_loopback_is_an_address_too() -> None:
    assert "127.0.0.1" in addresses()
