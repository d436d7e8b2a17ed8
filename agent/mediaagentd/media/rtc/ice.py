"""ICE servers as the hub hands them out, and their translation for the library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from aiortc import RTCIceServer
from aiortc.rtcicetransport import parse_stun_turn_uri


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server: `urls` as in RFC 7064 and 7065, the last two empty for STUN."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


def library_servers(servers: Iterable[IceServer]) -> list[RTCIceServer]:
    """Never None: that would mean a public STUN server on the Internet. Addresses that do not parse
    are left out, so that one bad server costs no call.
    """
    found = []
    for server in servers:
        urls = [url for url in server.urls if _parses(url)]
        if urls:
            found.append(RTCIceServer(urls=urls, username=server.username, credential=server.credential))
    return found


def unusable(servers: Sequence[IceServer]) -> int:
    """How many addresses do not parse."""
    return sum(not _parses(url) for server in servers for url in server.urls)


def _parses(url: str) -> bool:
    try:
        parse_stun_turn_uri(url)
    except ValueError:
        return False
    return True
