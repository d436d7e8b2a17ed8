"""What may be relayed: limits on SDP and candidates, and on where a candidate may point. Pure.

A candidate makes its receiver send packets to the address in it. Whoever may call me could otherwise have my
device knock at services that listen on loop-back only, at its neighbours on the link, or at the cloud's
metadata service (RFC 8828 section 3 and RFC 8445 section 5.1.1.1 are about the other direction).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Never

from mediaagentd.errors import Reason, Refused

MAX_SDP = 64 * 1024
"""Bytes of an SDP."""

MAX_SECTIONS = 8
"""Media sections (m= lines) of an SDP; ours have three."""

MAX_CANDIDATES = 64
"""Candidates of one connection from one member to another, those within an SDP and those trickled."""

_MAX_GENERATIONS = 64
"""Connections that are counted for one session; the oldest is forgotten."""

Generation = tuple[str, str, int, int]
"""One connection: call, receiver, attempt, generation."""

_LINE = re.compile(
    r"candidate:[A-Za-z0-9+/]{1,32} [0-9]{1,5} [A-Za-z]{1,8} [0-9]{1,10} (?P<address>[!-~]{1,255})"
    r" (?P<port>[0-9]{1,5}) typ [a-z]{1,8}(?P<rest>( [!-~]+)*)"
)
"""RFC 8839 section 5.1."""

_MDNS = re.compile(r"[A-Za-z0-9-]{1,63}\.local")
"""A name that hides a host's address on its own link (draft-ietf-mmusic-mdns-ice-candidates)."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_FORBIDDEN: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3",
        "::/128", "::1/128", "fe80::/10", "fec0::/10", "ff00::/8",
        # Metadata services that are not link-local: Alibaba, Azure, Oracle, Amazon.
        "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32", "fd00:ec2::/32",
    )
)  # fmt: skip
"""Where no candidate from outside may point: this host, loop-back, link-local, multicast and reserved,
metadata services.
"""

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NONE = "0.0.0.0", "::"  # noqa: S104 - RFC 8839: a related address that is kept secret


class Rules:
    """The limits of one hub. `allowed` are networks that are fine although they are on the list above: a
    hub for devices on one machine or one cable.
    """

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def sdp(self, sdp: str) -> str:
        """The SDP as it may be handed on: without the candidates that point where none may. Its sender need
        not know what its address is worth elsewhere, and one of them must not cost it the call.

        Refused: SIGNAL_INVALID for what is no SDP, SDP_TOO_LARGE, TOO_MANY_CANDIDATES.
        """
        size = len(sdp.encode())
        if size > MAX_SDP:
            _refuse(Reason.SDP_TOO_LARGE, f"sdp: at most {MAX_SDP} bytes, it has {size}", "bytes", MAX_SDP)
        if not sdp.startswith(("v=0\r\n", "v=0\n")) or "\0" in sdp:
            _invalid("sdp: it must begin with v=0 (RFC 8866)")
        lines = sdp.splitlines(keepends=True)
        sections = sum(line.startswith("m=") for line in lines)
        if sections > MAX_SECTIONS:
            message = f"sdp: at most {MAX_SECTIONS} media sections, it has {sections}"
            _refuse(Reason.SDP_TOO_LARGE, message, "sections", MAX_SECTIONS)
        if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
            _too_many()
        return "".join(line for line in lines if self._may_stay(line))

    def candidate(self, line: str) -> None:
        """Refused: SIGNAL_INVALID for what is neither a candidate nor the end of candidates,
        CANDIDATE_FORBIDDEN for an address that none may have.
        """
        if line and not self._may_point(line):
            message = "candidate: an address of loop-back, of one link or of a metadata service"
            raise Refused(Reason.CANDIDATE_FORBIDDEN, message)

    def _may_stay(self, line: str) -> bool:
        return not line.startswith("a=candidate:") or self._may_point(line.rstrip("\r\n").removeprefix("a="))

    def _may_point(self, line: str) -> bool:
        found = _LINE.fullmatch(line)
        if found is None or int(found["port"]) > 0xFFFF:
            _invalid("candidate: it must be as RFC 8839 says, or empty")
        related = re.search(r" raddr ([!-~]+)", found["rest"])
        if related is not None and related[1] not in _NONE and not self._may_be(related[1]):
            return False
        return self._may_be(found["address"])

    def _may_be(self, text: str) -> bool:
        """Whether a candidate may have that address."""
        if _MDNS.fullmatch(text):
            return True
        try:
            address = _plain(ipaddress.ip_address(text))
        except ValueError:
            _invalid("candidate: its address must be a literal one, or a name under .local")
        if any(address in network for network in self._allowed):
            return True
        return not any(address in network for network in _FORBIDDEN)


class Candidates:
    """Counts what one session has trickled beside its SDP, by connection."""

    def __init__(self) -> None:
        self._counts: dict[Generation, int] = {}

    def count(self, key: Generation) -> None:
        """Counts one more. Refused(TOO_MANY_CANDIDATES) beyond the limit."""
        # The end of candidates counts too.
        if self._counts.get(key, 0) > MAX_CANDIDATES:
            _too_many()
        if key not in self._counts and len(self._counts) >= _MAX_GENERATIONS:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = self._counts.get(key, 0) + 1


def _plain(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for (mapped, NAT64, 6to4), else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _invalid(message: str) -> Never:
    raise Refused(Reason.SIGNAL_INVALID, message)


def _too_many() -> Never:
    message = f"candidate: at most {MAX_CANDIDATES} for one attempt"
    _refuse(Reason.TOO_MANY_CANDIDATES, message, "candidates", MAX_CANDIDATES)


def _refuse(reason: Reason, message: str, limit: str, value: int) -> Never:
    raise Refused(reason, message, {"limit": limit, "value": str(value)})
