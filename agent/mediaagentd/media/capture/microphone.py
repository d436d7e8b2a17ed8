"""Makes an `AudioSource` of a blocking `AudioReader`, and the reader of a real sound card."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from mediaagentd.errors import Refused
from mediaagentd.media.capture import abandoned
from mediaagentd.media.capture.errors import NO_MICROPHONE, failed
from mediaagentd.media.capture.soundcard import CARDS
from mediaagentd.media.capture.types import AudioReader, Lost, RawSound, SoundSink
from mediaagentd.media.types import AUDIO_FRAME

JOIN = 1.0
"""Seconds to wait for a thread before it is abandoned."""


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
        if abandoned.hangs(f"microphone {self._name}"):
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
            abandoned.leave(f"microphone {self._name}", thread, JOIN)

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
        opened = CARDS.open(self._device, "input", stereo=self._stereo, code=NO_MICROPHONE)
        self._stream, self._channels = opened

    def read(self, _stopping: threading.Event) -> RawSound | None:
        """See `AudioReader.read`; PortAudio paces it."""
        data, _overflowed = self._stream.read(AUDIO_FRAME)
        samples = np.frombuffer(data, np.int16)
        return RawSound(samples if self._channels == 1 else samples.reshape(-1, 2), time.monotonic())

    def close(self) -> None:
        """See `AudioReader.close`."""
        stream, self._stream = self._stream, None
        if stream is not None:
            CARDS.close(stream)
