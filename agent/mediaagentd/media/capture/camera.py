"""Makes a `VideoSource` of a blocking `VideoReader`: a thread per camera, a watchdog, reopening.

A read of a device may block for ever and cannot be interrupted (a V4L2 DQBUF of a camera that was
pulled out). So each attempt reads in a thread of its own, and a supervisor that never touches the device
gives it up when nothing has come for `STALL` seconds: the thread is abandoned, what it may still deliver
is ignored, and the device is opened anew, unless too many threads hang in it already (`abandoned`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from mediaagentd.errors import Refused
from mediaagentd.media.capture import abandoned
from mediaagentd.media.capture.errors import failed
from mediaagentd.media.capture.types import Captured, CaptureSink, Lost, VideoReader

STALL = 2.0
"""Seconds without a picture after which a camera has failed."""

FIRST_PICTURE = 5.0
"""Seconds that opening may take until the first picture; webcams need up to two."""

REOPEN = 0.5
"""Seconds between two attempts to open a camera that was lost."""

JOIN = 1.0
"""Seconds to wait for a thread before it is abandoned."""


class ThreadedCamera:
    """A camera that reads in its own thread. `patience`: seconds in which a camera that stopped working
    is opened again before it is told lost.
    """

    def __init__(
        self,
        factory: Callable[[], VideoReader],
        name: str,
        *,
        patience: float = 3.0,
        stall: float = STALL,
        first_picture: float = FIRST_PICTURE,
    ) -> None:
        self._factory = factory
        self._name = name
        self._patience = patience
        self._stall = stall
        self._first_picture = first_picture
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None

    def probe(self) -> None:
        """See `VideoSource.probe`. While the camera runs it has proved itself."""
        if self._supervisor is not None:
            return
        attempt = _Attempt(self._factory(), self._name)
        attempt.start(lambda _picture: attempt.stop())
        if not attempt.ended.wait(self._first_picture):
            attempt.abandon()
            raise failed(self._name, f"no picture within {self._first_picture:g} s")
        attempt.abandon()
        if attempt.failure is not None:
            raise attempt.failure

    def start(self, sink: CaptureSink, lost: Lost) -> None:
        """See `VideoSource.start`."""
        assert self._supervisor is None, "started twice"
        self._stopping = threading.Event()
        self._supervisor = threading.Thread(
            target=self._supervise,
            args=(sink, lost, self._stopping),
            name=f"camera {self._name}",
            daemon=True,
        )
        self._supervisor.start()

    def stop(self) -> None:
        """See `VideoSource.stop`."""
        self._stopping.set()
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None and supervisor is not threading.current_thread():
            supervisor.join(JOIN * 2)

    def _supervise(self, sink: CaptureSink, lost: Lost, stopping: threading.Event) -> None:
        failing_since: float | None = None
        while not stopping.is_set():
            attempt = _Attempt(self._factory(), self._name)
            attempt.start(sink)
            self._watch(attempt, stopping)
            attempt.abandon()
            if stopping.is_set():
                return
            now = time.monotonic()
            if failing_since is None or attempt.pictures > 0:
                failing_since = now
            if now - failing_since >= self._patience:
                lost(attempt.failure or failed(self._name, "it stopped delivering pictures"))
                return
            stopping.wait(REOPEN)

    def _watch(self, attempt: _Attempt, stopping: threading.Event) -> None:
        """Returns when the attempt has ended, delivered nothing for too long, or is no longer wanted."""
        while not attempt.ended.is_set():
            limit = self._stall if attempt.pictures else self._first_picture
            left = attempt.latest + limit - time.monotonic()
            if left <= 0:
                attempt.failure = failed(self._name, f"no picture for {limit:g} s")
                return
            if attempt.ended.wait(min(left, 0.2)) or stopping.is_set():
                return


class _Attempt:
    """One opening of the device, in a thread that may have to be abandoned."""

    def __init__(self, reader: VideoReader, name: str) -> None:
        self._reader = reader
        self._name = name
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.ended = threading.Event()
        self.failure: Refused | None = None
        self.pictures = 0
        self.latest = time.monotonic()

    def start(self, sink: CaptureSink) -> None:
        if abandoned.hangs(self._name):
            self.failure = failed(self._name, "its driver does not answer")
            self.ended.set()
            return
        self._thread = threading.Thread(
            target=self._run, args=(sink,), name=f"capture {self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Asks the thread to end."""
        self._stopping.set()

    def abandon(self) -> None:
        """Waits a little for the thread's end and then leaves it alone."""
        self._stopping.set()
        if self._thread is not None:
            abandoned.leave(self._name, self._thread, JOIN)

    def _run(self, sink: CaptureSink) -> None:
        try:
            self._reader.open()
            while not self._stopping.is_set():
                picture = self._reader.read(self._stopping)
                if picture is not None and not self._stopping.is_set():
                    self._deliver(picture, sink)
        except Refused as refused:
            self.failure = refused
        except Exception as error:  # whatever a driver throws is a failed camera
            self.failure = failed(self._name, f"{type(error).__name__}: {error}")
        finally:
            self._reader.close()
            self.ended.set()

    def _deliver(self, picture: Captured, sink: CaptureSink) -> None:
        self.pictures += 1
        self.latest = time.monotonic()
        sink(picture)
