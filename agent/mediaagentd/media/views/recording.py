"""A recording: the packets of one user copied into a Matroska file, nothing decoded or encoded."""

from __future__ import annotations

import contextlib
import heapq
import io
import queue
import struct
import threading
from fractions import Fraction
from pathlib import Path

import av
import structlog
from av.container import InputContainer
from av.stream import Stream

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.types import AUDIO_CLOCK, VIDEO_CLOCK, AudioFrame, VideoCodec, VideoFrame

_log = structlog.stdlib.get_logger()

QUEUE = 300
"""Packets that may wait for the disk: about four seconds; then packets are lost until a keyframe."""

JOIN = 2.0
"""Seconds to wait for the file's completion."""

REPAIRED = 2.0
"""Seconds after which no repair of a loss comes any more."""

NUDGE = 48
"""Ticks by which a packet of sound is moved at the most: a millisecond, a twentieth of its length."""

_END = None
_Item = VideoFrame | AudioFrame | None


class Recorder:
    """Begins at the first keyframe. Sound and picture are placed by their time of arrival at the first
    packet of each, then by their own clocks, and those of one far end by what it says of them. On the loop; a
    thread writes.
    """

    def __init__(self, path: str, *, with_sound: bool) -> None:
        self._path = Path(path)
        self._with_sound = with_sound
        self._check()
        self._items: queue.Queue[_Item] = queue.Queue(QUEUE)
        self._synced = False
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def video(self, frame: VideoFrame) -> bool:
        """Takes a picture; False when a keyframe is needed before the recording goes on. One that has failed
        needs nothing any more: it would ask the far end for keyframes without end.
        """
        if not self.writing:
            return True
        self._synced = self._synced or frame.keyframe
        if self._synced:
            try:
                self._items.put_nowait(frame)
            except queue.Full:
                self._synced = False
        return self._synced

    def audio(self, frame: AudioFrame) -> None:
        """Takes a packet of sound."""
        if self._synced and self._with_sound and self.writing:
            try:
                self._items.put_nowait(frame)
            except queue.Full:
                self._synced = False  # the disk does not keep up: sound goes on with the next keyframe
                _log.warning("recording_interrupted")

    def close(self) -> None:
        """Asks the thread to complete the file; a queue that is full loses its oldest packet for it."""
        while True:
            try:
                self._items.put_nowait(_END)
            except queue.Full:
                with contextlib.suppress(queue.Empty):
                    self._items.get_nowait()
            else:
                return

    @property
    def writing(self) -> bool:
        """Whether the file is not complete yet."""
        return self._thread.is_alive()

    def join(self) -> None:
        """Waits for the file's completion, for `JOIN` seconds at the most; not on the loop."""
        self._thread.join(JOIN)

    def _check(self) -> None:
        """Makes the file. Raises: Refused FIELD_INVALID when it cannot be written."""
        try:
            with self._path.open("wb"):
                pass
        except OSError as error:
            raise Refused(Reason.FIELD_INVALID, f"path: {error.strerror}") from None

    def _run(self) -> None:
        file: _File | None = None
        try:
            while (item := self._items.get()) is not _END:
                if file is None and isinstance(item, VideoFrame):
                    file = _File(self._path, item, self._with_sound)
                if file is not None:
                    file.write(item)
        except (OSError, av.FFmpegError, ValueError) as error:
            _log.error("recording_failed", error=str(error))
        finally:
            if file is not None:
                self._complete(file)

    @staticmethod
    def _complete(file: _File) -> None:
        try:
            file.close()
        except (OSError, av.FFmpegError) as error:
            _log.error("recording_incomplete", error=str(error))


class _File:
    """The open file. Sound waits for `REPAIRED` seconds, since what was lost comes late, and a file takes
    nothing that is older than what it has.
    """

    def __init__(self, path: Path, first: VideoFrame, with_sound: bool) -> None:
        self._container = av.open(str(path), "w", format="matroska")
        with _described_by(first) as source:
            self._video = self._container.add_stream_from_template(source.streams.video[0])
        self._audio = self._container.add_stream("libopus", rate=AUDIO_CLOCK) if with_sound else None
        self._codec = first.codec
        self._began = first.captured
        self._origins: dict[type, int] = {}
        self._zero: float | None = None  # the beginning, by the far end's clock
        self._sound: list[tuple[int, bytes]] = []
        self._newest = self._written = -1

    def write(self, item: VideoFrame | AudioFrame) -> None:
        if isinstance(item, VideoFrame):
            if item.codec is self._codec:
                self._mux(self._video, self._place(item, VIDEO_CLOCK), VIDEO_CLOCK, item.data, item.keyframe)
        elif self._audio is not None:
            place = self._place(item, AUDIO_CLOCK)
            self._newest = max(self._newest, place)
            heapq.heappush(self._sound, (place, item.data))
            self._write_sound(self._newest - round(REPAIRED * AUDIO_CLOCK))

    def close(self) -> None:
        self._write_sound(self._newest)
        self._container.close()

    def _place(self, item: VideoFrame | AudioFrame, clock: int) -> int:
        """Ticks from the beginning."""
        kind = type(item)
        late = max(0, round((item.captured - self._began) * clock))
        self._origins.setdefault(kind, item.pts - late)
        if item.origin is not None:
            self._follow(kind, item.origin, item.pts)
        return max(0, item.pts - self._origins[kind])

    def _follow(self, kind: type, captured: float, pts: int) -> None:
        """Sound follows the pictures, by the time at which the far end says that it captured both: the clocks
        of its camera and its microphone drift apart by some tenths of a second an hour.
        """
        if kind is VideoFrame:
            self._zero = captured - (pts - self._origins[kind]) / VIDEO_CLOCK
        elif self._zero is not None:
            ahead = pts - self._origins[kind] - (captured - self._zero) * AUDIO_CLOCK
            self._origins[kind] += round(max(-NUDGE, min(NUDGE, ahead)))

    def _write_sound(self, until: int) -> None:
        """What has been waiting, each time once."""
        while self._sound and self._sound[0][0] <= until:
            place, data = heapq.heappop(self._sound)
            if place > self._written and self._audio is not None:
                self._written = place
                self._mux(self._audio, place, AUDIO_CLOCK, data, True)

    def _mux(self, stream: Stream, place: int, clock: int, data: bytes, keyframe: bool) -> None:
        packet = av.Packet(data)
        packet.stream = stream
        packet.time_base = Fraction(1, clock)
        packet.pts = packet.dts = place
        packet.is_keyframe = keyframe
        self._container.mux(packet)


def _described_by(keyframe: VideoFrame) -> InputContainer:
    """The keyframe as a file of its own, whose stream describes the codec: size, parameter sets."""
    if keyframe.codec is VideoCodec.H264:
        return av.open(io.BytesIO(keyframe.data), "r", format="h264")
    # IVF: a header of 32 bytes, in front of the frame its length and timestamp. VP8 itself tells its
    # size (RFC 6386 section 9.1), so that the header's may be that of the frame.
    width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", keyframe.data, 6))
    header = struct.pack("<4sHH4sHHIIII", b"DKIF", 0, 32, b"VP80", width, height, 30, 1, 1, 0)
    frame = struct.pack("<IQ", len(keyframe.data), 0) + keyframe.data
    return av.open(io.BytesIO(header + frame), "r", format="ivf")
