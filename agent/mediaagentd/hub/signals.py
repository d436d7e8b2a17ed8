"""What may be relayed: limits on SDP and candidates beyond those of the proto. Pure."""

from __future__ import annotations

from typing import Never

from mediaagentd.errors import Reason, Refused

MAX_SECTIONS = 8
"""Media sections (m= lines) of an SDP; ours have three."""

MAX_CANDIDATES = 64
"""Candidates of one attempt from one member to another, those within an SDP and those trickled."""

_MAX_ATTEMPTS = 64
"""Attempts that are counted for one session; the oldest is forgotten."""


def check_sdp(sdp: str) -> None:
    """Refused(SIGNAL_INVALID) for what is no SDP or beyond the limits."""
    lines = sdp.splitlines()
    if not lines or lines[0] != "v=0" or "\0" in sdp:
        _refuse("sdp: it must begin with v=0 (RFC 8866)")
    if sum(line.startswith("m=") for line in lines) > MAX_SECTIONS:
        _refuse(f"sdp: at most {MAX_SECTIONS} media sections", str(MAX_SECTIONS))
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        _refuse(f"sdp: at most {MAX_CANDIDATES} candidates", str(MAX_CANDIDATES))


def check_candidate(line: str) -> None:
    """Refused(SIGNAL_INVALID) for what is neither a candidate nor the end of candidates."""
    if line and (not line.startswith("candidate:") or not line.isprintable()):
        _refuse("candidate: it must begin with candidate: (RFC 8839), or be empty")


class Candidates:
    """Counts the candidates that one session has trickled, by (call, receiver, attempt)."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, int], int] = {}

    def count(self, call_id: str, to_user_id: str, attempt: int) -> None:
        """Counts one more. Refused(SIGNAL_INVALID) beyond the limit."""
        key = (call_id, to_user_id, attempt)
        # The end of candidates counts too.
        if self._counts.get(key, 0) > MAX_CANDIDATES:
            _refuse(f"candidate: at most {MAX_CANDIDATES} for one attempt", str(MAX_CANDIDATES))
        if key not in self._counts and len(self._counts) >= _MAX_ATTEMPTS:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = self._counts.get(key, 0) + 1


def _refuse(message: str, limit: str = "") -> Never:
    raise Refused(Reason.SIGNAL_INVALID, message, {"limit": limit} if limit else {})
