"""Sound cards through PortAudio, which microphones and speakers share."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import structlog

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture import alsa
from mediaagentd.media.capture.errors import NO_MICROPHONE, failed, not_found
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

_log = structlog.stdlib.get_logger()

Direction = Literal["input", "output"]

PATIENCE = 1.0
"""Seconds that one waits for another who opens or closes a card. Much less than a microphone may take for its
first sound (`listening.FIRST_SOUND`): a speaker whose driver hangs must not silence it.
"""

AGAIN, SELDOM = 10.0, 300.0
"""Seconds from one look for cards to the next, while nothing is plugged in: at first, and at the most, since
each pause is twice the one before. Each look takes 0.03 to 0.13 s, in which what the process writes to stderr
is lost (`sounddevice` keeps ALSA's complaints away), and may cost memory for good: PortAudio has ALSA load
its plugins and unload them; a library of one of them leaves 12 kB behind each time (pixman, Debian 12).
"""

IDLE = 60.0
"""Seconds in which nobody wanted a card, after which it begins anew: another call."""


def load_sounddevice(code: str = NO_MICROPHONE) -> Any:
    """The `sounddevice` module; loaded late, since a machine without sound needs none. `code`: the source's,
    of what is missing without it.

    Raises: Refused DEVICE_FAILED, naming the Debian package, when PortAudio is missing.
    """
    try:
        import sounddevice
    except OSError:
        raise Refused(
            Reason.DEVICE_FAILED,
            "PortAudio is missing: apt install libportaudio2",
            {"code": code} if code else {},
        ) from None
    return sounddevice


def present() -> str:
    """The kernel's sound cards: it changes when one is plugged in."""
    cards = Path("/proc/asound/cards")
    return cards.read_text() if cards.exists() else ""


class SoundCards:
    """What PortAudio knows. In any thread; PortAudio is not made for two at once, so they take turns, but one
    that hangs in a driver is not waited for.

    It knows the cards of when it was initialized. So after one was missing it is begun anew, while no stream
    is open and nobody else is inside: a card that was plugged in later is found.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._inside = 0
        self._hangs = False
        self._open: set[int] = set()
        self._is_stale = False
        self._known = ""
        self._looked = -math.inf
        self._pause = 0.0
        self._wanted = -math.inf

    def has(self, direction: Direction, device: str = "default") -> bool:
        """Whether there is a card of that kind, and of that name."""
        try:
            sounddevice = load_sounddevice()
            with self._alone():
                self._look_anew(sounddevice)
                return bool(sounddevice.query_devices(None if device == "default" else device, direction))
        except (Refused, ValueError, LookupError):
            return False
        except Exception as error:  # PortAudioError cannot be named before the library is there
            _log.info("media.devices.no_sound", error=str(error))
            return False

    def expect_others(self) -> None:
        """Something was plugged in, or may be ready by now."""
        self._is_stale, self._pause = True, 0.0

    def open(self, device: str, direction: Direction, *, stereo: bool, code: str) -> tuple[Any, int]:
        """A running stream of blocks of 20 ms at 48 kHz, and its channels: two when `stereo` is wanted and
        the card has them. `device` is a name, or "default"; `code` the source's of a refusal.

        Raises: Refused DEVICE_NOT_FOUND or DEVICE_FAILED.
        """
        sounddevice = load_sounddevice(code)
        with self._alone():
            try:
                self._look_anew(sounddevice)
                if self._open or self._inside > 1:
                    _check(sounddevice, device, direction, code)
                stream, channels = _opened(sounddevice, device, direction, stereo=stereo)
            except Refused:
                self._is_stale = True
                raise
            except ValueError:  # the library's word for a name that matches nothing
                self._is_stale = True
                raise not_found(device, code) from None
            except sounddevice.PortAudioError as error:
                self._is_stale = True
                raise failed(device, str(error), code) from None
            self._open.add(id(stream))
        return stream, channels

    def close(self, stream: Any) -> None:
        """Gives the card back; never raises."""
        with self._alone():
            stream.close(ignore_errors=True)
            self._open.discard(id(stream))

    def _look_anew(self, sounddevice: Any) -> None:
        """Raises: PortAudioError; the next look begins where this one ended."""
        now, cards = time.monotonic(), present()
        if cards != self._known or now - self._wanted > IDLE:
            self._pause = 0.0
        self._wanted = now
        if not self._is_stale or now - self._looked < self._pause or self._open or self._inside > 1:
            return
        self._known, self._looked = cards, now
        self._pause = min(SELDOM, max(AGAIN, 2 * self._pause))
        if sounddevice._initialized:
            sounddevice._terminate()
        sounddevice._initialize()
        self._is_stale = False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        mine = self._turn.acquire(timeout=0 if self._hangs else PATIENCE)
        if not mine and not self._hangs:
            self._hangs = True
            _log.warning("sound_card_hangs")
        self._enters(1)
        try:
            yield
        finally:
            self._enters(-1)
            if mine:
                self._hangs = False
                self._turn.release()

    def _enters(self, change: int) -> None:
        with self._count:
            self._inside += change


def _check(sounddevice: Any, device: str, direction: Direction, code: str) -> None:
    """Raises: Refused DEVICE_FAILED for what cannot be opened: see `alsa.py`."""
    known = sounddevice.query_devices(None if device == "default" else device, direction)
    is_alsa = sounddevice.query_hostapis(known["hostapi"])["name"] == "ALSA"
    if is_alsa and (why := alsa.trouble(known["name"], direction, AUDIO_CLOCK)):
        raise failed(device, why, code)


def _opened(sounddevice: Any, device: str, direction: Direction, *, stereo: bool) -> tuple[Any, int]:
    name = None if device == "default" else device
    channels = 1
    if stereo:
        channels = min(2, int(sounddevice.query_devices(name, direction)[f"max_{direction}_channels"]))
    make = sounddevice.RawInputStream if direction == "input" else sounddevice.RawOutputStream
    stream = make(
        samplerate=AUDIO_CLOCK,
        channels=channels,
        dtype="int16",
        blocksize=AUDIO_FRAME,
        device=name,
        latency="low",
    )
    try:
        stream.start()
    except sounddevice.PortAudioError:
        stream.close(ignore_errors=True)
        raise
    return stream, channels


CARDS = SoundCards()
"""This process's: PortAudio is one."""
