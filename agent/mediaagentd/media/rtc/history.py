"""What was sent of late, for when it is asked for again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mediaagentd.media.rtc.header import Outbound

NEVER: Final = float("-inf")


class History:
    """The last packets of one stream, at most `bound` of them. A ring, since each of a call comes by here:
    a packet has the place of its number.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._packets: list[Outbound | None] = [None] * bound
        self._repeated = [NEVER] * bound

    def keep(self, packets: Iterable[Outbound]) -> None:
        """These have been sent for the first time."""
        for packet in packets:
            place = packet.sequence_number % self._bound
            self._packets[place] = packet
            self._repeated[place] = NEVER

    def has_repeated(self, sequence: int) -> bool:
        """Whether that packet has been repeated."""
        place = sequence % self._bound
        packet = self._packets[place]
        return packet is not None and packet.sequence_number == sequence and self._repeated[place] > NEVER

    def repeat(self, sequence: int, now: float, *, apart: float) -> Outbound | None:
        """The packet of that number, unless it is not known (any more) or has been repeated less than so many
        seconds before.
        """
        place = sequence % self._bound
        packet = self._packets[place]
        if packet is None or packet.sequence_number != sequence or now - self._repeated[place] < apart:
            return None
        self._repeated[place] = now
        return packet
