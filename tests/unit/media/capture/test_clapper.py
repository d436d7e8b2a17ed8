"""The clapperboard is seen and heard at the same time."""

from __future__ import annotations

import threading
import time

from mediaagentd.media.capture.clapper import ClappingCamera, ClappingMicrophone, claps, square
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.types import Size


def test_a_clap_begins_with_each_second() -> None:
    assert [claps(time) for time in (7.0, 6.9999, 7.09, 7.1, 7.5, 6.98)] == [
        True, True, True, False, False, False,
    ]  # fmt: skip


def test_picture_and_sound_of_a_clap_are_captured_together() -> None:
    camera, microphone, stopping = ClappingCamera(Size(320, 240), 30), ClappingMicrophone(), threading.Event()
    camera.open()
    microphone.open()
    seen, heard = [], []
    until = time.monotonic() + 1.2
    while (picture := camera.read(stopping)) is not None and picture.captured < until:
        luma = luma_of(picture.frame)
        assert read_counter(luma) is not None
        if square(luma).min() == 235:
            seen.append(picture.captured)
    until = time.monotonic() + 1.2
    while (sound := microphone.read(stopping)) is not None and sound.captured < until:
        if sound.samples.any():
            heard.append(sound.captured - 0.02)  # its first sample
    assert seen
    assert heard
    for captured in (*seen, *heard):
        assert claps(captured)
    for claps_of_one in (seen, heard):
        assert min(abs(captured - round(captured)) for captured in claps_of_one) < 0.001
