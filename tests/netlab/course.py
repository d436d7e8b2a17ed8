"""What one end heard and saw of the other in the course of time, and what that makes for a person."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from itertools import pairwise

from mediaagentd.media.settings import PeerFigures
from mediaagentd.media.types import StreamStats

from tests.netlab.ends import NetEnd
from tests.netlab.messages import Seen

SAMPLE = 0.25
"""Seconds between two readings."""

SLOTS = 50
"""Slots of sound a second."""


@dataclass(frozen=True, slots=True)
class Course:
    """A stretch of time. `fps` and `gap` (the longest, in seconds, edges counted) of decoded pictures whose
    number was read; `sound` the share of slots with real or recovered sound, `filled` that of slots filled
    in any way, `concealed` the number of those made up; `lip_sync` the sampled value furthest from zero, in
    seconds, and `lip_sync_usual` the median; `rate` of the video received in bits a second, repairs included;
    `unread` pictures whose number could not be read or ran backwards.
    """

    seconds: float
    fps: float
    gap: float
    sound: float
    filled: float
    concealed: int
    lip_sync: float | None
    lip_sync_usual: float | None
    rate: float
    unread: int

    def __str__(self) -> str:
        lip = "-" if self.lip_sync is None else f"{self.lip_sync:+.3f}"
        usual = "-" if self.lip_sync_usual is None else f"{self.lip_sync_usual:+.3f}"
        return (
            f"{self.seconds:.0f} s: {self.fps:.1f} fps, gap {self.gap:.2f} s, sound {100 * self.sound:.1f} %"
            f" ({self.concealed} made up, {100 * self.filled:.1f} % filled), lip sync {usual} (worst {lip}),"
            f" {self.rate / 1e6:.2f} Mbit/s"
        )


@dataclass(slots=True)
class Record:
    """Readings of `time.monotonic()` and figures, and at the end the pictures."""

    readings: list[tuple[float, PeerFigures]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def course(self, since: float, until: float) -> Course:
        """Of that stretch, to the nearest readings."""
        inside = [(at, figures) for at, figures in self.readings if since - SAMPLE <= at <= until + SAMPLE]
        (began, first), (ended, last) = inside[0], inside[-1]
        pictures = [each for each in self.seen if began <= each.time <= ended]
        played = last.audio_slots_played - first.audio_slots_played
        concealed = last.audio_slots_concealed - first.audio_slots_concealed
        lips = [each.lip_sync for _, each in inside[1:] if each.lip_sync is not None]
        seconds = ended - began
        return Course(
            seconds=seconds,
            fps=len(pictures) / seconds,
            gap=_longest([began, *(each.time for each in pictures), ended]),
            sound=played / max(1, played + concealed),
            filled=min(1.0, (played + concealed) / (seconds * SLOTS)),
            concealed=concealed,
            lip_sync=max(lips, key=abs, default=None),
            lip_sync_usual=statistics.median(lips) if lips else None,
            rate=_bits(last.stats.video_received, first.stats.video_received) / seconds,
            unread=_unread(pictures),
        )

    def reached(self, rate: float, since: float, span: float = 1.0) -> float | None:
        """Seconds after `since` from which on the video received has `rate` bits a second over `span`."""
        for (before, first), (after, last) in _spans(self.readings, span):
            received = _bits(last.stats.video_received, first.stats.video_received)
            if before >= since and received / (after - before) >= rate:
                return before - since
        return None


@contextlib.asynccontextmanager
async def recording(end: NetEnd) -> AsyncIterator[Record]:
    """Reads the figures of that end until it is left; the pictures are those since `end.look()`."""
    record = Record()

    async def read() -> None:
        while True:
            record.readings.append((time.monotonic(), await end.figures()))
            await asyncio.sleep(SAMPLE)

    task = asyncio.create_task(read())
    try:
        yield record
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    record.readings.append((time.monotonic(), await end.figures()))
    record.seen = await end.seen()


def _spans(
    readings: list[tuple[float, PeerFigures]], span: float
) -> Iterable[tuple[tuple[float, PeerFigures], tuple[float, PeerFigures]]]:
    for index, before in enumerate(readings):
        after = next((each for each in readings[index:] if each[0] >= before[0] + span), None)
        if after is not None:
            yield before, after


def _bits(last: StreamStats, first: StreamStats) -> int:
    return 8 * (last.bytes - first.bytes)


def _longest(times: list[float]) -> float:
    return max(after - before for before, after in pairwise(times))


def _unread(pictures: list[Seen]) -> int:
    numbers = [each.number for each in pictures]
    backwards = sum(a is not None and b is not None and b < a for a, b in pairwise(numbers))
    return numbers.count(None) + backwards
