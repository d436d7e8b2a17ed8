"""Lips and voice together, by arithmetic on `now`."""

from __future__ import annotations

from mediaagentd.media.playout.buffer import PlayoutBuffer
from mediaagentd.media.playout.delay import SLOT, SOUND
from mediaagentd.media.playout.pacing import Pacing
from mediaagentd.media.playout.sync import AHEAD, SLACK, least_sound_lag, picture_wait
from mediaagentd.media.types import AUDIO_FRAME, VIDEO_CLOCK, AudioFrame

CLOCK = 1e9
"""What the far end's clock is ahead of ours."""


def run(sound_delay: float, picture_delay: float, jitter: float = 0.0, seconds: int = 40) -> float:
    """Both streams of one far end, captured together, each with its delay; the pictures' with repairs that
    come `jitter` later. Returns by how much pictures are later than sound in the end.
    """
    buffer, pacing = PlayoutBuffer(), Pacing()
    shown: list[tuple[float, float]] = []
    for tick in range(int(seconds / SLOT)):
        now = tick * SLOT
        captured = now - sound_delay
        buffer.push(AudioFrame(b"\xff", tick * AUDIO_FRAME, now, tick, CLOCK + captured), now)
        buffer.pull(now + 0.001)
        if tick % 2 == 0:
            late = jitter * (tick % 10 == 0)
            place = tick * SLOT
            due = pacing.show(round(place * VIDEO_CLOCK), now + late, CLOCK + now - picture_delay)
            shown.append((due, now - picture_delay))
        if tick % 20 == 0:
            pacing.sound = picture_wait(buffer.lag_to_follow, pacing.at_once_lag)
            buffer.least_lag = least_sound_lag(pacing.own_lag)
    heard = buffer.lag
    assert heard is not None
    assert pacing.lag is not None
    return pacing.lag - heard


def test_on_a_calm_network_nobody_waits() -> None:
    assert -AHEAD - SLOT < run(0.030, 0.010) < 0


def test_pictures_wait_for_sound_that_comes_late() -> None:
    assert -AHEAD - SLOT < run(0.200, 0.010) < 0


def test_sound_waits_for_pictures_that_need_repairs() -> None:
    assert abs(run(0.030, 0.010, jitter=0.2)) < SLACK + 2 * SLOT
    assert abs(run(0.030, 0.150)) < SLACK + 2 * SLOT


def test_nobody_waits_for_ever() -> None:
    buffer = PlayoutBuffer()
    buffer.push(AudioFrame(b"\xff", 0, 0.0, 0, CLOCK), 0.0)
    buffer.least_lag = 100.0 - CLOCK
    assert buffer.target == SOUND.most
    assert picture_wait(None, 1.0) == picture_wait(1.0, None) == 0.0
    assert least_sound_lag(None) is None
