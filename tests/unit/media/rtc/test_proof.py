"""Signatures of STUN messages, with the library as the oracle."""

from __future__ import annotations

from aioice import stun
from hypothesis import example, given
from hypothesis import strategies as st
from mediaagentd.media.rtc.proof import ATTRIBUTES, is_signed

KEY = b"a password of 22 bytes"


def check(username: str) -> bytes:
    """As an agent sends it."""
    attributes = {"USERNAME": username, "PRIORITY": 7, "ICE-CONTROLLING": 1, "USE-CANDIDATE": None}
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, None, attributes)
    message.add_message_integrity(KEY)
    return bytes(message)


@given(st.text("abcd:", max_size=60))
def test_who_knows_the_password_is_told_from_who_does_not(username: str) -> None:
    data = check(username)
    assert is_signed(data, KEY)
    assert not is_signed(data, b"another")


@given(st.integers(0, 91), st.integers(1, 255))
@example(3, 1)  # the length, which is signed as if nothing followed
def test_nothing_that_is_signed_can_be_changed(at: int, by: int) -> None:
    data = bytearray(check("abcd:efgh"))
    data[at] ^= by
    assert is_signed(bytes(data), KEY) == (at in (2, 3) or at >= len(data) - 8)


@given(st.binary(max_size=200))
def test_anything_else_is_not_signed(data: bytes) -> None:
    assert not is_signed(data, KEY)
    assert not is_signed(check("abcd:efgh")[:20] + data, KEY)


def test_nobody_is_made_to_look_for_long() -> None:
    signed = check("abcd:efgh")
    empty = bytes.fromhex("802a0000")
    assert not is_signed(signed[:20] + empty * (ATTRIBUTES + 1) + signed[20:], KEY)
    assert not is_signed(signed[:20] + empty * 16_000, KEY)
