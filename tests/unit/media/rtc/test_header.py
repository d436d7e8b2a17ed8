from __future__ import annotations

import random

import pytest
from aiortc import clock
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, wrap_rtx
from mediaagentd.media.rtc.header import HeaderWriter, Outbound, abs_send_time, repeated

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
SENT = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"


def extensions(*uris: str) -> HeaderExtensionsMap:
    made = HeaderExtensionsMap()
    headers = [RTCRtpHeaderExtensionParameters(id=3 + at, uri=uri) for at, uri in enumerate(uris)]
    made.configure(RTCRtpSendParameters(headerExtensions=headers))
    return made


@pytest.mark.parametrize("uris", [(), (MID,), (SENT,), (MID, SENT), (SENT, MID)])
@pytest.mark.parametrize("mid", ["0", "video-1", None])
def test_a_packet_is_written_as_the_library_writes_it(uris: tuple[str, ...], mid: str | None) -> None:
    negotiated = extensions(*uris)
    writer = HeaderWriter(negotiated, mid)
    numbers = random.Random(1)
    for _ in range(50):
        packet = RtpPacket(
            payload_type=numbers.randrange(128),
            marker=numbers.randrange(2),
            sequence_number=numbers.randrange(1 << 16),
            timestamp=numbers.randrange(1 << 32),
            ssrc=numbers.randrange(1 << 32),
            payload=numbers.randbytes(numbers.randrange(1200)),
        )
        now = numbers.uniform(1.7e9, 2.5e9)
        packet.extensions.mid, packet.extensions.abs_send_time = mid, abs_send_time(now)
        assert writer.write([ours(packet)], now) == [packet.serialize(negotiated)]


def ours(packet: RtpPacket) -> Outbound:
    return Outbound(
        packet.payload_type,
        packet.marker,
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        packet.payload,
    )


def test_a_packet_is_repeated_as_the_library_repeats_it() -> None:
    packet = RtpPacket(96, 1, 0xFFFE, 7, 8, b"payload")
    again = repeated(ours(packet), 97, 5, 9)
    assert again == ours(wrap_rtx(packet, 97, 5, 9))


def test_the_time_is_that_of_the_library() -> None:
    for _ in range(100):
        moment = clock.current_datetime()
        theirs = (clock.datetime_to_ntp(moment) >> 14) & 0xFFFFFF
        assert (abs_send_time(moment.timestamp()) - theirs) & 0xFFFFFF in (0, 1, 0xFFFFFF)
