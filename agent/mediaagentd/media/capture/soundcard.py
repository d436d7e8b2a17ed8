"""Sound cards through PortAudio, which microphones and speakers share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import structlog

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.errors import NO_MICROPHONE, failed, not_found
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

_log = structlog.stdlib.get_logger()

Direction = Literal["input", "output"]

PATIENCE = 5.0
"""Seconds that one waits for another who opens or closes a card: its driver may hang for ever."""

_turn = threading.Lock()
_open: set[int] = set()
_is_stale = False


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


def has_sound(direction: Direction) -> bool:
    """Whether the sound system has a device of that kind."""
    try:
        sounddevice = load_sounddevice()
        with _alone():
            _look_anew(sounddevice)
            return bool(sounddevice.query_devices(kind=direction))
    except (Refused, ValueError, LookupError):
        return False
    except Exception as error:  # PortAudioError cannot be named before the library is there
        _log.info("media.devices.no_sound", error=str(error))
        return False


def expect_others() -> None:
    """Something was plugged in."""
    global _is_stale
    _is_stale = True


def open_stream(device: str, direction: Direction, *, stereo: bool, code: str) -> tuple[Any, int]:
    """A running stream of blocks of 20 ms at 48 kHz, and its channels: two when `stereo` is wanted and the
    card has them. `device` is a name, or "default"; `code` the source's of a refusal.

    Raises: Refused DEVICE_NOT_FOUND or DEVICE_FAILED.
    """
    global _is_stale
    sounddevice = load_sounddevice(code)
    with _alone():
        _look_anew(sounddevice)
        try:
            stream, channels = _opened(sounddevice, device, direction, stereo=stereo)
        except ValueError:  # the library's word for a name that matches nothing
            _is_stale = True
            raise not_found(device, code) from None
        except sounddevice.PortAudioError as error:
            _is_stale = True
            raise failed(device, str(error), code) from None
        _open.add(id(stream))
    return stream, channels


def close_stream(stream: Any) -> None:
    """Gives the card back; never raises."""
    with _alone():
        stream.close(ignore_errors=True)
        _open.discard(id(stream))


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


def _look_anew(sounddevice: Any) -> None:
    """PortAudio knows the cards of when it was initialized. After one was missing, and while none is in use,
    it looks again: a card that was plugged in later is found.
    """
    global _is_stale
    if _is_stale and not _open:
        sounddevice._terminate()
        sounddevice._initialize()
        _is_stale = False


@contextmanager
def _alone() -> Iterator[None]:
    """PortAudio is not made for two threads at once. One that hangs in it is not waited for for ever."""
    mine = _turn.acquire(timeout=PATIENCE)
    if not mine:
        _log.warning("sound_card_hangs")
    try:
        yield
    finally:
        if mine:
            _turn.release()
