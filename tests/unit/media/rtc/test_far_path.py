"""Pictures over 1.2 s there and back with a fifth lost each way: the assembler, what stands in for lost
packets, and a sender that repeats what it is asked for, by a clock of their own.
"""

from __future__ import annotations

import heapq
import itertools
import random
from itertools import pairwise

from mediaagentd.media.rtc.assembler import Assembler, Requests
from mediaagentd.media.rtc.fec import FecDecoder, FecEncoder, Recovered, Source
from mediaagentd.media.rtc.payload import Payload

ROUND_TRIP, LOSS = 1.2, 0.2
SECONDS = 60.0


class Path:
    """Both ends and what is between them. Pictures of three packets, keyframes of twelve."""

    def __init__(self, share: float) -> None:
        self.released: list[float] = []
        self.asked = self.keyframes = 0
        self._rng = random.Random(7)
        self._share = share
        self._due: list[tuple[float, int, object]] = []
        self._order = itertools.count()
        self._assembler, self._decoder, self._encoder = Assembler(), FecDecoder(), FecEncoder()
        self._assembler.round_trip, self._assembler.protected = ROUND_TRIP, share > 0
        self._sent: dict[int, Source] = {}
        self._sequence = 0
        self._wants_keyframe, self._keyframe_at = True, -1.0

    def run(self) -> None:
        picture, now = 0, 0.0
        while picture < 30 * SECONDS:
            deadline = self._assembler.deadline()
            times = [picture / 30, self._due[0][0] if self._due else SECONDS]
            now = max(now, min(times if deadline is None else [*times, deadline]))
            if self._due and self._due[0][0] <= now:
                self._arrives(heapq.heappop(self._due)[2], now)
            elif picture / 30 <= now:
                self._send_picture(picture, now)
                picture += 1
            self._ask(now)

    def _passes(self, what: object, now: float) -> None:
        if self._rng.random() >= LOSS:
            heapq.heappush(self._due, (now + ROUND_TRIP / 2, next(self._order), what))

    def _send_picture(self, number: int, now: float) -> None:
        key = self._wants_keyframe and now > self._keyframe_at + 0.5
        if key:
            self._wants_keyframe, self._keyframe_at = False, now
            self.keyframes += 1
        count = 12 if key else 3
        for index in range(count):
            source = Source(int(index == count - 1), 96, 3000 * number, bytes([key, key and index == 0, 1]))
            self._sent[self._sequence] = source
            self._passes(Recovered(self._sequence, source), now)
            self._encoder.add(self._sequence, source, self._share)
            self._sequence += 1
        for repair in self._encoder.repairs():
            self._passes(repair, now)

    def _arrives(self, what: object, now: float) -> None:
        match what:
            case bytes():
                found = self._decoder.repair(what)
            case Recovered(sequence, source):
                found = [what, *self._decoder.source(sequence, source)]
            case Requests(lost, keyframe):
                self._wants_keyframe = self._wants_keyframe or keyframe
                for number in lost:
                    self._passes(Recovered(number, self._sent[number]), now)
                return
        for sequence, source in found:
            payload = Payload(source.payload, opens=bool(source.payload[1]), key=bool(source.payload[0]))
            pictures = self._assembler.push(sequence, source.timestamp, bool(source.marker), payload, now)
            self.released += [now] * len(pictures)

    def _ask(self, now: float) -> None:
        requests = self._assembler.poll(now)
        self.asked += len(requests.lost)
        if requests.lost or requests.keyframe:
            self._passes(requests, now)


def test_nearly_all_pictures_come_and_hardly_any_is_asked_for() -> None:
    path = Path(share=0.5)
    path.run()
    assert len(path.released) > 29 * (SECONDS - 2.0)
    assert max(late - early for early, late in pairwise(path.released)) < 1.5
    assert path.asked < 0.05 * path._sequence
    assert path.keyframes <= 2  # at the beginning


def test_repairs_alone_bring_them_late_but_bring_them() -> None:
    """A far end of another kind."""
    path = Path(share=0.0)
    path.run()
    assert len(path.released) > 20 * SECONDS
