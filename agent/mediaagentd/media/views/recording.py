"""A recording: the packets of one user copied into Matroska files, nothing decoded or encoded."""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import av
import structlog

from mediaagentd.errors import field_invalid
from mediaagentd.media.types import AudioFrame, VideoCodec, VideoFrame
from mediaagentd.media.views.matroska import DamagedError, MatroskaFile

_log = structlog.stdlib.get_logger()

QUEUE = 300
"""Packets that may wait for the disk: about four seconds; then packets are lost until a keyframe."""

PATIENCE = 3.0
"""Seconds of sound without a picture after which a file of sound alone is begun."""

JOIN = 2.0
"""Seconds to wait for the file's completion."""

_END = None
_Item = VideoFrame | AudioFrame | None


class Recorder:
    """Begins at the first keyframe, or with sound alone where none comes. A file holds what it began with:
    when pictures come to a file of sound, or in another codec, it goes on in a further one, `NAME-2.EXT`. On
    the loop; a thread writes. `gone` is called in that thread when a file cannot be written any more.
    """

    def __init__(
        self, path: str, *, with_sound: bool, gone: Callable[[], None], after: Recorder | None = None
    ) -> None:
        """`after` is completed first. Raises: Refused FIELD_INVALID when it cannot be written."""
        self.path = Path(os.path.realpath(path))
        self._check(path)
        self.places = {self.path}
        """Of all its files so far."""
        self._after = after
        self.codec: VideoCodec | None = None
        """Of the pictures that it takes now; None before the first keyframe."""
        self._with_sound = with_sound
        self._gone = gone
        self._items: queue.Queue[_Item] = queue.Queue(QUEUE)
        self._synced = self._interrupted = self._closing = False
        self._damaged = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recording", daemon=True)
        self._thread.start()

    def video(self, frame: VideoFrame) -> bool:
        """Takes a picture; False when a keyframe is needed before the recording goes on. One that has failed
        needs nothing any more, and one whose disk stands still nothing yet: it would ask the far end for
        keyframes all the while, of which everybody else has less.
        """
        if not self.writing:
            return True
        if self._damaged.is_set() or frame.codec is not self.codec:
            self._damaged.clear()
            self._synced = False
        if frame.keyframe:
            self.codec, self._synced = frame.codec, True
        if self._synced:
            self._synced = self._put(frame)
        return self._synced or self._items.qsize() > QUEUE // 2

    def audio(self, frame: AudioFrame) -> None:
        """Takes a packet of sound."""
        if self._with_sound and self.writing:
            self._put(frame)

    def close(self) -> None:
        """Asks the thread to complete the file; a queue that is full loses its oldest packet for it."""
        self._closing = True
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

    def _put(self, frame: VideoFrame | AudioFrame) -> bool:
        try:
            self._items.put_nowait(frame)
        except queue.Full:
            if not self._interrupted:
                _log.warning("recording_interrupted")
            self._interrupted = True
            return False
        self._interrupted = False
        return True

    def _check(self, path: str) -> None:
        """Makes the file. What is none could block whoever opens it."""
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
        except OSError as error:
            raise field_invalid("file.path", error.strerror or "it cannot be written") from None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise field_invalid("file.path", "what is there is no file")
        finally:
            os.close(handle)

    def _run(self) -> None:
        after, self._after = self._after, None
        while after is not None and after.writing:
            after.join()
        writer = _Writer(self.path, self._with_sound, self.places)
        try:
            os.truncate(self.path, 0)
            while (item := self._items.get()) is not _END:
                if not writer.take(item):
                    self._damaged.set()
        except Exception as error:  # of the disk mostly; whatever it is, it is told
            _log.error("recording_failed", error=f"{type(error).__name__}: {error}")
        try:
            writer.close()
        except (OSError, av.FFmpegError) as error:
            _log.error("recording_incomplete", error=str(error))
        if not self._closing:
            self._gone()


class _Writer:
    """In the recording's thread: one file after the other."""

    def __init__(self, path: Path, with_sound: bool, places: set[Path]) -> None:
        self._path = path
        self._places = places
        self._with_sound = with_sound
        self._begun = False
        self._file: MatroskaFile | None = None
        self._codec: VideoCodec | None = None
        self._early: list[AudioFrame] = []

    def take(self, item: VideoFrame | AudioFrame) -> bool:
        """False for a picture that nothing can begin with. Raises: OSError, av.FFmpegError."""
        if isinstance(item, VideoFrame):
            if (self._file is None or item.codec is not self._codec) and not self._begin(item):
                return False
        elif self._file is None and not self._begin_without_pictures(item):
            return True
        assert self._file is not None
        self._file.write(item)
        return True

    def close(self) -> None:
        """Completes the file. Raises: OSError, av.FFmpegError."""
        file, self._file = self._file, None
        if file is None and self._early:
            file = self._next(self._early[0])
            for early in self._early:
                file.write(early)
        if file is not None:
            file.close()

    def _begin(self, picture: VideoFrame) -> bool:
        if not picture.keyframe:
            return False
        self._early.clear()  # it was before the first picture
        if self._file is not None:
            self._file.close()
            self._file = None
        try:
            self._file = self._next(picture)
        except DamagedError as error:
            _log.warning("recording_damaged_keyframe", error=str(error))
            return False
        self._codec, self._begun = picture.codec, True
        return True

    def _begin_without_pictures(self, sound: AudioFrame) -> bool:
        self._early.append(sound)
        if sound.captured - self._early[0].captured < PATIENCE:
            return False
        self._file, self._codec = self._next(self._early[0]), None
        self._begun = True
        for early in self._early[:-1]:
            self._file.write(early)
        self._early.clear()
        return True

    def _next(self, first: VideoFrame | AudioFrame) -> MatroskaFile:
        path, number = self._path, 2
        while self._begun and path.exists():
            path, number = self._path.with_name(f"{self._path.stem}-{number}{self._path.suffix}"), number + 1
        self._places.add(path)
        return MatroskaFile(path, first, with_sound=self._with_sound)
