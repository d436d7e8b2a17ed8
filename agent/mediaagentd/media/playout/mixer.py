"""One sound out of many: decodes what the buffers hand out and adds it up. Pure but for the decoders."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.opus import OpusDecoder
from mediaagentd.media.playout.buffer import Fill, PlayoutBuffer, Slot
from mediaagentd.media.types import AUDIO_FRAME

FULL = 32_767
KNEE = 24_000
"""Above this the sum is bent, not cut: two people who talk at once do not crackle."""


class Voice:
    """One remote user's sound: the buffer, and a decoder once somebody listens."""

    def __init__(self) -> None:
        self.buffer = PlayoutBuffer()
        self._decoder: OpusDecoder | None = None

    def samples(self, slot: Slot) -> Samples | None:
        """The sound of a slot, None for silence."""
        if slot.fill is Fill.SILENCE:
            return None
        if self._decoder is None:
            self._decoder = OpusDecoder()
        match slot.fill:
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


def mix(blocks: Iterable[Samples]) -> Samples:
    """The sum of blocks of `AUDIO_FRAME` samples, bent into range above `KNEE`; silence for none."""
    total = np.zeros(AUDIO_FRAME, np.int32)
    for block in blocks:
        total += block
    over = np.abs(total) - KNEE
    if over.max() > 0:
        room = FULL - KNEE
        bent = KNEE + room * (1 - np.exp(-np.clip(over, 0, None) / room))
        total = np.where(over > 0, np.sign(total) * bent, total).astype(np.int32)
    return total.astype(np.int16)
