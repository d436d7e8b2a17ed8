"""Our reading of packets against the library's."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpReceiveParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket, unwrap_rtx, wrap_rtx
from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.media.rtc import transport_wide
from mediaagentd.media.rtc.inbound import ABS_SEND_TIME, Inbound, Reader, original

MID, SENT, NUMBER = 3, 5, 9
NEGOTIATED = HeaderExtensionsMap()
NEGOTIATED.configure(
    RTCRtpReceiveParameters(
        headerExtensions=[
            RTCRtpHeaderExtensionParameters(id=MID, uri="urn:ietf:params:rtp-hdrext:sdes:mid"),
            RTCRtpHeaderExtensionParameters(id=SENT, uri=ABS_SEND_TIME),
            RTCRtpHeaderExtensionParameters(id=NUMBER, uri=transport_wide.URI),
        ]
    )
)


def reader() -> Reader:
    made = Reader()
    made.abs_send_time, made.transport_sequence_number = SENT, NUMBER
    return made


def told(packet: RtpPacket) -> Inbound:
    """What the library read, as we say it."""
    extensions = packet.extensions
    return Inbound(
        packet.payload_type, packet.marker, packet.sequence_number, packet.timestamp, packet.ssrc,
        packet.payload, packet.padding_size, extensions.abs_send_time, extensions.transport_sequence_number,
    )  # fmt: skip


packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    marker=st.integers(0, 1),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=300),
)
extensions = st.builds(
    HeaderExtensions,
    mid=st.none() | st.text("abc", min_size=1, max_size=20),
    abs_send_time=st.none() | st.integers(0, 0xFFFFFF),
    transport_sequence_number=st.none() | st.integers(0, 0xFFFF),
)


@given(packets, extensions, st.lists(st.integers(0, 0xFFFFFFFF), max_size=15), st.integers(0, 255))
def test_a_packet_is_read_as_the_library_reads_it(
    packet: RtpPacket, said: HeaderExtensions, sources: list[int], padding: int
) -> None:
    packet.extensions, packet.csrc, packet.padding_size = said, sources, padding
    data = packet.serialize(NEGOTIATED)
    assert reader().read(data) == told(RtpPacket.parse(data, NEGOTIATED))


@given(st.binary(max_size=60) | st.binary(max_size=40).map(lambda rest: b"\x90\x60" + rest))
def test_whatever_comes_is_read_or_refused_as_by_the_library(data: bytes) -> None:
    try:
        theirs = told(RtpPacket.parse(data, NEGOTIATED))
    except (ValueError, struct.error):
        return
    assert reader().read(data) == theirs


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" + bytes(10),
        b"\x40" + bytes(11),
        b"\x8f" + bytes(11),
        b"\x90" + bytes(11),
        b"\x90" + bytes(11) + b"\xbe\xde\0\x01",
        b"\x90" + bytes(11) + b"\xbe\xde\0\x01\x5f\0\0\0",
        b"\x90" + bytes(11) + b"\x10\0\0\x01\0\0\0\x05",
        b"\xa0" + bytes(11),
        b"\xa0" + bytes(11) + b"\x02",
    ],
)
def test_malformed_packets_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="rtp"):
        reader().read(data)


def test_a_repeated_packet_is_found_again_as_the_library_finds_it() -> None:
    packet = RtpPacket(96, 1, 0xFFFE, 7, 8, b"payload")
    again = wrap_rtx(packet, 97, 5, 9)
    assert original(told(again), 96, 8) == told(unwrap_rtx(again, 96, 8)) == told(packet)
