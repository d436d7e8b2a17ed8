"""The playout buffer of one remote user: which packet fills which slot of 20 ms. Pure.

Driven by time: `pull` is called every 20 ms whether packets come or not, so a gap is filled when it is
heard and not when the next packet happens to arrive. Slots are numbered by RTP timestamps. How long
sound waits follows what the network does (`Delay`): a slot is put in when it waits too short, and two
are played in the time of one when it waits too long. A slot whose packet is late while nothing later has
come is waited for, so that a stall of the network delays sound and loses none.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from mediaagentd.media.playout.delay import SLOT, SOUND, Delay
from mediaagentd.media.playout.packet import announces_silence, recovers_previous
from mediaagentd.media.types import AUDIO_FRAME, AudioFrame

EXCESS = 0.030
"""Seconds that sound may wait beyond the target: less than two slots, or it would be put in again."""

PATIENCE = 15
"""Pulls with too much delay before two slots are played as one, and pulls between two that are put in."""

FAR, HASTE = 0.060, 5
"""Seconds by which sound waits too short that make that many pulls do between two that are put in: words long
before the lips are worse than a stretched one.
"""

MOST = 50
"""Slots held: a second; the oldest goes."""

GIVE_UP = 10
"""Concealed slots in a row after which the far end is taken to be silent (muted) and not lossy."""

JUMP = 500
"""A distance in slots (10 s) that only a restarted stream makes."""

FORGOTTEN = 3000
"""Slots (a minute) without a packet after which the delay begins anew: clocks that are 100 millionths apart
have drifted by 6 ms, in ten hours by seconds, which is no jitter of the network's.
"""


class Fill(enum.Enum):
    """How a slot is filled."""

    SILENCE = "nothing is playing"
    PACKET = "the packet itself"
    RECOVERED = "the FEC in the packet that follows"
    CONCEALED = "made up"


class Slot(NamedTuple):
    """What to play for 20 ms; `data` is the packet to decode, or the one to recover from. With `second`
    both packets are to be played in the time of one.
    """

    fill: Fill
    data: bytes = b""
    second: bytes = b""


_SILENCE = Slot(Fill.SILENCE)
_CONCEALED = Slot(Fill.CONCEALED)


class PlayoutBuffer:
    """See the module. Of the slots in which the far end spoke, `played` were filled with real or recovered
    sound, `concealed` were made up because of loss or lateness or to lengthen the delay. A far end that is
    muted, or sends nothing because it is quiet (DTX), is not counted.
    """

    def __init__(self) -> None:
        self.played = 0
        self.concealed = 0
        self.late = 0
        """Packets that came after their slot."""
        self.least_lag: float | None = None
        """What `lag` shall be at least, so that the pictures are not late; set it when it changes."""
        self._offset: float | None = None  # capture of a slot, by the far end's clock, less its place
        self._delay = Delay(SOUND)
        self._packets: dict[int, AudioFrame] = {}
        self._noted: set[int] = set()
        self._origin: int | None = None
        self._next: int | None = None
        self._newest: int | None = None  # slot of the packet that came last
        self._behind: float | None = None  # when the last packet was pulled, less its place
        self._last: AudioFrame | None = None
        self._gap = 0
        self._held = 0
        self._above = 0
        self._since_put_in = PATIENCE

    @property
    def depth(self) -> int:
        """Packets held."""
        return len(self._packets)

    @property
    def target(self) -> float:
        """Seconds that sound shall wait: as the network wants it, and for the pictures."""
        if self.least_lag is None or self._offset is None:
            return self._delay.target
        for_pictures = self.least_lag + self._offset - self._delay.base
        return max(self._delay.target, min(SOUND.most, for_pictures))

    @property
    def own_lag(self) -> float | None:
        """Seconds from capture, by the far end's clock, to playing, as the network alone wants it."""
        return None if self._offset is None else self._delay.base + self._delay.target - self._offset

    @property
    def lag(self) -> float | None:
        """The same, of what was pulled last; None while nothing is or the far end has told no time."""
        if self._next is None or self._offset is None or self._behind is None:
            return None
        return self._behind - self._offset

    @property
    def lag_to_follow(self) -> float | None:
        """What pictures shall have: `own_lag`, or `lag` when more: sound may wait longer than it must."""
        own, present = self.own_lag, self.lag
        return own if own is None or present is None else max(own, present)

    def waiting(self, now: float) -> float | None:
        """Seconds that the sound played at `now` has waited; None while nothing plays."""
        return None if self._next is None else self._delay.of(self._next * SLOT, now)

    def push(self, frame: AudioFrame, now: float) -> None:
        """A packet that arrived at `now` seconds; late and repeated ones are ignored."""
        if self._origin is None:
            self._origin = frame.pts
        slot = round((frame.pts - self._origin) / AUDIO_FRAME)
        newest, self._newest = self._newest, slot
        if (self._next is not None and abs(slot - self._next) > JUMP) or (
            newest is not None and not -JUMP <= slot - newest <= FORGOTTEN
        ):
            self._restart()
        self._note(slot, now)
        if frame.origin is not None:
            self._offset = frame.origin - slot * SLOT
        if recovers_previous(frame.data):
            self._note(slot - 1, now)
        if self._next is not None and slot < self._next and not self._go_back(slot):
            self.late += slot not in self._packets
            return
        self._packets.setdefault(slot, frame)
        while len(self._packets) > MOST:
            self._skip()

    def pull(self, now: float) -> Slot:
        """What to play from `now` on."""
        if self._next is None and not self._begin(now):
            return _SILENCE
        self._forget_held()
        assert self._next is not None
        self._since_put_in += 1
        waited, target = self._delay.of(self._next * SLOT, now), self.target
        missing = target - waited
        patience = PATIENCE if missing < FAR else HASTE
        if self._packets and missing > SLOT / 4 and self._since_put_in >= patience:
            self._since_put_in = 0
            self.concealed += 1
            return _CONCEALED
        frame = self._packets.pop(self._next, None)
        if frame is None:
            return self._fill_gap(self._next)
        self._behind = now - self._next * SLOT
        self._next += 1
        self._settle_gap(frame)
        self.played += 1
        self._above = self._above + 1 if waited > target + EXCESS else 0
        if self._above >= PATIENCE and (second := self._packets.pop(self._next, None)) is not None:
            self._above, self._last, self._next = 0, second, self._next + 1
            return Slot(Fill.PACKET, frame.data, second.data)
        return Slot(Fill.PACKET, frame.data)

    def rest(self) -> None:
        """Nothing has come for long, and nothing was pulled: what comes next begins anew, with the delay that
        the network asks for.
        """
        self._packets.clear()
        self._next, self._gap, self._held, self._above, self._last = None, 0, 0, 0, None

    def _note(self, slot: int, now: float) -> None:
        """Books when a slot became playable, once."""
        if slot in self._noted:
            return
        self._noted.add(slot)
        self._delay.note(slot * SLOT, now)
        if len(self._noted) > 2 * MOST:
            newest = max(self._noted)
            self._noted = {number for number in self._noted if number > newest - MOST}

    def _begin(self, now: float) -> bool:
        """Playing begins when the oldest packet has waited for as long as it shall."""
        if not self._packets:
            return False
        oldest = min(self._packets)
        if self._delay.of(oldest * SLOT, now) < self.target - SLOT / 2:
            return False
        self._next, self._gap, self._held, self._above, self._last = oldest, 0, 0, 0, None
        return True

    def _forget_held(self) -> None:
        """What was waited for and never came has been filled while it was waited for."""
        assert self._next is not None
        if not self._held or not self._packets:
            return
        oldest = min(self._packets)
        missing = oldest - self._next - recovers_previous(self._packets[oldest].data)
        self._next += max(0, min(self._held, missing))
        self._held = 0

    def _fill_gap(self, number: int) -> Slot:
        following = self._packets.get(number + 1)
        if following is not None and recovers_previous(following.data):
            self._settle_gap(following)
            self._next = number + 1
            self.played += 1
            return Slot(Fill.RECOVERED, following.data)
        self._gap += 1
        if self._packets or self._silent():
            self._next = number + 1
        elif self._gap >= GIVE_UP:
            self._next = None
            return _SILENCE
        else:
            self._held += 1
        return _CONCEALED

    def _silent(self) -> bool:
        return self._last is not None and announces_silence(self._last.data)

    def _go_back(self, slot: int) -> bool:
        """To a slot of a far end that was quiet: nothing was played in its place, time has only gone on
        meanwhile. It may come later than what was sent before: by another way, or by a slower clock.
        """
        if self._last is None or not self._gap or not self._silent():
            return False
        assert self._origin is not None
        if slot <= round((self._last.pts - self._origin) / AUDIO_FRAME):
            return False
        self._next = slot
        return True

    def _settle_gap(self, frame: AudioFrame) -> None:
        """Sound goes on behind a gap: so it was loss, unless nothing was sent in it."""
        before, self._last = self._last, frame
        gap, self._gap = self._gap, 0
        if before is None or not gap:
            return
        sent = (frame.sequence - before.sequence) & 0xFFFF
        slots = round((frame.pts - before.pts) / AUDIO_FRAME)
        if sent == 1 and slots > 1:
            return  # quiet (DTX)
        self.concealed += gap

    def _skip(self) -> None:
        oldest = min(self._packets)
        del self._packets[oldest]
        if self._next is not None:
            self._next = max(self._next, oldest + 1)

    def _restart(self) -> None:
        self._noted.clear()
        self._delay = Delay(SOUND)
        self.rest()
