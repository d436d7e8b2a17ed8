"""A recording: the packets of one user copied into Matroska files, nothing decoded or encoded."""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future
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


class Places:
    """Which recording writes which file; in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._writers: dict[Path, Recorder] = {}

    def take(self, place: Path, recorder: Recorder) -> Recorder | None:
        """Says who has had the place and is to complete it first. Raises: Refused FIELD_INVALID while another
        recording goes on there.
        """
        with self._lock:
            before = self._writers.get(place)
            if before is not None and not before.closing:
                raise field_invalid("file.path", "another recording is written there")
            self._writers[place] = recorder
            return before

    def add(self, place: Path, recorder: Recorder) -> None:
        """One more of that recording, which nobody has had."""
        with self._lock:
            self._writers[place] = recorder

    def leave(self, recorder: Recorder) -> None:
        """It writes nothing any more."""
        with self._lock:
            self._writers = {place: each for place, each in self._writers.items() if each is not recorder}


class Recorder:
    """Begins at the first keyframe, or with sound alone where none comes. A file holds what it began with:
    when pictures come to a file of sound, or in another codec, it goes on in a further one, `NAME-2.EXT`. On
    the loop; a thread opens and writes, for a file system may stand still. `opened` is done when the file is
    there, or Refused FIELD_INVALID; what comes meanwhile waits. `gone` is called in that thread when a file
    cannot be written any more.
    """

    def __init__(self, path: str, places: Places, *, with_sound: bool, gone: Callable[[], None]) -> None:
        self.opened: Future[None] = Future()
        self._asked = path
        self._places = places
        self.codec: VideoCodec | None = None
        """Of the pictures that it takes now; None before the first keyframe."""
        self._with_sound = with_sound
        self._gone = gone
        self._items: queue.Queue[_Item] = queue.Queue(QUEUE)
        self._synced = self._interrupted = self.closing = False
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
        self.closing = True
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

    def _run(self) -> None:
        try:
            path = _made(self._asked)
            abandoned = self.closing
            before = None if abandoned else self._places.take(path, self)
        except Exception as error:  # told to whoever waits for it
            self.opened.set_exception(error)
            return
        self.opened.set_result(None)
        if abandoned:
            return
        while before is not None and before.writing:
            before.join()
        self._write(path)
        self._places.leave(self)
        if not self.closing:
            self._gone()

    def _write(self, path: Path) -> None:
        writer = _Writer(path, self._with_sound, lambda further: self._places.add(further, self))
        try:
            os.truncate(path, 0)
            while (item := self._items.get()) is not _END:
                if not writer.take(item):
                    self._damaged.set()
        except Exception as error:  # of the disk mostly; whatever it is, it is told
            _log.error("recording_failed", error=f"{type(error).__name__}: {error}")
        try:
            writer.close()
        except (OSError, av.FFmpegError) as error:
            _log.error("recording_incomplete", error=str(error))


def _made(path: str) -> Path:
    """Makes the file; its real path. What is none could block whoever opens it.

    Raises: Refused FIELD_INVALID when it cannot be written.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK, 0o666)
    except OSError as error:
        raise field_invalid("file.path", error.strerror or "it cannot be written") from None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise field_invalid("file.path", "what is there is no file")
    finally:
        os.close(handle)
    return Path(os.path.realpath(path))


class _Writer:
    """In the recording's thread: one file after the other; `takes` hears of further ones."""

    def __init__(self, path: Path, with_sound: bool, takes: Callable[[Path], None]) -> None:
        self._path = path
        self._takes = takes
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
        self._takes(path)
        return MatroskaFile(path, first, with_sound=self._with_sound)
