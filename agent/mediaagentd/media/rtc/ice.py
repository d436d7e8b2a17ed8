"""ICE servers as the hub hands them out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_URL = re.compile(
    r"(?P<scheme>stun|stuns|turn|turns):(?P<host>\[[0-9A-Fa-f:.]+\]|[^\[\]:?/\s]+)"
    r"(:(?P<port>[0-9]{1,5}))?(\?transport=(?P<transport>udp|tcp))?"
)


@dataclass(frozen=True, slots=True)
class IceServer:
    """STUN or TURN servers: `urls` as in RFC 7064 and 7065, the last two empty for STUN."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """One address to ask. `host` is a name or an IP address; `over` is `udp`, `tcp` or `tls`."""

    relays: bool
    host: str
    port: int
    over: str = "udp"
    username: str = ""
    credential: str = ""


def parse(url: str, username: str = "", credential: str = "") -> Server | None:
    """None for what is malformed, and for STUN over anything but UDP, which tells nothing."""
    match = _URL.fullmatch(url)
    if match is None:
        return None
    scheme, transport = match["scheme"], match["transport"]
    secure = scheme.endswith("s")
    port = int(match["port"] or (5349 if secure else 3478))
    if not 0 < port < 65536 or (scheme.startswith("stun") and (secure or transport)):
        return None
    if secure and transport == "udp":  # DTLS to a TURN server: nobody we know of offers it
        return None
    over = "tls" if secure else transport or "udp"
    return Server(scheme.startswith("turn"), match["host"].strip("[]"), port, over, username, credential)


def servers(configured: Iterable[IceServer]) -> list[Server]:
    """Those that can be asked, in order: one bad address costs no call."""
    found = [parse(url, each.username, each.credential) for each in configured for url in each.urls]
    return [server for server in found if server is not None]


def unusable(configured: Iterable[IceServer]) -> int:
    """How many addresses cannot be."""
    return sum(parse(url) is None for each in configured for url in each.urls)
