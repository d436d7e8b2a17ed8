"""Opus (RFC 6716) by libopus itself: concealment, in-band FEC and live settings, which FFmpeg's wrapper
does not offer. All calls take well under a millisecond. 48 kHz, 20 ms, one channel or two interleaved.
"""

from __future__ import annotations

import ctypes
import functools
import math

import numpy as np

from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.libraries import library
from mediaagentd.media.types import (
    AUDIO_CLOCK,
    AUDIO_FRAME,
    QUIET_LOSS,
    UNKNOWN_LOSS,
    VOICE,
    Hearing,
    SoundStyle,
)

_VOIP, _AUDIO = 2048, 2049
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_LOSS = 4002, 4010, 4012, 4014
_SET_CHANNELS, _AUTO = 4022, -1000
_FEC, _FEC_BUT_MUSIC = 1, 2
"""In-band FEC; 2: not at the price of the codec for voices being taken for music."""

_LARGEST = 1275
"""Bytes of the largest packet of one frame (RFC 6716 section 3.2.1)."""

COMPLEXITY = 5
"""Of 0 to 10. 10 takes half as long again for 0.07 of PESQ in speech, 3 a tenth less and 0.2 of it away."""

LEAST_LOSS, MOST_LOSS = 10, 40
"""Percent that the encoder is told where any is lost. Below ten it spends nothing on FEC at 32 kbit/s. Where
nothing is, FEC would cost a quarter of the encoder's time and 0.2 of PESQ.
"""

REPEATED_FROM, THRIFT_FROM, THRIFT = 5, 15, 0.75
"""Percent from which the packets go out three times: what exceeds the rate of a voice is halved. From the
second figure on that share of the rate of a voice is left.
"""

_POINTER, _INT = ctypes.c_void_p, ctypes.c_int


class OpusMissingError(RuntimeError):
    """There is no libopus: neither in the PyAV wheel nor on the system (`apt install libopus0`)."""


@functools.cache
def _opus() -> ctypes.CDLL:
    opus = library("opus")
    if opus is None:
        raise OpusMissingError("libopus is missing: apt install libopus0")
    opus.opus_encoder_create.restype = opus.opus_decoder_create.restype = _POINTER
    opus.opus_encoder_create.argtypes = [ctypes.c_int32, _INT, _INT, _POINTER]
    opus.opus_decoder_create.argtypes = [ctypes.c_int32, _INT, _POINTER]
    opus.opus_encode.argtypes = [_POINTER, ctypes.c_char_p, _INT, _POINTER, ctypes.c_int32]
    opus.opus_decode.argtypes = [_POINTER, ctypes.c_char_p, ctypes.c_int32, _POINTER, _INT, _INT]
    opus.opus_encoder_destroy.argtypes = opus.opus_decoder_destroy.argtypes = [_POINTER]
    # Variadic: only the fixed arguments are typed, as the calling convention wants it.
    opus.opus_encoder_ctl.argtypes = [_POINTER, _INT]
    return opus


def rate_at(bitrate: int, voice: int, percent: int) -> int:
    """Bits a second at that loss, of an encoder for `bitrate`; `voice` is what a voice gets."""
    voice = min(bitrate, voice)
    if percent >= THRIFT_FROM:
        return int(voice * THRIFT)
    return voice + (bitrate - voice) // 2 if percent >= REPEATED_FROM else bitrate


class OpusEncoder:
    """Sound of so many channels in that style, with in-band FEC until it is told that nothing is lost."""

    def __init__(self, style: SoundStyle = VOICE, channels: int = 1) -> None:
        self._opus = _opus()
        self._style = style
        self.channels = channels
        self._set_to: dict[int, int] = {}
        error, use = _INT(), _AUDIO if style.music else _VOIP
        self._state: int | None = self._opus.opus_encoder_create(
            AUDIO_CLOCK, channels, use, ctypes.byref(error)
        )
        if not self._state:
            raise RuntimeError(f"opus encoder: error {error.value}")
        self._set(_SET_COMPLEXITY, COMPLEXITY)
        self._set(_SET_INBAND_FEC, _FEC_BUT_MUSIC if style.music else _FEC)
        self.adapt(UNKNOWN_LOSS, Hearing(stereo=channels > 1))
        self._packet = ctypes.create_string_buffer(_LARGEST)

    def encode(self, samples: Samples) -> bytes:
        """One packet of `AUDIO_FRAME` samples, (`AUDIO_FRAME`, 2) of two channels."""
        assert samples.shape == ((AUDIO_FRAME,) if self.channels == 1 else (AUDIO_FRAME, 2)), samples.shape
        block = samples.tobytes()  # a numpy array's address costs more
        size = self._opus.opus_encode(self._state, block, AUDIO_FRAME, self._packet, _LARGEST)
        if size < 0:
            raise RuntimeError(f"opus encoder: error {size}")
        return self._packet[:size]  # type: ignore[return-value] # bytes, of an array of characters

    def adapt(self, loss: float, hearing: Hearing) -> None:
        """To the loss, 0 to 1, that FEC is made for, with a lower rate where each packet is sent several
        times; and to those who hear it. What nobody hears in two channels is sent in one.
        """
        percent = math.ceil(loss * 100) if loss >= QUIET_LOSS else 0
        channels = self.channels if hearing.stereo else 1
        wanted = min(self._style.rate(channels), hearing.most or self._style.rate(channels))
        self._set(_SET_LOSS, max(LEAST_LOSS, min(MOST_LOSS, percent)) if percent else 0)
        self._set(_SET_BITRATE, rate_at(wanted, VOICE.rate(channels), percent))
        self._set(_SET_CHANNELS, 1 if channels < self.channels else _AUTO)

    def close(self) -> None:
        """Frees it; may be called again."""
        state, self._state = self._state, None
        if state is not None:
            self._opus.opus_encoder_destroy(state)

    def _set(self, request: int, value: int) -> None:
        if self._set_to.get(request) != value:
            self._set_to[request] = value
            self._opus.opus_encoder_ctl(self._state, request, ctypes.c_int32(value))

    __del__ = close


class OpusDecoder:
    """Decodes to so many channels, whatever the packets are. Damaged packets sound like lost ones."""

    def __init__(self, channels: int = 1) -> None:
        self._opus = _opus()
        self._shape = (AUDIO_FRAME,) if channels == 1 else (AUDIO_FRAME, channels)
        error = _INT()
        self._state: int | None = self._opus.opus_decoder_create(AUDIO_CLOCK, channels, ctypes.byref(error))
        if not self._state:
            raise RuntimeError(f"opus decoder: error {error.value}")

    def decode(self, packet: bytes) -> Samples:
        """`AUDIO_FRAME` samples of a packet."""
        return self._run(packet, 0)

    def recover(self, following: bytes) -> Samples:
        """The lost block before `following`, from the FEC in it; concealed when there is none."""
        return self._run(following, 1)

    def conceal(self) -> Samples:
        """A block for a lost packet, made up from what was before."""
        return self._run(None, 0)

    def close(self) -> None:
        """Frees it; may be called again."""
        state, self._state = self._state, None
        if state is not None:
            self._opus.opus_decoder_destroy(state)

    def _run(self, packet: bytes | None, fec: int) -> Samples:
        block = np.zeros(self._shape, np.int16)
        size = len(packet) if packet else 0
        done = self._opus.opus_decode(self._state, packet, size, block.ctypes.data, AUDIO_FRAME, fec)
        if done < 0 and packet is not None:
            self._opus.opus_decode(self._state, None, 0, block.ctypes.data, AUDIO_FRAME, 0)
        return block

    __del__ = close
