"""What may be in a session description, decided on text alone.

Pure: no asyncio, no aiortc. `description` looks at the structure afterwards.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.types import VideoCodec

MAX_SDP_BYTES = 64 * 1024
MAX_MEDIA_SECTIONS = 8
MAX_CANDIDATES = 64
MAX_CANDIDATE_BYTES = 512
MAX_LINE_BYTES = 4096

H264_PARAMETERS = {
    "level-asymmetry-allowed": "1",
    "packetization-mode": "1",
    "profile-level-id": "42e01f",
}
"""Constrained baseline with fragmentation (RFC 6184 section 8.1): what every browser takes."""


def offers(local: str, remote: str) -> bool:
    """Whether `local` makes the offer to `remote`: both ends compute the same answer, so there is no
    glare. Ids are unique; equal ones never meet.
    """
    return local < remote


def invalid(message: str) -> Refused:
    """The refusal of a signal; the text names the rule and quotes nothing of the signal."""
    return Refused(Reason.SIGNAL_INVALID, message)


def check_text(sdp: str) -> None:
    """Raises `Refused` when a description is too large to be looked at."""
    if len(sdp) > MAX_SDP_BYTES or len(sdp.encode("utf-8", "surrogatepass")) > MAX_SDP_BYTES:
        raise invalid(f"sdp: more than {MAX_SDP_BYTES} bytes")
    if not sdp.isascii():
        raise invalid("sdp: not ASCII")
    lines = sdp.splitlines()
    if any(len(line) > MAX_LINE_BYTES for line in lines):
        raise invalid(f"sdp: a line of more than {MAX_LINE_BYTES} bytes")
    if sum(line.startswith("m=") for line in lines) > MAX_MEDIA_SECTIONS:
        raise invalid(f"sdp: more than {MAX_MEDIA_SECTIONS} media sections")
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        raise invalid(f"sdp: more than {MAX_CANDIDATES} candidates")


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """A candidate attribute (RFC 8839 section 5.1) whose fields have been checked. `attribute` is
    without the word `candidate:`.
    """

    attribute: str
    host: str

    @property
    def hidden(self) -> bool:
        """Whether the address is a multicast DNS name, which must first be resolved."""
        return self.host.endswith(".local")


def parse_candidate(line: str) -> CandidateLine | None:
    """A trickled candidate line; None for one that is valid but of no use to us (TCP, component 2).
    Raises `Refused` for anything else.
    """
    if len(line) > MAX_CANDIDATE_BYTES or not line.isascii() or not line.isprintable():
        raise invalid(f"candidate: not {MAX_CANDIDATE_BYTES} printable ASCII characters")
    attribute = line.removeprefix("a=").removeprefix("candidate:").strip()
    fields = attribute.split()
    if len(fields) < 8 or fields[6] != "typ" or len(fields) % 2:
        raise invalid("candidate: not the grammar of RFC 8839 section 5.1")
    _check_numbers(fields)
    _check_host(fields[4])
    if fields[1] != "1" or fields[2].lower() != "udp":
        return None
    return CandidateLine(attribute, fields[4])


def _check_numbers(fields: Sequence[str]) -> None:
    extensions = dict(zip(fields[8::2], fields[9::2], strict=True))
    limits = ((fields[1], 256), (fields[3], 2**32), (fields[5], 2**16))
    related = extensions.get("rport", "0")
    for text, limit in (*limits, (related, 2**16)):
        if not text.isdecimal() or len(text) > 10 or int(text) >= limit:
            raise invalid("candidate: component, priority or port out of range")


def _check_host(host: str) -> None:
    if re.fullmatch(r"[0-9A-Za-z-]{1,63}\.local", host):
        return
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise invalid("candidate: neither an IP address nor a .local name") from None


def split_candidates(sdp: str) -> tuple[str, tuple[str, ...], bool]:
    """Takes the candidates out of a description: (the rest, candidate lines, whether they are all).

    They are added one by one like trickled ones, so that one that resolves slowly delays nothing and
    each is checked by the same rules. Sections are bundled: all candidates belong to one transport.
    """
    kept, found, ended = [], [], False
    for line in sdp.splitlines():
        if line.startswith("a=candidate:"):
            found.append(line[2:])
        elif line.startswith("a=end-of-candidates"):
            ended = True
        else:
            kept.append(line)
    return "\r\n".join(kept) + "\r\n", tuple(dict.fromkeys(found)), ended


def without_end(sdp: str) -> str:
    """The description without the word that its candidates are all: more will be trickled."""
    return sdp.replace("a=end-of-candidates\r\n", "")


def sending_codec(preferences: Sequence[VideoCodec], negotiated: Sequence[str]) -> VideoCodec | None:
    """The first of our preferences among the negotiated encoding names."""
    names = {name.upper() for name in negotiated}
    return next((codec for codec in preferences if codec.value in names), None)


def sections(sdp: str) -> list[tuple[str, str]]:
    """Kind and a=mid of each media section, in order."""
    found: list[tuple[str, str]] = []
    for line in sdp.splitlines():
        if line.startswith("m="):
            found.append((line[2:].split(" ", 1)[0], ""))
        elif line.startswith("a=mid:") and found:
            found[-1] = (found[-1][0], line[6:])
    return found
