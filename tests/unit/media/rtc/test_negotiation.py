from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.rtc import negotiation
from mediaagentd.media.types import VideoCodec

LINE = "candidate:1 1 udp 2130706431 192.0.2.7 40000 typ host"


@pytest.mark.parametrize(
    "sdp",
    [
        "v=0\r\n" + "a=x\r\n" * 20_000,
        "v=0\r\n" + "m=audio 9 X 0\r\n" * 9,
        "v=0\r\n" + "a=candidate:1\r\n" * 65,
        "v=0\r\na=" + "x" * 5000,
        "v=0\r\ns=ö\r\n",
        "\ud800",
    ],
)
def test_too_large_descriptions_are_refused(sdp: str) -> None:
    with pytest.raises(Refused) as refused:
        negotiation.check_text(sdp)
    assert refused.value.reason is Reason.SIGNAL_INVALID


@given(st.text(), st.text())
def test_exactly_one_of_two_offers(one: str, other: str) -> None:
    assert negotiation.offers(one, other) + negotiation.offers(other, one) == (one != other)


def test_candidates_are_read() -> None:
    assert negotiation.parse_candidate(LINE) == negotiation.CandidateLine(
        LINE.removeprefix("candidate:"), "192.0.2.7"
    )
    hidden = negotiation.parse_candidate(LINE.replace("192.0.2.7", "ab-12.local"))
    assert hidden is not None
    assert hidden.hidden


def test_useless_candidates_are_passed_over() -> None:
    assert negotiation.parse_candidate(LINE.replace("udp", "tcp") + " tcptype active") is None
    assert negotiation.parse_candidate(LINE.replace(" 1 udp", " 2 udp")) is None


@pytest.mark.parametrize(
    "line",
    [
        "candidate:",
        "candidate:1 1 udp",
        LINE.replace("40000", "70000"),
        LINE.replace("40000", "-1"),
        LINE.replace("2130706431", "99999999999"),
        LINE.replace("192.0.2.7", "example.org"),
        LINE.replace("192.0.2.7", "1.2.3"),
        LINE.replace("typ", "typo"),
        LINE + " raddr",
        LINE + " rport x",
        LINE + "\r\na=ice-pwd:x",
        LINE + " x" * 500,
        LINE + " raddr ö",
    ],
)
def test_malformed_candidates_are_refused(line: str) -> None:
    with pytest.raises(Refused):
        negotiation.parse_candidate(line)


@given(st.text(max_size=80) | st.text("candidte:1 .up0x", max_size=80))
def test_no_candidate_line_raises_anything_else(line: str) -> None:
    with suppress(Refused):
        negotiation.parse_candidate(line)


def test_candidates_come_out_of_a_description() -> None:
    sdp = (
        f"v=0\r\nm=audio 9 X 0\r\na={LINE}\r\na=mid:0\r\nm=video 9 X 1\r\na={LINE}\r\na=end-of-candidates\r\n"
    )
    rest, lines, ended = negotiation.split_candidates(sdp)
    assert rest == "v=0\r\nm=audio 9 X 0\r\na=mid:0\r\nm=video 9 X 1\r\n"
    assert lines == (LINE,)
    assert ended
    assert negotiation.sections(rest) == [("audio", "0"), ("video", "")]


def test_our_preference_decides_what_we_send() -> None:
    both = (VideoCodec.VP8, VideoCodec.H264)
    assert negotiation.sending_codec(both, ["H264", "VP8", "rtx"]) is VideoCodec.VP8
    assert negotiation.sending_codec((VideoCodec.H264,), ["vp8"]) is None
