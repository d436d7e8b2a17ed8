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

SLOT = AUDIO_FRAME / AUDIO_CLOCK
"""Seconds."""


def heard(packets: list[tuple[int, float]]) -> list[int]:
    """The slots that come out of packets, given as slot and time of arrival in seconds."""
    frames: list[AudioFrame] = []
    receiver = AudioReceiver(
        cast("Any", SimpleNamespace(transport=None)), frames.append, lambda: 0.05, lambda _size, _now: None
    )
    for sequence, (slot, now) in enumerate(packets):
        packet = Inbound(111, 0, sequence, (12345 + AUDIO_FRAME * slot) & 0xFFFFFFFF, 7, b"voice")
        receiver._on_packet(packet, OPUS, now)
    return [frame.pts // AUDIO_FRAME for frame in frames]


@pytest.mark.parametrize("hours", [0.1, 11, 13, 24, 40])
def test_who_was_muted_for_hours_is_heard_again(hours: float) -> None:
    muted = round(hours * 3600 / SLOT)
    slots = [*range(50), *range(50 + muted, 100 + muted)]
    assert heard([(slot, slot * SLOT) for slot in slots]) == slots


def test_whose_times_stand_still_while_he_is_muted_is_heard_again() -> None:
    """As of a far end that counts what it sends: each time three hours."""
    packets = [(slot, slot * SLOT + slot // 50 * 3 * 3600) for slot in range(400)]
    assert heard(packets) == list(range(400))
