"""A recording: the packets of one user copied into a Matroska file, nothing decoded or encoded."""

from __future__ import annotations

import contextlib
import io
import queue
import struct
import threading
from fractions import Fraction
from pathlib import Path

import av
import structlog
from av.container import InputContainer

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.types import AUDIO_CLOCK, VIDEO_CLOCK, AudioFrame, VideoCodec, VideoFrame

_log = structlog.stdlib.get_logger()

QUEUE = 300
"""Packets that may wait for the disk: about four seconds; then packets are lost until a keyframe."""

JOIN = 2.0
"""Seconds to wait for the file's completion."""

_END = None
_Item = VideoFrame | AudioFrame | None


class Recorder:
    """Begins at the first keyframe. Sound and picture are placed by their time of arrival at the first
    packet of each, then by their own clocks. On the loop; a thread writes.
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
    """The open file."""

    def __init__(self, path: Path, first: VideoFrame, with_sound: bool) -> None:
        self._container = av.open(str(path), "w", format="matroska")
        with _described_by(first) as source:
            self._video = self._container.add_stream_from_template(source.streams.video[0])
        self._audio = self._container.add_stream("libopus", rate=AUDIO_CLOCK) if with_sound else None
        self._codec = first.codec
        self._began = first.captured
        self._origins: dict[bool, int] = {}

    def write(self, item: VideoFrame | AudioFrame) -> None:
        is_video = isinstance(item, VideoFrame)
        stream = self._video if is_video else self._audio
        if stream is None or (isinstance(item, VideoFrame) and item.codec is not self._codec):
            return
        clock = VIDEO_CLOCK if is_video else AUDIO_CLOCK
        late = max(0, round((item.captured - self._began) * clock))
        origin = self._origins.setdefault(is_video, item.pts - late)
        packet = av.Packet(item.data)
        packet.stream = stream
        packet.time_base = Fraction(1, clock)
        packet.pts = packet.dts = max(0, item.pts - origin)
        packet.is_keyframe = not isinstance(item, VideoFrame) or item.keyframe
        self._container.mux(packet)

    def close(self) -> None:
        self._container.close()


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
