"""A sender of pictures, for whoever puts them together again."""

from __future__ import annotations

from dataclasses import dataclass, field

from mediaagentd.media.rtc.assembler import (
    Assembler,
    Picture,
)
from mediaagentd.media.rtc.payload import Payload

STEP = 3000


@dataclass
class Stream:
    """A sender: pictures cut into packets with running numbers."""

    sequence: int = 0
    timestamp: int = 0
    packets: list[tuple[int, int, bool, Payload]] = field(default_factory=list)

    def picture(self, parts: int = 1, *, key: bool = False, text: str = "") -> list[int]:
        """Adds a picture; returns the indices of its packets."""
        first = len(self.packets)
        for index in range(parts):
            data = f"{text or first}.{index};".encode()
            payload = Payload(data, opens=key and index == 0, key=key and index == 0)
            self.packets.append((self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, False, payload))
            self.sequence += 1
        number, timestamp, _, payload = self.packets[-1]
        self.packets[-1] = (number, timestamp, True, payload)
        self.timestamp += STEP
        return list(range(first, len(self.packets)))


def feed(assembler: Assembler, stream: Stream, indices: list[int], now: float = 0.0) -> list[Picture]:
    return [picture for index in indices for picture in assembler.push(*stream.packets[index], now)]
