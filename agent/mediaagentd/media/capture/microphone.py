"""Makes an `AudioSource` of a blocking `AudioReader`, and the reader of a real sound card."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture import abandoned
from mediaagentd.media.capture.errors import NO_MICROPHONE, failed, not_found
from mediaagentd.media.capture.types import AudioReader, Lost, RawSound, SoundSink
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

JOIN = 1.0
"""Seconds to wait for a thread before it is abandoned."""


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


def channels_of(device: str | None, kind: str, *, stereo: bool) -> int:
    """Channels to open that sound card with: two when wanted and there; `kind` is "input" or "output".

    Raises: ValueError for a name that matches nothing, sounddevice.PortAudioError.
    """
    if not stereo:
        return 1
    return min(2, int(load_sounddevice().query_devices(device, kind)[f"max_{kind}_channels"]))


class ThreadedMicrophone:
    """A microphone that reads in its own thread; `stop` abandons a thread that does not end, `abandoned.MOST`
    of them at the most.
    """

    def __init__(self, factory: Callable[[], AudioReader], name: str) -> None:
        self._factory = factory
        self._name = name
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, sink: SoundSink, lost: Lost) -> None:
        """See `AudioSource.start`."""
        assert self._thread is None, "started twice"
        if abandoned.hangs(self._name):
            lost(failed(self._name, "its driver does not answer", NO_MICROPHONE))
            return
        self._stopping = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(sink, lost, self._stopping), name=f"microphone {self._name}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """See `AudioSource.stop`."""
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            abandoned.leave(self._name, thread, JOIN)

    def _run(self, sink: SoundSink, lost: Lost, stopping: threading.Event) -> None:
        reader = self._factory()
        try:
            reader.open()
            while not stopping.is_set():
                sound = reader.read(stopping)
                if sound is not None and not stopping.is_set():
                    sink(sound)
        except Refused as refused:
            lost(refused)
        except Exception as error:  # whatever a driver throws is a failed microphone
            lost(failed(self._name, f"{type(error).__name__}: {error}", NO_MICROPHONE))
        finally:
            reader.close()


class SoundCardReader:
    """A microphone of the sound card through PortAudio; `device` is a name, or "default". In two channels
    when `stereo` is wanted and the card has them.
    """

    def __init__(self, device: str, *, stereo: bool = False) -> None:
        self._device = device
        self._stereo = stereo
        self._channels = 1
        self._stream: Any = None

    def open(self) -> None:
        """See `AudioReader.open`."""
        sounddevice = load_sounddevice()
        name = None if self._device == "default" else self._device
        try:
            self._channels = channels_of(name, "input", stereo=self._stereo)
            self._stream = sounddevice.RawInputStream(
                samplerate=AUDIO_CLOCK,
                channels=self._channels,
                dtype="int16",
                blocksize=AUDIO_FRAME,
                device=name,
                latency="low",
            )
            self._stream.start()
        except ValueError:  # the library's word for a name that matches nothing
            raise not_found(self._device, NO_MICROPHONE) from None
        except sounddevice.PortAudioError as error:
            raise failed(self._device, str(error), NO_MICROPHONE) from None

    def read(self, _stopping: threading.Event) -> RawSound | None:
        """See `AudioReader.read`; PortAudio paces it."""
        data, _overflowed = self._stream.read(AUDIO_FRAME)
        samples = np.frombuffer(data, np.int16)
        return RawSound(samples if self._channels == 1 else samples.reshape(-1, 2), time.monotonic())

    def close(self) -> None:
        """See `AudioReader.close`."""
        if self._stream is not None:
            self._stream.close(ignore_errors=True)
