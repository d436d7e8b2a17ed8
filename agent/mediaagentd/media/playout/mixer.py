"""One sound out of many: decodes what the buffers hand out and adds it up. Pure but for the decoders."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.opus import OpusDecoder
from mediaagentd.media.playout.buffer import Fill, PlayoutBuffer, Slot
from mediaagentd.media.types import AUDIO_FRAME

FULL = 32_767
FADE = 240
"""Samples of a cross-fade: 5 ms, a period of a low voice's overtones."""

KNEE = 24_000
"""Above this the sum is bent, not cut: two people who talk at once do not crackle."""


class Voice:
    """One remote user's sound: the buffer, and a decoder once somebody listens."""

    def __init__(self) -> None:
        self.buffer = PlayoutBuffer()
        self._decoder: OpusDecoder | None = None
        self._channels = 0

    def samples(self, slot: Slot, channels: int = 1) -> Samples | None:
        """The sound of a slot in so many channels, None for silence."""
        if slot.fill is Fill.SILENCE:
            return None
        if self._decoder is None or channels != self._channels:  # another sound card, perhaps
            self.close()
            self._decoder, self._channels = OpusDecoder(channels), channels
        match slot.fill:
            case Fill.PACKET if slot.second:
                return squeeze(self._decoder.decode(slot.data), self._decoder.decode(slot.second))
            case Fill.PACKET:
                return self._decoder.decode(slot.data)
            case Fill.RECOVERED:
                return self._decoder.recover(slot.data)
            case _:
                return self._decoder.conceal()

    def close(self) -> None:
        """Frees the decoder."""
        if self._decoder is not None:
            self._decoder.close()
            self._decoder = None


def squeeze(first: Samples, second: Samples) -> Samples:
    """Two blocks in the time of one: cross-faded where they are most alike, so that it is not heard."""
    one, two = first.astype(np.float64), second.astype(np.float64)

    def likeness(place: int) -> float:
        a, b = one[place : place + FADE].ravel(), two[place : place + FADE].ravel()
        return float(a @ b / (1.0 + np.sqrt((a @ a) * (b @ b))))

    place = max(range(0, len(one) - FADE, FADE // 10), key=likeness)
    ramp = np.clip((np.arange(len(one)) - place) / FADE, 0.0, 1.0).reshape(-1, *[1] * (one.ndim - 1))
    faded: Samples = (one * (1 - ramp) + two * ramp).astype(np.int16)
    return faded


def mix(blocks: Iterable[Samples], channels: int = 1) -> Samples:
    """The sum of blocks of `AUDIO_FRAME` samples, bent into range above `KNEE`; silence for none."""
    total = np.zeros(AUDIO_FRAME if channels == 1 else (AUDIO_FRAME, channels), np.int32)
    for block in blocks:
        total += block
    over = np.abs(total) - KNEE
    if over.max() > 0:
        room = FULL - KNEE
        bent = KNEE + room * (1 - np.exp(-np.clip(over, 0, None) / room))
        total = np.where(over > 0, np.sign(total) * bent, total).astype(np.int32)
    return total.astype(np.int16)
