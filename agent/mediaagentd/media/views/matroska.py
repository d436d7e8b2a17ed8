"""A Matroska file of packets that were encoded elsewhere. Used by one thread."""

from __future__ import annotations

import heapq
import io
import struct
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from mediaagentd.media.types import AUDIO_CLOCK, VIDEO_CLOCK, AudioFrame, VideoCodec, VideoFrame

REPAIRED = 2.0
"""Seconds after which no repair of a loss comes any more."""

NUDGE = 48
"""Ticks by which a packet of sound is moved at the most: a millisecond, a twentieth of its length."""

FRESH = 3.0
"""Seconds after a picture in which sound follows it."""

AKIN = 1.0
"""Seconds that sound may be off its pictures; more is a far end whose clock was set."""

SLACK = 5.0
"""Seconds that a packet may be off its time of arrival; more is a stream that has begun anew."""

_OFTEN = {
    "cluster_time_limit": "1000",  # milliseconds
    "flush_packets": "1",
    "max_interleave_delta": str(round(1.5 * REPAIRED * 1_000_000)),  # microseconds
}
"""A file is written once a second, and does not wait for sound that does not come: what is not written yet is
lost with the process.
"""

_STEP = VIDEO_CLOCK // 1000
"""Ticks from picture to picture at the least: the file counts milliseconds."""


class DamagedError(Exception):
    """A keyframe that does not say what it is."""


class MatroskaFile:
    """Begins with a keyframe, or with a packet of sound: then it is one of sound alone. Packets are placed by
    their time of arrival at the first one of each kind, then by their own clocks, which for one far end
    follow what it says of them. Sound waits for `REPAIRED` seconds, since what was lost comes late, and a
    file takes nothing that is older than what it has.

    Raises: DamagedError, and nothing is written; OSError, av.FFmpegError.
    """

    def __init__(self, path: Path, first: VideoFrame | AudioFrame, *, with_sound: bool) -> None:
        source = _described_by(first) if isinstance(first, VideoFrame) else None
        self._container = av.open(str(path), "w", format="matroska", options=_OFTEN)
        self._video: Stream | None = None
        if source is not None:
            with source:
                self._video = self._container.add_stream_from_template(source.streams.video[0])
        self._audio = self._container.add_stream("libopus", rate=AUDIO_CLOCK) if with_sound else None
        self._began = first.captured
        self._origins: dict[type, int] = {}
        self._zero: tuple[float, float] | None = None  # the beginning by the far end's clock; seen when
        self._shown = -_STEP
        self._sound: list[tuple[int, bytes]] = []
        self._newest = self._written = -1

    def write(self, item: VideoFrame | AudioFrame) -> None:
        """A picture of the codec that it began with, or a packet of sound."""
        if isinstance(item, VideoFrame):
            self._shown = max(self._place(item, VIDEO_CLOCK), self._shown + _STEP)
            self._mux(self._video, self._shown, VIDEO_CLOCK, item.data, item.keyframe)
            now = self._shown * AUDIO_CLOCK // VIDEO_CLOCK
        else:
            place = self._place(item, AUDIO_CLOCK)
            self._newest = now = max(self._newest, place)
            heapq.heappush(self._sound, (place, item.data))
        self._write_sound(now - round(REPAIRED * AUDIO_CLOCK))

    def close(self) -> None:
        """Completes it. It is closed in any case: who removes an open one frees no place on the disk."""
        try:
            self._write_sound(self._newest)
        finally:
            self._container.close()

    def _place(self, item: VideoFrame | AudioFrame, clock: int) -> int:
        """Ticks from the beginning."""
        kind = type(item)
        late = max(0, round((item.captured - self._began) * clock))
        origin = self._origins.setdefault(kind, item.pts - late)
        if abs(item.pts - origin - late) > SLACK * clock:
            self._origins[kind] = item.pts - late
        if item.origin is not None:
            self._follow(item, item.origin)
        return max(0, item.pts - self._origins[kind])

    def _follow(self, item: VideoFrame | AudioFrame, captured: float) -> None:
        """Sound follows the pictures, by the time at which the far end says that it captured both: the clocks
        of its camera and its microphone drift apart by some tenths of a second an hour.
        """
        kind = type(item)
        if kind is VideoFrame:
            place = (item.pts - self._origins[kind]) / VIDEO_CLOCK
            self._zero = captured - place, item.captured
        elif self._zero is not None and item.captured - self._zero[1] < FRESH:
            ahead = item.pts - self._origins[kind] - (captured - self._zero[0]) * AUDIO_CLOCK
            if abs(ahead) < AKIN * AUDIO_CLOCK:
                self._origins[kind] += round(max(-NUDGE, min(NUDGE, ahead)))

    def _write_sound(self, until: int) -> None:
        """What has been waiting, each time once."""
        while self._sound and self._sound[0][0] <= until:
            place, data = heapq.heappop(self._sound)
            if place > self._written:
                self._written = place
                self._mux(self._audio, place, AUDIO_CLOCK, data, keyframe=True)

    def _mux(self, stream: Stream | None, place: int, clock: int, data: bytes, keyframe: bool) -> None:
        if stream is None:
            return
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = Fraction(1, clock)
        packet.pts = packet.dts = place
        packet.is_keyframe = keyframe
        self._container.mux(packet)


def _described_by(keyframe: VideoFrame) -> InputContainer:
    """The keyframe as a file of its own, whose stream describes the codec: size, parameter sets.

    Raises: DamagedError.
    """
    try:
        if keyframe.codec is VideoCodec.H264:
            source = av.open(io.BytesIO(keyframe.data), "r", format="h264")
        else:
            source = av.open(io.BytesIO(_ivf(keyframe.data)), "r", format="ivf")
    except (av.FFmpegError, struct.error) as error:
        raise DamagedError(str(error)) from None
    if not source.streams.video[0].codec_context.width:
        source.close()
        raise DamagedError("no size in it")
    return source


def _ivf(data: bytes) -> bytes:
    """A keyframe of VP8 with a header of 32 bytes, and in front of itself its length and timestamp. It tells
    its own size (RFC 6386 section 9.1), so that the header's may be that of the frame.
    """
    width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", data, 6))
    header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", width, height, 30, 1, 1, 0)
    return header + struct.pack("<IQ", len(data), 0) + data
