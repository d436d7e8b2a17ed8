"""Plays the sound of all remote users, 20 ms at a time: in a thread while there are any, or, where nobody
listens, in thought.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from mediaagentd.errors import Refused
from mediaagentd.media.capture import abandoned
from mediaagentd.media.capture.errors import NO_SPEAKER, failed
from mediaagentd.media.pause import pause
from mediaagentd.media.playout import sync
from mediaagentd.media.playout.beat import Beat
from mediaagentd.media.playout.delay import SLOT
from mediaagentd.media.playout.mixer import Voice, mix
from mediaagentd.media.playout.processing import Unprocessed, VoiceProcessor
from mediaagentd.media.playout.sinks import NullSink, SoundSink
from mediaagentd.media.types import AudioFrame

_log = structlog.stdlib.get_logger()

REOPEN = 2.0
"""Seconds from a sink's failure to the next attempt, as of a microphone."""

BEHIND = 3.0
"""Seconds of slots to catch up on where nobody listens; what has had no packet for longer begins anew."""

HANGS = 60.0
"""Seconds without a sign of the thread after which it is taken to hang in its driver for ever. Clients of a
sound server that stands still come back by themselves, after 30 s at the latest; and a second thread is not
let into PortAudio lightly, which is made for one.
"""

JOIN = 1.0
"""Seconds to wait for the thread before it is abandoned."""

UNREAD = 0.04
"""Seconds that what has come may wait to be read; the slots of so long are not settled yet where nobody
listens.
"""


@dataclass(frozen=True, slots=True)
class Slots:
    """Slots of 20 ms of one user's sound so far; `lag`: seconds since what is heard was captured, by the
    far end's clock.
    """

    played: int = 0
    concealed: int = 0
    lag: float | None = None


class Playout:
    """All methods are called on the event loop and return at once, except `close`.

    The thread runs, and the sink is open, while there are users. A sink that fails is opened anew after
    `REOPEN`, one whose driver hangs is left alone for another; the call goes on meanwhile. For a sink that
    wants no sound there is no thread, since nothing has to be done in time: what was due is pulled, each
    slot for its time, whenever somebody looks. `processor` is shown what is played. `read` is called, in the
    thread, before each block is made: packets may wait to be read. Of threads that hang in the driver of the
    sink with that name there are `abandoned.MOST` at the most; each keeps its sink.
    """

    def __init__(
        self,
        make: Callable[[], SoundSink],
        processor: VoiceProcessor | None = None,
        name: str = "speaker",
        *,
        read: Callable[[], None] = lambda: None,
    ) -> None:
        self._make = make
        self._name = name
        self._read = read
        self._sink = self._chosen = make()
        self._processor = processor or Unprocessed()
        self._told_lost = False
        self._lock = threading.Lock()
        self._voices: dict[str, Voice] = {}
        self._due = self._beat = 0.0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, user_id: str) -> None:
        """From now on this user is heard."""
        with self._lock:
            self._catch_up(time.monotonic() - UNREAD)
            begins = not self._voices
            self._voices.setdefault(user_id, Voice())
        if begins and self._chosen.wants_sound:
            self._begin()

    def remove(self, user_id: str) -> None:
        """No longer."""
        with self._lock:
            voice = self._voices.pop(user_id, None)
            if not self._voices:
                self._stopping.set()
        if voice is not None:
            voice.close()

    def push(self, user_id: str, frame: AudioFrame) -> None:
        """A packet of that user's sound, which arrived when `frame.captured` says; ignored for a user who is
        not heard.
        """
        with self._lock:
            voice = self._voices.get(user_id)
            if voice is not None:
                self._catch_up(frame.captured)
                voice.buffer.push(frame, frame.captured)

    def slots(self, user_id: str) -> Slots:
        """How that user's slots were filled."""
        with self._lock:
            voice = self._voices.get(user_id)
            if voice is None:
                return Slots()
            self._catch_up(time.monotonic() - UNREAD)
            buffer = voice.buffer
            return Slots(buffer.played, buffer.concealed, buffer.lag)

    def follow_pictures(self, user_id: str, lag: float | None) -> float | None:
        """Pictures of that user have that lag, None when nobody sees any; returns what they are to follow."""
        with self._lock:
            voice = self._voices.get(user_id)
            if voice is None:
                return None
            self._catch_up(time.monotonic() - UNREAD)
            voice.buffer.least_lag = sync.least_sound_lag(lag)
            return voice.buffer.lag_to_follow

    def close(self) -> None:
        """Ends the thread and frees the sink; blocks for `JOIN` seconds at the most."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(JOIN)
        self._chosen.close()

    def _begin(self) -> None:
        self._beat = time.monotonic()
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(self._stopping, self._thread), name="playout", daemon=True
        )
        self._thread.start()

    def _run(self, stopping: threading.Event, previous: threading.Thread | None) -> None:
        if previous is not None:
            abandoned.leave(self._name, previous, JOIN)
            if previous.is_alive():  # it hangs in its driver, and keeps its sink
                self._chosen = self._make()
        sink = self._chosen
        while not stopping.is_set():
            self._beat = time.monotonic()
            try:
                self._open(sink, stopping)
                self._play(sink, stopping)
            except Refused as refused:
                self._fail(refused.message, stopping)
            except Exception as error:  # whatever it is: the next attempt may do better than none
                self._fail(f"{type(error).__name__}: {error}", stopping)
            sink.rest()
            pause(REOPEN, stopping)

    def _open(self, sink: SoundSink, stopping: threading.Event) -> None:
        if abandoned.hangs(self._name):
            raise failed(self._name, "its driver does not answer", NO_SPEAKER)
        sink.open()  # may hang, and come back when the next call has another one
        with self._lock:
            self._sink = self._sink if stopping.is_set() else sink

    def _play(self, sink: SoundSink, stopping: threading.Event) -> None:
        beat = Beat(time.monotonic())
        while pause(beat.due - time.monotonic(), stopping):
            at = beat.strike(time.monotonic(), sink.room())
            if at is not None:
                self._tick(sink, at)

    def _tick(self, sink: SoundSink, now: float) -> None:
        self._beat = now
        self._read()
        with self._lock:
            slots = [(voice, voice.buffer.pull(now)) for voice in self._voices.values()]
            sounds = [voice.samples(slot, sink.channels) for voice, slot in slots]
        block = mix([sound for sound in sounds if sound is not None], sink.channels)
        if sink.write(block):
            self._processor.played(block)
        if self._told_lost:
            self._told_lost = False
            _log.info("speaker_found")

    def _catch_up(self, now: float) -> None:
        """Pulls what was due, under the lock, where no thread does. One that hangs is followed by another."""
        if now - self._beat > HANGS and self._voices and self._chosen.wants_sound:
            self._tell("its driver does not answer")
            self._stopping.set()
            self._begin()
        if self._sink.wants_sound:
            return
        until = min(now, self._due + BEHIND)
        while self._due <= until:
            for voice in self._voices.values():
                voice.buffer.pull(self._due)
            self._due += SLOT
        if self._due <= now:
            for voice in self._voices.values():
                voice.buffer.rest()
            self._due = now

    def _fail(self, why: str, stopping: threading.Event) -> None:
        if stopping.is_set():  # nobody is heard by this thread any more
            return
        self._tell(why)
        with self._lock:
            self._sink, self._due = NullSink(), time.monotonic()

    def _tell(self, why: str) -> None:
        if not self._told_lost:
            self._told_lost = True
            _log.warning("speaker_failed", error=why)
