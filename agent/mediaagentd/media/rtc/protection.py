"""When pictures are sent with packets that stand in for lost ones (`fec`), how many, and how two ends agree
on it. Pure.

Only where asking again takes too long: each lost packet of a picture holds up all after it for a round
trip, and for a second one when the request or the repair is lost too. Where a round trip is short, repairs
cost less. Between our own ends only: others do not know the encoding name, and leave it out of their answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from mediaagentd.media.rtc.fec import FecEncoder, Source
from mediaagentd.media.rtc.header import Outbound
from mediaagentd.media.rtc.redundancy import LossMemory

FAR: Final = 0.6
"""Seconds of round trip from which packets are protected."""

LOSSY: Final = 0.02
"""Fraction lost from which they are."""

EXPECTED: Final = 0.2
"""Fraction lost that they are protected against before it is known. A path that long that loses nothing is
found out by the fifth report.
"""

EXCESS: Final = 2.0
"""Times as many repair packets as are lost shall arrive: losses in a window vary."""

MOST: Final = 0.6
"""Repair packets for each other one, at most: each pushes a picture out."""

NAME: Final = "x-mediaagent-fec"
"""Encoding name; a far end of another kind has none such."""

_FREE: Final = range(61, 34, -1)
"""Payload types to choose from (RFC 5761 section 4 leaves them to RTP), the first that no section uses."""

_RTPMAP: Final = re.compile(rf"a=rtpmap:(\d{{1,2}}) {NAME}/90000")
_ANY_RTPMAP: Final = re.compile(r"^a=rtpmap:(\d{1,3}) ", re.MULTILINE)


class Protection:
    """Of one sender's packets. `report` when the far end has, `add` each that leaves, send what is `due`."""

    def __init__(self, payload_type: int, ssrc: int) -> None:
        self.sent = 0
        """Repair packets so far."""
        self._payload_type = payload_type
        self._ssrc = ssrc
        self._sequence = 0
        self._timestamp = 0
        self._loss = LossMemory()
        self._encoder = FecEncoder()
        self._share = 0.0
        self._far = False

    def expect(self, round_trip: float) -> None:
        """Before the first report: where asking again would take so long, loss is expected."""
        self._far = round_trip >= FAR
        if self._far:
            self._loss = LossMemory(EXPECTED)
            self._share = self._of(EXPECTED)

    def report(self, fraction: float, round_trip: float | None, *, overran: bool) -> None:
        """The far end has lost that fraction of late; `overran`: in a queue that we made run over. A report
        that tells no round trip (None) changes nothing of how far it is.
        """
        self._loss.report(fraction, overran=overran)
        if round_trip is not None:
            self._far = round_trip >= FAR
        share = self._of(self._loss.loss) if self._far else 0.0
        if not share:
            self._encoder.clear()
        self._share = share

    def add(self, packets: Iterable[Outbound]) -> None:
        """Packets leave."""
        if not self._share:
            return
        for packet in packets:
            source = Source(packet.marker, packet.payload_type, packet.timestamp, packet.payload)
            self._timestamp = packet.timestamp
            self._encoder.add(packet.sequence_number, source, self._share)

    def due(self) -> list[Outbound]:
        """The repair packets that shall leave now."""
        return [self._made(payload) for payload in self._encoder.repairs()] if self._share else []

    def _of(self, loss: float) -> float:
        return 0.0 if loss < LOSSY else min(MOST, EXCESS * loss / (1 - min(loss, 0.9)))

    def _made(self, payload: bytes) -> Outbound:
        self.sent += 1
        self._sequence = (self._sequence + 1) & 0xFFFF
        return Outbound(self._payload_type, 0, self._sequence, self._timestamp, self._ssrc, payload)


# --------------------------------------------------------------------------------- descriptions


def offer(sdp: str) -> str:
    """Our offer with it, under a payload type that is free in all sections: they are bundled."""
    taken = {int(number) for number in _ANY_RTPMAP.findall(sdp)}
    free = next((number for number in _FREE if number not in taken), None)
    return sdp if free is None else _with(sdp, free)


def answer(sdp: str, remote: str) -> str:
    """Our answer, with it when `remote` offers it."""
    number = _payload_type(remote)
    return sdp if number is None else _with(sdp, number)


def agreed(local: str, remote: str) -> int | None:
    """The payload type when both descriptions have it."""
    number = _payload_type(local)
    return number if number is not None and number == _payload_type(remote) else None


def _payload_type(sdp: str) -> int | None:
    lines = sdp.splitlines()
    found = (match for line in lines if (match := _RTPMAP.fullmatch(line)))
    return next((number for match in found if (number := int(match[1])) in _FREE), None)


def _with(sdp: str, number: int) -> str:
    """The description with it at the end of the first rtpmap of its video section."""
    lines = sdp.splitlines()
    start = next((at for at, line in enumerate(lines) if line.startswith("m=video ")), None)
    if start is None:
        return sdp
    place = next((at for at in range(start, len(lines)) if lines[at].startswith("a=rtpmap:")), None)
    if place is None:
        return sdp
    lines[start] += f" {number}"
    return "\r\n".join([*lines[:place], f"a=rtpmap:{number} {NAME}/90000", *lines[place:]]) + "\r\n"
