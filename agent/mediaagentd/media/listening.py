"""The microphone while it is wanted: started, watched, started again when it has failed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

import structlog

from mediaagentd.errors import Refused
from mediaagentd.lending import stop_polling
from mediaagentd.media.capture.errors import NO_MICROPHONE, failed
from mediaagentd.media.capture.types import AudioSource, RawSound, SoundSink

_log = structlog.stdlib.get_logger()

FIRST_SOUND = 5.0
"""Seconds until the first sound: a sound server may have to start."""

STALL = 2.0
"""Seconds without sound after which a microphone has failed; its thread may hang in a read for ever."""

REOPEN = 2.0
"""Seconds between two attempts."""


class Listening:
    """On the event loop. `make` gives the microphone, None when there is to be none; it is started and
    stopped in the thread of `microphones`. `take` is called in the microphone's own. `lost` is called once
    for each time that it is wanted and fails, `found` when one that was told lost works.
    """

    def __init__(
        self,
        microphones: Executor,
        *,
        make: Callable[[], AudioSource | None],
        take: SoundSink,
        lost: Callable[[Refused], None],
        found: Callable[[], None],
    ) -> None:
        self._microphones = microphones
        self._make = make
        self._take = take
        self._lost = lost
        self._found = found
        self._loop = asyncio.get_running_loop()
        self._wanted = self._told_now = self._told_lost = False
        self._source: AudioSource | None = None
        self._blocks = self._seen = 0
        self._timer: asyncio.TimerHandle | None = None

    def want(self, wanted: bool) -> None:
        """Begins or ends."""
        if wanted == self._wanted:
            return
        self._wanted, self._told_now = wanted, False
        if wanted:
            self._start()
        else:
            self._stop()

    def _start(self) -> None:
        self._timer = None
        try:
            source = self._make()
        except Refused as refused:
            self._loop.call_soon(self._on_lost, None, refused)
            return
        if source is None:
            return
        self._source, self._blocks, self._seen = source, 0, 0

        def take(sound: RawSound) -> None:
            """In the microphone's thread; one that was given up may still deliver."""
            if self._source is source:
                self._blocks += 1
                self._take(sound)
                if self._blocks == 1:
                    self._loop.call_soon_threadsafe(self._on_sound, source)

        def lost(refused: Refused) -> None:
            self._loop.call_soon_threadsafe(self._on_lost, source, refused)

        self._microphones.submit(source.start, take, lost)
        self._timer = self._loop.call_later(FIRST_SOUND, self._watch)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        source, self._source = self._source, None
        if source is not None:
            self._microphones.submit(source.stop)
            stop_polling(self._loop)  # which the microphone's thread has done

    def _watch(self) -> None:
        if self._blocks == self._seen:
            self._on_lost(self._source, failed("microphone", "no sound comes", NO_MICROPHONE))
            return
        self._seen = self._blocks
        self._timer = self._loop.call_later(STALL, self._watch)

    def _on_sound(self, source: AudioSource) -> None:
        if self._source is source and self._told_lost:
            self._told_lost = self._told_now = False
            _log.info("microphone_found")
            self._found()

    def _on_lost(self, source: AudioSource | None, refused: Refused) -> None:
        if self._source is not source or not self._wanted:
            return
        self._stop()
        self._timer = self._loop.call_later(REOPEN, self._start)
        if not self._told_now:
            self._told_now = self._told_lost = True
            _log.warning("microphone_failed", error=refused.message)
            self._lost(refused)
