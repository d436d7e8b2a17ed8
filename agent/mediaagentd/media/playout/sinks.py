"""Where the mixed sound goes: speaker, WAV file, nowhere. Used by one thread at a time."""

from __future__ import annotations

import contextlib
import wave
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from mediaagentd.errors import Refused
from mediaagentd.media.capture.errors import NO_SPEAKER, failed, from_os_error
from mediaagentd.media.capture.soundcard import CARDS, load_sounddevice
from mediaagentd.media.capture.types import Samples
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

WAV_LIMIT = 3600.0
"""Seconds of sound that a WAV file takes; what comes after is not written (a disk must not fill up)."""


class SoundSink(Protocol):
    """Takes 20 ms of sound at a time."""

    wants_sound: bool
    """False: nothing needs to be decoded, `write` is not called."""

    channels: int
    """Of the samples that it takes: one, or two in (`AUDIO_FRAME`, 2); known once it is open."""

    def open(self) -> None:
        """Raises: Refused."""

    def room(self) -> int | None:
        """Samples that a sound card would take now; None of what takes all. Raises: Refused."""

    def write(self, samples: Samples) -> bool:
        """Never waits: what has no room is dropped. Whether it is played. Raises: Refused."""

    def rest(self) -> None:
        """Nobody is heard for now, or it has failed: gives a device back until it is opened again. Never
        raises.
        """

    def close(self) -> None:
        """Frees it for good; never raises."""


class NullSink:
    """Takes nothing."""

    wants_sound = False
    channels = 1

    def open(self) -> None:
        """Nothing to open."""

    def room(self) -> int | None:
        """For everything."""
        return None

    def write(self, samples: Samples) -> bool:  # noqa: ARG002 # the port's
        """Never called."""
        return False

    def rest(self) -> None:
        """Nothing to give back."""

    def close(self) -> None:
        """Nothing to free."""


class WavSink:
    """Writes a file that is a valid WAV file at any time: its header is brought up to date with every write.
    One file for all that is heard; longer than `WAV_LIMIT` seconds it does not become.
    """

    wants_sound = True

    def __init__(self, path: Path, *, stereo: bool = False) -> None:
        self._path = path
        self.channels = 2 if stereo else 1
        self._handle: BinaryIO | None = None
        self._file: wave.Wave_write | None = None
        self._pending: list[bytes] = []
        self._blocks = 0
        self._broken = False

    def open(self) -> None:
        """Makes the file, or empties it; goes on with one that rested, but not with one that broke off."""
        if self._broken:
            raise failed(str(self._path), "writing it failed before", NO_SPEAKER)
        if self._file is not None:
            return
        try:
            self._handle = self._path.open("wb")
        except OSError as error:
            raise from_os_error(str(self._path), error, NO_SPEAKER) from None
        self._file = wave.open(self._handle, "wb")  # noqa: SIM115 # closed by close()
        self._file.setparams((self.channels, 2, AUDIO_CLOCK, 0, "NONE", ""))

    def room(self) -> int | None:
        """For everything: what is too much is left out."""
        return None

    def write(self, samples: Samples) -> bool:
        """Adds 20 ms."""
        self._blocks += 1
        if self._blocks * AUDIO_FRAME > WAV_LIMIT * AUDIO_CLOCK:
            return False
        self._pending.append(samples.astype("<i2").tobytes())
        if len(self._pending) >= 10:
            self._flush()
        return True

    def rest(self) -> None:
        """Writes what is waiting."""
        if self._file is not None and self._pending and not self._broken:
            with contextlib.suppress(Refused):
                self._flush()

    def close(self) -> None:
        """Completes the file."""
        self.rest()
        if self._file is not None:
            with contextlib.suppress(OSError):  # a full disk: what was written before stays
                self._file.close()
            self._file = None
        if self._handle is not None:
            with contextlib.suppress(OSError):
                self._handle.close()

    def _flush(self) -> None:
        assert self._file is not None
        data, self._pending = b"".join(self._pending), []
        try:
            self._file.writeframes(data)
        except OSError as error:
            self._broken = True
            raise failed(str(self._path), error.strerror or "write failed", NO_SPEAKER) from None


class SpeakerSink:
    """The sound card through PortAudio; `device` is a name, or "default". In two channels when `stereo` is
    wanted and the card has them.
    """

    wants_sound = True

    def __init__(self, device: str, *, stereo: bool = False) -> None:
        self._device = device
        self._stereo = stereo
        self.channels = 1
        self._stream: Any = None

    def open(self) -> None:
        """Opens the card. Raises: Refused DEVICE_NOT_FOUND or DEVICE_FAILED."""
        self._stream, self.channels = CARDS.open(self._device, "output", stereo=self._stereo, code=NO_SPEAKER)

    def room(self) -> int | None:
        """As PortAudio tells it; some drivers do in whole blocks."""
        try:
            return int(self._stream.write_available)
        except load_sounddevice().PortAudioError as error:
            raise failed(self._device, str(error), NO_SPEAKER) from None

    def write(self, samples: Samples) -> bool:
        """Plays 20 ms."""
        try:
            if self._stream.write_available < AUDIO_FRAME:
                return False
            self._stream.write(samples.tobytes())
        except load_sounddevice().PortAudioError as error:
            raise failed(self._device, str(error), NO_SPEAKER) from None
        return True

    def rest(self) -> None:
        """Gives the card back."""
        stream, self._stream = self._stream, None
        if stream is not None:
            CARDS.close(stream)

    def close(self) -> None:
        """The same."""
        self.rest()


def make_sink(name: str, *, stereo: bool = False) -> SoundSink:
    """The sink of a resolved speaker name; of two channels when `stereo` is wanted and it has them."""
    if name in ("null", "none"):
        return NullSink()
    if name.startswith("wav:"):
        return WavSink(Path(name.removeprefix("wav:")), stereo=stereo)
    return SpeakerSink(name, stereo=stereo)
