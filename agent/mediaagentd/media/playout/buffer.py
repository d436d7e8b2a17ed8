"""The playout buffer of one remote user: which packet fills which slot of 20 ms. Pure.

Driven by time: `pull` is called every 20 ms whether packets come or not, so a gap is filled when it is
heard and not when the next packet happens to arrive. Slots are numbered by RTP timestamps. Bounded:
`MOST` packets; when sound has gathered beyond that, or `EXCESS` beyond the target for `PATIENCE` pulls,
the oldest is skipped.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mediaagentd.media.types import AUDIO_FRAME, AudioFrame

SLOT = 0.020
"""Seconds of one slot."""

TARGET = 3
"""Slots gathered before playing begins: 60 ms."""

EXCESS = 3
"""Slots above the target that are let be."""

PATIENCE = 50
"""Pulls (one second) with too much gathered before one slot is skipped: the clocks differ."""

MOST = 25
"""Slots held: half a second."""

GIVE_UP = 10
"""Concealed slots in a row after which the far end is taken to be silent (muted) and not lossy."""

JUMP = 500
"""A distance in slots (10 s) that only a restarted stream makes."""


class Fill(enum.Enum):
    """How a slot is filled."""

    SILENCE = "nothing is playing"
    PACKET = "the packet itself"
    RECOVERED = "the FEC in the packet that follows"
    CONCEALED = "made up"


@dataclass(frozen=True, slots=True)
class Slot:
    """What to play for 20 ms; `data` is the packet to decode, or the one to recover from."""

    fill: Fill
    data: bytes = b""


_SILENCE = Slot(Fill.SILENCE)
_CONCEALED = Slot(Fill.CONCEALED)


class PlayoutBuffer:
    """See the module. `played` counts slots filled with real or recovered sound, `concealed` those that
    loss left to be made up. A far end that fell silent is not counted as loss.
    """

    def __init__(self) -> None:
        self.played = 0
        self.concealed = 0
        self.skipped = 0
        self._packets: dict[int, bytes] = {}
        self._origin: int | None = None
        self._next: int | None = None
        self._first_arrival = 0.0
        self._gap = 0
        self._above = 0

    @property
    def depth(self) -> int:
        """Packets held."""
        return len(self._packets)

    def push(self, frame: AudioFrame, now: float) -> None:
        """A packet that arrived at `now` seconds; late and repeated ones are ignored."""
        if self._origin is None:
            self._origin = frame.pts
        slot = round((frame.pts - self._origin) / AUDIO_FRAME)
        if self._next is not None and abs(slot - self._next) > JUMP:
            self._restart()
        if self._next is not None and slot < self._next:
            return
        if not self._packets:
            self._first_arrival = now
        self._packets[slot] = frame.data
        while len(self._packets) > MOST:
            self._skip()

    def pull(self, now: float) -> Slot:
        """What to play from `now` on."""
        if self._next is None and not self._begin(now):
            return _SILENCE
        self._catch_up()
        assert self._next is not None
        number, self._next = self._next, self._next + 1
        data = self._packets.pop(number, None)
        if data is not None:
            self._settle_gap()
            self.played += 1
            return Slot(Fill.PACKET, data)
        following = self._packets.get(number + 1)
        if following is not None:
            self._settle_gap()
            self.played += 1
            return Slot(Fill.RECOVERED, following)
        return self._conceal()

    def _begin(self, now: float) -> bool:
        """Playing begins with `TARGET` packets, or when the first of fewer has waited as long."""
        if not self._packets:
            return False
        oldest = min(self._packets)
        gathered = max(self._packets) - oldest + 1
        if gathered < TARGET and now - self._first_arrival < TARGET * SLOT:
            return False
        self._next, self._gap, self._above = oldest, 0, 0
        return True

    def _conceal(self) -> Slot:
        self._gap += 1
        if self._gap >= GIVE_UP and not self._packets:
            self._next, self._gap = None, 0
            return _SILENCE
        return _CONCEALED

    def _settle_gap(self) -> None:
        """Sound goes on behind a gap: so it was loss."""
        self.concealed += self._gap
        self._gap = 0

    def _catch_up(self) -> None:
        self._above = self._above + 1 if len(self._packets) > TARGET + EXCESS else 0
        if self._above >= PATIENCE:
            self._above = 0
            self._skip()

    def _skip(self) -> None:
        oldest = min(self._packets)
        del self._packets[oldest]
        self.skipped += 1
        if self._next is not None:
            self._next = max(self._next, oldest + 1)

    def _restart(self) -> None:
        self._packets.clear()
        self._next, self._gap, self._above = None, 0, 0
