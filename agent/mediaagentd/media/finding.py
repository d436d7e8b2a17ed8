"""What `auto` stands for, asked of udev and of the sound system: a driver or a server may never answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog

from mediaagentd.media import devices
from mediaagentd.media.workers import WorkerThreads

_log = structlog.stdlib.get_logger()

WITHIN = 5.0
"""Seconds that an answer may take. PortAudio opens every card, and a sound server may have to start."""

Names = tuple[str, ...]

NOTHING: Names = ("synthetic", "synthetic", "null")
"""What camera, microphone and speaker stand for while nobody answers."""


class Finding:
    """On the event loop. `asked` are the configured names of camera, microphone and speaker; one that is not
    `auto` stands for itself.
    """

    def __init__(self, asked: Names) -> None:
        self._asked = asked
        self._cameras, self._sound = _Question("cameras"), _Question("sound")

    @property
    def is_waiting(self) -> bool:
        """Whether one who was asked has not answered yet."""
        return self._cameras.is_waiting or self._sound.is_waiting

    async def find(self, now: Names) -> Names:
        """What they stand for; `now` is what they stood for so far. What was found real stays, there or not,
        but a camera that has gone gives way to another one.
        """
        wishes = [
            asked if name in devices.NOTHING_REAL else name
            for asked, name in zip(self._asked, now, strict=True)
        ]
        known = tuple(nothing if name == "auto" else name for nothing, name in zip(NOTHING, now, strict=True))
        gone = _has_gone(now[0])
        if gone:
            wishes[0] = self._asked[0]
        cameras, sound = await asyncio.gather(
            self._cameras.ask(lambda: (devices.resolve_camera(wishes[0]),), known[:1]),
            self._sound.ask(
                lambda: (devices.resolve_microphone(wishes[1]), devices.resolve_speaker(wishes[2])), known[1:]
            ),
        )
        return now[:1] + sound if gone and cameras[0] in devices.NOTHING_REAL else cameras + sound

    def close(self) -> None:
        """Nothing is asked any more."""
        self._cameras.close()
        self._sound.close()


def _has_gone(camera: str) -> bool:
    return camera.startswith("/") and not Path(camera).exists()


class _Question:
    """Asked again and again, though not while an answer is still to come."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._thread = WorkerThreads(1, f"find {what}")
        self._answer: asyncio.Future[Names] | None = None
        self.is_waiting = False

    async def ask(self, question: Callable[[], Names], otherwise: Names) -> Names:
        """The answer; `otherwise` when none comes within `WITHIN` seconds. Raises what the question does."""
        if self._answer is None or self._answer.done():
            self._answer = asyncio.get_running_loop().run_in_executor(self._thread, question)
            await asyncio.wait([self._answer], timeout=WITHIN)
            if not self._answer.done() and not self.is_waiting:
                _log.warning("devices_not_answered", what=self._what, seconds=WITHIN)
        self.is_waiting = not self._answer.done()
        return otherwise if self.is_waiting else self._answer.result()

    def close(self) -> None:
        """A thread that hangs is left alone."""
        self._thread.shutdown(wait=False)
