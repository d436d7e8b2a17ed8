"""What DTLS says: in datagrams that arrive whole, and again sooner than OpenSSL would say it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from aiortc.rtcdtlstransport import RTCDtlsTransport

from mediaagentd.media.rtc import seams

PAUSES = (0.05, 0.1, 0.2, 0.4, *[0.8] * 12)
"""Seconds before each copy of a flight, over ten in all. OpenSSL's own timer is the 1 s of RFC 6347 section
4.2.4.1, doubled each time, and cannot be set from Python; browsers begin with 50 ms.
"""

LONGEST = 1200
"""Bytes of a datagram, which passes every path (RFC 8831 section 5 starts there for the same reason)."""

_HEADER = 13


class Handshake:
    """Stands in for one transport. Says each flight of ours again until the next one, which proves that it
    came; the server's last one, which nothing answers, as often as there are `PAUSES`.

    A copy is the same datagram: the far end's replay detection (RFC 6347 section 4.1.2.6) drops it when it
    has the first. Each of the four flights must come whole, and so must what asks for it again: with 30 %
    lost each way most calls waited for OpenSSL's timer, some for a quarter of a minute.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        seams.take_dtls(transport, self._say)

    async def _say(self, flight: bytes) -> None:
        """Raises: ConnectionError."""
        parts = datagrams(flight)
        for part in parts:
            await seams.send_dtls(self._transport, part)
        if self._timer is not None:
            self._timer.cancel()
        self._wait(parts, PAUSES)

    def _wait(self, parts: Sequence[bytes], pauses: Sequence[float]) -> None:
        wanted = bool(pauses) and seams.lacks_our_flight(self._transport)
        self._timer = self._loop.call_later(pauses[0], self._again, parts, pauses[1:]) if wanted else None

    def _again(self, parts: Sequence[bytes], pauses: Sequence[float]) -> None:
        if seams.say_again(self._transport, parts):
            self._wait(parts, pauses)


def datagrams(flight: bytes) -> list[bytes]:
    """Records of DTLS (RFC 6347 section 4.1) in as few datagrams as hold them whole.

    The library cuts at 1,500 bytes, wherever that is: a flight with what OpenSSL repeats beside it was lost.
    """
    parts, begun, at = list[bytes](), 0, 0
    while at < len(flight):
        end = at + _HEADER + int.from_bytes(flight[at + 11 : at + 13], "big")
        if end - begun > LONGEST and at > begun:
            parts.append(flight[begun:at])
            begun = at
        at = end
    return [*parts, flight[begun:]]
