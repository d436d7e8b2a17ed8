"""Voice processing between microphone and encoder: echo cancellation, noise suppression and gain control.

A microphone beside a speaker hears it: without echo cancellation everybody who talks to the device hears
himself, a round trip later. What runs is libwebrtc's audio processing module, as in a browser, through the
package `livekit` (the extra `aec`): its AEC3 finds out by itself how long sound takes from one driver to the
other, and follows when that changes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import structlog

from mediaagentd.media.capture.types import RawSound, Samples
from mediaagentd.media.types import AUDIO_CLOCK
from mediaagentd.media.voice import MISSING, NOTHING, Processing

_log = structlog.stdlib.get_logger()

PIECE = AUDIO_CLOCK // 100
"""Samples that the module takes at a time: 10 ms."""

IDLE = 0.25
"""Seconds without sound of the microphone after which it was off."""


class VoiceProcessor(Protocol):
    """Between the speaker and the microphone; `does`: what, at present."""

    @property
    def does(self) -> Processing:
        """Nothing, once it has failed."""

    def played(self, samples: Samples) -> None:
        """The speaker is given these 20 ms, as `SoundSink.write` is. In the thread of the playout."""

    def heard(self, sound: RawSound) -> RawSound:
        """What is to be sent of what the microphone gave. In the microphone's thread."""


class Unprocessed:
    """Leaves all as it is."""

    does = NOTHING

    def played(self, samples: Samples) -> None:
        """Of no interest."""

    def heard(self, sound: RawSound) -> RawSound:
        """The same."""
        return sound


class WebrtcProcessor:
    """libwebrtc's, whose own lock lets both threads in. While the microphone is off it stands still, and goes
    on where it was, with what it knew of the room. One that fails says so once, and does nothing more: a
    voice with its echo is better than none.

    Raises: ImportError where `livekit` is not installed.
    """

    def __init__(self, processing: Processing) -> None:
        from livekit import rtc

        self.does = processing
        self._make_frame = rtc.AudioFrame
        self._module = rtc.AudioProcessingModule(
            echo_cancellation=processing.echo_cancellation,
            noise_suppression=processing.noise_suppression,
            auto_gain_control=processing.gain_control,
            high_pass_filter=True,
        )
        self._latest = -IDLE
        self._unheard = 0  # blocks played since the microphone's last one
        self._surplus = 0  # of them, those of a time when it was off already

    def played(self, samples: Samples) -> None:
        """See `VoiceProcessor.played`."""
        if not self.does.echo_cancellation or time.monotonic() - self._latest > IDLE:
            return
        if self._surplus:
            self._surplus -= 1
            return
        self._unheard += 1
        self._run(self._module.process_reverse_stream, samples)

    def heard(self, sound: RawSound) -> RawSound:
        """See `VoiceProcessor.heard`."""
        if self.does is NOTHING:
            return sound
        now = time.monotonic()
        if now - self._latest > IDLE:
            self._surplus = max(0, self._unheard - 1)
        self._latest, self._unheard = now, 0
        return RawSound(self._run(self._module.process_stream, sound.samples), sound.captured)

    def _run(self, process: Callable[[Any], None], samples: Samples) -> Samples:
        """The samples after `process`, which changes 10 ms in place."""
        channels = samples.ndim  # one has no second dimension
        try:
            done = []
            for piece in (samples[:PIECE], samples[PIECE:]):
                frame = self._make_frame(bytearray(piece.tobytes()), AUDIO_CLOCK, channels, PIECE)
                process(frame)
                done.append(np.frombuffer(frame.data, np.int16))
        except Exception as error:  # whatever the library throws
            self.does = NOTHING
            _log.warning("voice_processing_failed", error=f"{type(error).__name__}: {error}")
            return samples
        return np.concatenate(done).reshape(samples.shape)


def make_processor(processing: Processing) -> VoiceProcessor:
    """What does that; where `livekit` is missing nothing is done, and a warning says so. Loads a library of
    30 MB: not for the event loop.
    """
    if not processing:
        return Unprocessed()
    try:
        return WebrtcProcessor(processing)
    except ImportError:
        _log.warning("voice_processing_missing", hint=MISSING)
    except Exception as error:  # whatever a library throws that does not fit the others
        _log.warning("voice_processing_failed", error=f"{type(error).__name__}: {error}")
    return Unprocessed()
