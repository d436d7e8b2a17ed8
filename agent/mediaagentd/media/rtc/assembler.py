"""From RTP payloads to whole pictures: order, loss, repair, and when to give up.

Pure: `push` on arrival, `poll` at `deadline`. A picture is released when its marker bit and everything
before it is there. What is missing is asked for again (NACK, RFC 4585 section 6.2.1); when
that takes long, a keyframe too (PLI, section 6.3.1), every half second while packets arrive, and
whichever comes first is gone on with. What is not repaired in time is given up: nothing is released
until a whole keyframe has come. So a decoder never sees a picture whose
predecessors it has not seen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from mediaagentd.media.rtc.payload import Payload
from mediaagentd.media.rtc.reception import PAUSE, Unwrapper
from mediaagentd.media.types import VIDEO_CLOCK

CAPACITY = 1024
"""Packets held: three seconds at 3 Mbit/s."""

REORDER = 0.010
"""Seconds that a gap may be mere reordering, before the first NACK."""

PROTECTED = 0.25
"""Round trips before the first NACK while lost packets come back by others that stand in for them (`fec`)."""

TRIES = 10
"""NACKs for one packet, their echoes not counted."""

AGAIN = 1.1
URGENT = 0.6
AGAIN_LEAST = 0.040
"""Round trips, and at least seconds, between two NACKs for one packet; and for the oldest, which all others
wait for, once its repair is overdue. More than the half in which the sender takes two for one.
"""

ECHO = 0.25
ECHO_MOST = 0.060
ECHO_FROM = 0.090
"""Round trips, and at most seconds, after which a NACK is said once more, and round trip from which on: it
may be lost too, which would show a round trip later. What comes right after it is often lost in the same run.
Then the oldest, when overdue, is named with any other, too.
"""

NACKS = 250
"""Packets asked for in one go; fits one datagram whatever their distance."""

NEXT_GO = 0.001
"""Seconds until what was too much for it is asked for."""

STALL = 0.4
STALL_ROUND_TRIPS = 2.5
"""Seconds, and at least so many round trips, without a repair: then a keyframe is asked for, and
whichever comes first ends the stall."""

REPAIR = 1.0
REPAIR_MOST = 5.0
"""Seconds after which a repair is no longer waited for; two stalls, within these bounds."""

OUTAGE_PACKETS = 300
OUTAGE_SECONDS = 1.0
"""A gap beyond either is not worth repairing: what comes back would be old."""

WATCH = 0.4
WATCH_KEYFRAME = 1.5
"""Seconds, and for a keyframe, that a picture whose packets come without a gap may take: longer, and it never
ends.
"""

KEYFRAME_INTERVAL = 0.5
"""Seconds between two requests for a keyframe."""

SILENCE = 1.0
"""Seconds after the last packet in which requests are repeated: a camera that is off owes nothing."""

REORDERED = 64
"""Packets of a keyframe that may have overtaken its first one."""

RESTART = 3000
"""A jump in sequence numbers that only a restarted sender makes."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A whole encoded picture; `timestamp` is endless and 0 for the first packet of the stream."""

    data: bytes
    timestamp: int
    keyframe: bool
    arrived: float


@dataclass(frozen=True, slots=True)
class Requests:
    """What to ask of the sender now: 16-bit sequence numbers in order of age, and a keyframe."""

    lost: tuple[int, ...] = ()
    keyframe: bool = False


class _Part(NamedTuple):
    payload: Payload
    timestamp: int
    marker: bool
    arrived: float


@dataclass(slots=True)
class _Missing:
    since: float
    due: float
    tries: int = 0
    echoes: bool = False
    said: float = 0.0


