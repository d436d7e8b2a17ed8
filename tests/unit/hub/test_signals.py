"""What may be relayed, and where a candidate may point."""

from __future__ import annotations

import ipaddress

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.signals import MAX_CANDIDATES, MAX_SDP, MAX_SECTIONS, Candidates, Rules

RULES = Rules()
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n"
GOOD = "192.168.1.7"


def candidate(address: str = GOOD, port: int | str = 5000, rest: str = "") -> str:
    return f"candidate:1 1 udp 2130706431 {address} {port} typ host{rest}"


def reason_of(line: str, rules: Rules = RULES) -> Reason | None:
    try:
        rules.candidate(line)
    except Refused as refused:
        return refused.reason
    return None


@pytest.mark.parametrize(
    "line",
    [
        "",
        candidate(),
        candidate("10.0.0.1"),
        candidate("8.8.8.8", 65535),
        candidate("2001:db8::1"),
        candidate("fd12:3456::1"),
        candidate("::ffff:10.0.0.1"),
        candidate("6ba7b810-9dad-11d1-80b4-00c04fd430c8.local"),
        candidate(rest=" raddr 0.0.0.0 rport 0 generation 0 ufrag abcd"),
        candidate(rest=" raddr :: rport 9"),
        candidate(rest=" raddr 10.0.0.1 rport 5001"),
        "candidate:842163049 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active",
    ],
)
def test_what_passes(line: str) -> None:
    assert reason_of(line) is None


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "169.254.1.1", "169.254.169.254",
        "100.100.100.200", "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255", "240.0.0.1",
        "::", "::1", "fe80::1", "ff02::1", "fec0::1", "fd00:ec2::254",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::", "2002:a9fe:a9fe::1",
    ],
)  # fmt: skip
def test_where_none_may_point(address: str) -> None:
    assert reason_of(candidate(address)) is Reason.CANDIDATE_FORBIDDEN
    assert reason_of(candidate(rest=f" raddr {address} rport 1")) in (
        None if address in ("0.0.0.0", "::") else Reason.CANDIDATE_FORBIDDEN,
    )


@pytest.mark.parametrize(
    "line",
    [
        "candidate:1",
        "a=" + candidate(),
        candidate() + "\r\na=evil",
        candidate() + "\n",
        candidate("example.com"),
        candidate("local"),
        candidate(".local"),
        candidate("a.b.local"),
        candidate("host.local.example.com"),
        candidate("localhost"),
        candidate("0x7f000001"),
        candidate("127.1"),
        candidate("2130706433"),
        candidate("0177.0.0.1"),
        candidate("fe80::1%eth0"),
        candidate("[::1]"),
        candidate(port=65536),
        candidate(port="-1"),
        candidate(rest=" raddr example.com rport 1"),
        candidate(rest="  double"),
        "Ⅻ" + candidate(),
        candidate("١٢٧.0.0.1"),
    ],
)
def test_what_is_no_candidate(line: str) -> None:
    assert reason_of(line) is not None
    assert reason_of(line) in (Reason.SIGNAL_INVALID, Reason.CANDIDATE_FORBIDDEN)


def test_what_is_allowed_by_configuration() -> None:
    rules = Rules((ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("fe80::/10")))
    for address in ("127.0.0.1", "::ffff:127.0.0.1", "fe80::1"):
        assert reason_of(candidate(address), rules) is None
    assert reason_of(candidate("169.254.169.254"), rules) is Reason.CANDIDATE_FORBIDDEN


def sdp(*lines: str) -> str:
    return HEAD + "".join(f"{line}\r\n" for line in lines)


def test_an_sdp_goes_on_without_what_points_nowhere() -> None:
    kept = sdp("m=audio 9 UDP/TLS/RTP/SAVPF 111", f"a={candidate()}", "a=end-of-candidates")
    bad = [f"a={candidate(address)}\r\n" for address in ("127.0.0.1", "169.254.169.254")]
    given = kept.replace("a=end", bad[0] + "a=end") + bad[1]
    assert RULES.sdp(given) == kept
    assert RULES.sdp(kept) is not None
    assert RULES.sdp("v=0\n") == "v=0\n"


def test_an_empty_end_of_candidates_line_is_no_candidate_within_an_sdp() -> None:
    with pytest.raises(Refused) as refused:
        RULES.sdp(sdp("a=candidate:"))
    assert refused.value.reason is Reason.SIGNAL_INVALID


@pytest.mark.parametrize(
    ("text", "reason", "limit"),
    [
        ("", Reason.SIGNAL_INVALID, ""),
        ("v=1\r\n", Reason.SIGNAL_INVALID, ""),
        ("v=0", Reason.SIGNAL_INVALID, ""),
        (HEAD + "\0", Reason.SIGNAL_INVALID, ""),
        (HEAD + "x" * MAX_SDP, Reason.SDP_TOO_LARGE, "bytes"),
        (HEAD + "é" * (MAX_SDP // 2), Reason.SDP_TOO_LARGE, "bytes"),
        (sdp(*["m=video 9 RTP 96"] * (MAX_SECTIONS + 1)), Reason.SDP_TOO_LARGE, "sections"),
        (sdp(*[f"a={candidate()}"] * (MAX_CANDIDATES + 1)), Reason.TOO_MANY_CANDIDATES, "candidates"),
        (sdp(f"a={candidate('example.com')}"), Reason.SIGNAL_INVALID, ""),
    ],
)
def test_an_sdp_that_goes_nowhere(text: str, reason: Reason, limit: str) -> None:
    with pytest.raises(Refused) as refused:
        RULES.sdp(text)
    assert refused.value.reason is reason
    assert refused.value.metadata.get("limit", "") == limit


def test_as_much_as_may_be() -> None:
    lines = ["m=video 9 RTP 96"] * MAX_SECTIONS + [f"a={candidate()}"] * MAX_CANDIDATES
    assert RULES.sdp(sdp(*lines)) == sdp(*lines)
    filler = HEAD + "x" * (MAX_SDP - len(HEAD))
    assert RULES.sdp(filler) == filler


def test_candidates_are_counted_for_each_attempt() -> None:
    counted = Candidates()
    for _ in range(MAX_CANDIDATES + 1):  # and the end of them
        counted.count(("call", "bob", 2, 0))
    counted.count(("call", "bob", 3, 0))
    counted.count(("call", "cat", 2, 0))
    with pytest.raises(Refused) as refused:
        counted.count(("call", "bob", 2, 0))
    assert refused.value.reason is Reason.TOO_MANY_CANDIDATES
    assert refused.value.metadata == {"limit": "candidates", "value": "64"}
    for attempt in range(100):
        counted.count(("call", "dan", attempt, 0))
    assert len(counted._counts) == 64
