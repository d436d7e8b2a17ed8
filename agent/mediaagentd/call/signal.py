"""What two agents tell each other to make a WebRTC connection. Passes by the call machine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Offer:
    """SDP offer (RFC 8829), complete with the candidates gathered so far."""

    sdp: str


@dataclass(frozen=True, slots=True)
class AnswerSdp:
    """SDP answer."""

    sdp: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trickled ICE candidate (RFC 8838): "candidate:..." line, empty at the end of candidates."""

    candidate: str
    mid: str


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Asks the side that offers for a new offer, of the signal's generation or a later one."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One message of attempt number `attempt` (the join_order of the later of the two members), and
    within it of the connection number `generation`: one more each time that it is made anew.
    """

    attempt: int
    body: Offer | AnswerSdp | Candidate | Rebuild
    generation: int = 0


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server (RFC 7064, RFC 7065)."""

    urls: tuple[str, ...]
    username: str = ""
    credential: str = ""
