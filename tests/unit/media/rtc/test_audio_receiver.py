"""Sound in, packet by packet, by arithmetic on `now`."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from mediaagentd.media.rtc.audio_receiver import AudioReceiver
from mediaagentd.media.rtc.inbound import Inbound
from mediaagentd.media.rtc.receiver import Codec
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, AudioFrame

OPUS = Codec("opus", AUDIO_CLOCK)


@pytest.mark.parametrize("hours", [0.1, 11, 13, 24, 40])
def test_who_was_muted_for_hours_is_heard_again(hours: float) -> None:
    heard: list[AudioFrame] = []
    receiver = AudioReceiver(
        cast("Any", SimpleNamespace(transport=None)), heard.append, lambda: 0.05, lambda _size, _now: None
    )
    muted = round(hours * 3600 * AUDIO_CLOCK / AUDIO_FRAME)
    numbers = [*range(50), *range(50 + muted, 100 + muted)]
    for sequence, number in enumerate(numbers):
        packet = Inbound(111, 0, sequence, (12345 + AUDIO_FRAME * number) & 0xFFFFFFFF, 7, b"voice")
        receiver._on_packet(packet, OPUS, number * AUDIO_FRAME / AUDIO_CLOCK)
    assert [frame.pts // AUDIO_FRAME for frame in heard] == numbers
