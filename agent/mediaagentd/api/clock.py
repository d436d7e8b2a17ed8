"""From the machine's clock (monotonic seconds) to the wall clock that clients read."""

from __future__ import annotations

from collections.abc import Callable

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

STEP = 0.05
"""Seconds by which the two clocks may drift apart before the difference is taken anew. Within it the
difference is held, so that one instant always becomes the same timestamp; beyond it the wall clock was
set (a device without a battery learns the time after its start) and the new one is the truth."""


class WallClock:
    """Converts instants of `monotonic` to timestamps of `wall`, both in seconds."""

    def __init__(self, monotonic: Callable[[], float], wall: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._difference = wall() - monotonic()

    def timestamp(self, instant: float) -> Timestamp:
        """The instant as a timestamp, in whole microseconds."""
        difference = self._wall() - self._monotonic()
        if abs(difference - self._difference) > STEP:
            self._difference = difference
        stamp = Timestamp()
        stamp.FromMicroseconds(round((instant + self._difference) * 1e6))
        return stamp


def duration(seconds: float) -> Duration:
    """Seconds as a duration, in whole microseconds."""
    made = Duration()
    made.FromMicroseconds(round(seconds * 1e6))
    return made


def seconds(value: Duration) -> float:
    """A duration as seconds."""
    return value.seconds + value.nanos / 1e9
