"""Opus (RFC 6716) by libopus itself: concealment, in-band FEC and live settings, which FFmpeg's wrapper
does not offer. All calls take well under a millisecond. Mono, 48 kHz, 20 ms.
"""

from __future__ import annotations

import ctypes
import functools
import math

import numpy as np

from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.libraries import library
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME

_VOIP = 2048
_SET_BITRATE, _SET_COMPLEXITY, _SET_INBAND_FEC, _SET_LOSS = 4002, 4010, 4012, 4014
_LARGEST = 1275
"""Bytes of the largest packet of one frame (RFC 6716 section 3.2.1)."""

COMPLEXITY = 5
"""Of 0 to 10; 10 costs twice the time for little in speech."""

LEAST_LOSS, MOST_LOSS = 10, 40
"""Percent that the encoder is told. Below ten it spends nothing on FEC at 32 kbit/s, and loss comes before
its report.
"""

THRIFT_FROM, THRIFT = 15, 0.75
"""From so many percent on, that share of the bitrate: the packets go out three times."""

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
    opus.opus_encode.argtypes = [_POINTER, _POINTER, _INT, _POINTER, ctypes.c_int32]
    opus.opus_decode.argtypes = [_POINTER, ctypes.c_char_p, ctypes.c_int32, _POINTER, _INT, _INT]
    opus.opus_encoder_destroy.argtypes = opus.opus_decoder_destroy.argtypes = [_POINTER]
    # Variadic: only the fixed arguments are typed, as the calling convention wants it.
    opus.opus_encoder_ctl.argtypes = [_POINTER, _INT]
    return opus


class OpusEncoder:
    """Voice at `bitrate` bits a second, with in-band FEC for at least `LEAST_LOSS` percent of lost
    packets.
    """

    def __init__(self, bitrate: int) -> None:
        self._opus = _opus()
        self._bitrate = bitrate
        self._loss = LEAST_LOSS
        error = _INT()
        self._state: int | None = self._opus.opus_encoder_create(AUDIO_CLOCK, 1, _VOIP, ctypes.byref(error))
        if not self._state:
            raise RuntimeError(f"opus encoder: error {error.value}")
        settings = ((_SET_BITRATE, bitrate), (_SET_COMPLEXITY, COMPLEXITY), (_SET_INBAND_FEC, 1))
        for request, value in (*settings, (_SET_LOSS, self._loss)):
            self._set(request, value)
        self._packet = ctypes.create_string_buffer(_LARGEST)

    def encode(self, samples: Samples) -> bytes:
        """One packet of `AUDIO_FRAME` samples."""
        assert samples.shape == (AUDIO_FRAME,), samples.shape
        block = np.ascontiguousarray(samples, np.int16)
        size = self._opus.opus_encode(self._state, block.ctypes.data, AUDIO_FRAME, self._packet, _LARGEST)
        if size < 0:
            raise RuntimeError(f"opus encoder: error {size}")
        return self._packet.raw[:size]

    def expect_loss(self, fraction: float) -> None:
        """The loss, 0 to 1, that FEC is made for; a lower rate where each packet is sent several times."""
        percent = max(LEAST_LOSS, min(MOST_LOSS, math.ceil(fraction * 100)))
        if percent == self._loss:
            return
        self._loss = percent
        self._set(_SET_LOSS, percent)
        self._set(_SET_BITRATE, int(self._bitrate * (THRIFT if percent >= THRIFT_FROM else 1.0)))

    def close(self) -> None:
        """Frees it; may be called again."""
        state, self._state = self._state, None
        if state is not None:
            self._opus.opus_encoder_destroy(state)

    def _set(self, request: int, value: int) -> None:
        self._opus.opus_encoder_ctl(self._state, request, ctypes.c_int32(value))

    __del__ = close


class OpusDecoder:
    """Decodes to mono, whatever the packets are. Damaged packets sound like lost ones."""

    def __init__(self) -> None:
        self._opus = _opus()
        error = _INT()
        self._state: int | None = self._opus.opus_decoder_create(AUDIO_CLOCK, 1, ctypes.byref(error))
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
        block = np.zeros(AUDIO_FRAME, np.int16)
        size = len(packet) if packet else 0
        done = self._opus.opus_decode(self._state, packet, size, block.ctypes.data, AUDIO_FRAME, fec)
        if done < 0 and packet is not None:
            self._opus.opus_decode(self._state, None, 0, block.ctypes.data, AUDIO_FRAME, 0)
        return block

    __del__ = close
