"""The field's laws, on elements and on packets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.media.rtc.galois import inverse, product, scaled, total

ELEMENT = st.integers(0, 255)
NOT_ZERO = st.integers(1, 255)
PACKET = st.binary(max_size=40)


@given(ELEMENT, ELEMENT, ELEMENT)
def test_products(one: int, two: int, three: int) -> None:
    assert product(one, two) == product(two, one)
    assert product(product(one, two), three) == product(one, product(two, three))
    assert product(one, two ^ three) == product(one, two) ^ product(one, three)
    assert product(one, 1) == one
    assert product(one, 0) == 0


def test_each_element_has_an_inverse_of_its_own() -> None:
    assert all(product(each, inverse(each)) == 1 for each in range(1, 256))
    assert len({inverse(each) for each in range(1, 256)}) == 255


@given(PACKET, PACKET, NOT_ZERO)
def test_packets_are_vectors(one: bytes, other: bytes, factor: int) -> None:
    assert scaled(one, factor) == bytes(product(each, factor) for each in one)
    assert scaled(scaled(one, factor), inverse(factor)) == one
    assert scaled(total(one, other), factor) == total(scaled(one, factor), scaled(other, factor))
    assert total(total(one, other), other).rstrip(b"\0") == one.rstrip(b"\0")
    assert len(total(one, other)) == max(len(one), len(other))