class Assembler:
    """One received video stream. `round_trip` may be set whenever it is known, in seconds."""

    def __init__(self) -> None:
        self.round_trip: float | None = None
        self.tight_until = -math.inf
        """Until when what was too much still comes: of that only what may become of use is asked for."""
        self.protected = False
        """Whether lost packets may come back without being asked for."""
        self.dropped = 0
        """Packets that arrived for nothing."""
        self._sequences = Unwrapper(16)
        self._timestamps = Unwrapper(32)
        self._first_timestamp: int | None = None
        self._parts: dict[int, _Part] = {}
        self._missing: dict[int, _Missing] = {}
        self._openings: set[int] = set()
        self._highest: int | None = None
        self._next: int | None = None  # None: waiting for a keyframe
        self._floor = float("-inf")  # what is before it has been released or given up
        self._asked = float("-inf")
        self._wanted = False
        self._last_arrival = float("-inf")

    @property
    def first_timestamp(self) -> int:
        """The 32-bit timestamp that pictures count from."""
        return self._first_timestamp or 0

    @property
    def waiting(self) -> bool:
        """Whether nothing is released before the next whole keyframe."""
        return self._next is None

    def push(
        self, sequence: int, timestamp: int, marker: bool, payload: Payload, now: float
    ) -> list[Picture]:
        """Takes one packet (16-bit sequence number, 32-bit timestamp); returns what is now whole."""
        number = self._sequences.unwrap(sequence)
        if self._highest is not None and abs(number - self._highest) > RESTART:
            self._restart(number)
        if number in self._parts or number < self._floor:
            self.dropped += 1
            return []
        late = self._note(number, now)
        silence, self._last_arrival = now - self._last_arrival, now
        if self._first_timestamp is None:
            self._first_timestamp = timestamp
        elif silence > PAUSE:
            self._timestamps.unwrap_after(timestamp, round(silence * VIDEO_CLOCK))
        part = _Part(payload, self._timestamps.unwrap(timestamp), marker, now)
        self._parts[number] = part
        if payload.opens or (payload.key and self._begins(number, part)):
            self._openings.add(number)
        self._bound(number)
        previous = self._parts.get(number - 1)
        if late or marker or previous is None or previous.timestamp != part.timestamp:
            return self._release()
        return []

    def poll(self, now: float) -> Requests:
        """What is due at `now`; gives up what was not repaired in time."""
        while self._missing and now >= self._repair_time():
            self._give_up(next(iter(self._missing)))
        if now >= self._watch_time():
            self._give_up(self._highest or 0)
        lost = self._due(now)
        time = self._keyframe_time()
        if time is None or now < time:
            return Requests(lost)
        self._asked = now
        return Requests(lost, keyframe=True)

    def deadline(self) -> float | None:
        """When to call `poll`, None when nothing is pending; later than its last call."""
        times = list[float]()
        if self._missing:
            due = (missing.due for missing in self._missing.values() if missing.tries < TRIES)
            least = self.tight_until if self._holds_nothing() else -math.inf
            times += [max(min(due, default=math.inf), least), self._repair_time()]
        if (time := self._keyframe_time()) is not None:
            times.append(time)
        if (time := self._watch_time()) < math.inf:
            times.append(time)
        return min(times, default=None)

    def abandon(self, *, beyond: int) -> None:
        """Waits for a keyframe when more than so many packets are missing: their repair would take longer."""
        if len(self._missing) > beyond:
            self._give_up(next(reversed(self._missing)))

    def want_keyframe(self) -> None:
        """Asks for a keyframe although nothing is missing: somebody began to look."""
        self._wanted = True

    def _restart(self, number: int) -> None:
        self.dropped += len(self._parts)
        self._parts.clear()
        self._missing.clear()
        self._openings.clear()
        self._next = None
        self._floor = float("-inf")
        self._highest = number - 1

    def _note(self, number: int, now: float) -> bool:
        """Books what is missing in front of a new packet; says whether it came late."""
        if self._highest is None:
            self._highest = number
            return False
        if number <= self._highest:
            self._missing.pop(number, None)
            return True
        gap = number - self._highest - 1
        outage = gap > 0 and now - self._last_arrival > OUTAGE_SECONDS
        if outage or gap > OUTAGE_PACKETS:
            self._give_up(number)
        else:
            due = now + max(REORDER, PROTECTED * (self.round_trip or 0.0) if self.protected else 0.0)
            for lost in range(self._highest + 1, number):
                self._missing[lost] = _Missing(now, due)
        self._highest = number
        return False

    def _begins(self, number: int, part: _Part) -> bool:
        """Whether an IDR payload without parameter sets is the first one of its picture."""
        before = self._parts.get(number - 1)
        if before is None:
            return number == self._next
        return before.marker or before.timestamp != part.timestamp

    def _bound(self, number: int) -> None:
        if self._next is None:
            # Keep what may belong to a keyframe: its opening may have been overtaken.
            self._forget(min(self._openings, default=number - REORDERED))
        if len(self._parts) > CAPACITY or len(self._missing) > CAPACITY:
            self._give_up(number)

    def _forget(self, floor: int) -> None:
        """Drops everything before `floor`."""
        self._floor = max(self._floor, floor)
        for number in [number for number in self._parts if number < floor]:
            del self._parts[number]
            self.dropped += 1
        for number in [number for number in self._missing if number < floor]:
            del self._missing[number]
        self._openings = {number for number in self._openings if number >= floor}

    def _release(self) -> list[Picture]:
        self._jump()
        released: list[Picture] = []
        while self._next is not None:
            part = self._parts.get(self._next)
            if part is not None and not part.payload.data:  # padding between two pictures
                del self._parts[self._next]
                self._next += 1
                continue
            end = self._end(self._next)
            if end is None:
                break
            released.append(self._take(self._next, end))
            self._next = end
            self._floor = end
        return released

    def _jump(self) -> None:
        """Goes on at the first whole keyframe behind a gap: what is before it is no longer needed."""
        if self._next is not None and self._end(self._next) is not None:
            return
        for opening in sorted(self._openings):
            end = self._end(opening)
            if end is not None and any(self._parts[n].payload.key for n in range(opening, end)):
                self._forget(opening)
                self._next = opening
                return

    def _end(self, start: int) -> int | None:
        """The number behind the picture that begins at `start`, None while it is not whole."""
        number, first = start, self._parts.get(start)
        part = first
        while part is not None and first is not None:
            if part.timestamp != first.timestamp:
                return number
            number += 1
            if part.marker:
                return number
            part = self._parts.get(number)
        return None

    def _take(self, start: int, end: int) -> Picture:
        parts = [self._parts.pop(number) for number in range(start, end)]
        self._openings.difference_update(range(start, end))
        keyframe = any(part.payload.key for part in parts)
        if keyframe:
            self._wanted = False
        return Picture(
            data=b"".join(part.payload.data for part in parts),
            timestamp=parts[0].timestamp - (self._first_timestamp or 0),
            keyframe=keyframe,
            arrived=max(part.arrived for part in parts),
        )

    def _stall(self) -> float:
        return max(STALL, STALL_ROUND_TRIPS * (self.round_trip or 0.0))

    def _patience(self) -> float:
        return max(REPAIR, min(REPAIR_MOST, 2 * self._stall()))

    def _repair_time(self) -> float:
        """When the oldest missing packet is given up."""
        return next(iter(self._missing.values())).since + self._patience()

    def _holds_nothing(self) -> bool:
        """Whether nothing that is held can be shown, repaired or not."""
        return self._next is None and not self._openings

    def _give_up(self, lost: int) -> None:
        """Waits for a keyframe that begins after `lost`; only what may become one is kept."""
        later = (number for number in self._openings if number > lost)
        self._next = None
        self._forget(min(later, default=max(lost, self._highest or lost) + 1))

    def _due(self, now: float) -> tuple[int, ...]:
        if now < self.tight_until and self._holds_nothing():
            return ()
        round_trip = self.round_trip or 0.0
        echo = min(ECHO_MOST, ECHO * round_trip) if round_trip >= ECHO_FROM else 0.0
        lost = list[int]()
        oldest, blocking = next(iter(self._missing.items()), (0, None))
        for number, missing in self._missing.items():
            if missing.due > now or missing.tries >= TRIES:
                continue
            if len(lost) >= NACKS:
                missing.due = now + NEXT_GO
                continue
            missing.echoes = echo > 0 and not missing.echoes
            missing.tries += not missing.echoes
            pause = self._pause(urgent=missing is blocking and missing.tries > 1) - echo
            missing.due = now + (echo if missing.echoes else pause)
            missing.said = now
            lost.append(number)
        overdue = blocking is not None and blocking.tries > 1 and now >= blocking.said + echo
        if lost and blocking is not None and overdue and oldest != lost[0]:
            blocking.said = now
            lost.insert(0, oldest)
        return tuple(number & 0xFFFF for number in lost)

    def _pause(self, *, urgent: bool) -> float:
        return max(AGAIN_LEAST, (URGENT if urgent else AGAIN) * (self.round_trip or 0.1))

    def _watch_time(self) -> float:
        """When a picture that does not end although its packets come is given up; inf without one."""
        part = self._parts.get(self._next) if self._next is not None and not self._missing else None
        if part is None:
            return math.inf
        time = part.arrived + (WATCH_KEYFRAME if part.payload.key or part.payload.opens else WATCH)
        return time if time <= self._last_arrival else math.inf

    def _keyframe_time(self) -> float | None:
        """When to ask for a keyframe, None when there is no reason to."""
        time = self._asked + KEYFRAME_INTERVAL
        if not (self._wanted or self._next is None):
            if not self._missing:
                return None
            time = max(time, next(iter(self._missing.values())).since + self._stall())
        latest = max((self._parts[number].arrived for number in self._openings), default=None)
        if latest is not None:  # one is on its way
            time = max(time, latest + KEYFRAME_INTERVAL)
        return time if time <= self._last_arrival + SILENCE else None
