"""When a camera's own encoding goes out as it is: by arithmetic on captured times."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.codec.video import VideoEncoder
from mediaagentd.media.passage import BACK_OFF, LONGEST_WAIT, MOST, MOST_BACK_OFF, Passage
from mediaagentd.media.types import Size, VideoCodec, VideoFrame, VideoProfile

PROFILE = VideoProfile.P480
ALLOWED = PROFILE.bitrate


def sets(size: Size) -> bytes:
    """A keyframe of that size."""
    picture = SyntheticCamera(size, 30).picture(0)
    frame = VideoEncoder(VideoCodec.H264, 30, 800_000).encode(picture, keyframe=True)
    assert frame is not None
    return frame.data


def camera(
    seconds: float,
    *,
    every: float = 1.0,
    bitrate: int = 600_000,
    size: Size = PROFILE.size,
    start: float = 0.0,
) -> Iterator[VideoFrame]:
    """Frames at 10 a second of that rate."""
    head = sets(size)
    for number in range(int(seconds * 10)):
        key = number % int(every * 10) == 0
        data = head if key else b"\0\0\1\x41".ljust(bitrate // 80, b"x")
        yield VideoFrame(VideoCodec.H264, data, 0, key, start + number / 10)


def looked(passage: Passage, frames: Iterator[VideoFrame], allowed: int = ALLOWED) -> list[bool]:
    return [passage.look(frame, allowed) for frame in frames]


def test_it_passes_from_the_second_keyframe_on() -> None:
    seen = looked(Passage(PROFILE), camera(5))
    assert seen == [False] * 10 + [True] * 40


def test_what_is_too_large_too_rare_or_too_much_is_encoded() -> None:
    assert not any(looked(Passage(PROFILE), camera(5, size=Size(1280, 720))))
    assert not any(looked(Passage(PROFILE), camera(30, every=LONGEST_WAIT + 1)))
    assert not any(looked(Passage(PROFILE), camera(5, bitrate=int(MOST * ALLOWED * 1.2))))
    assert any(looked(Passage(PROFILE), camera(5, bitrate=int(MOST * ALLOWED * 0.9)))), "nobody limits it"


def test_users_who_can_take_less_end_it_at_once_and_not_for_a_moment() -> None:
    passage = Passage(PROFILE)
    assert looked(passage, camera(3))[-1]
    assert not any(looked(passage, camera(2, start=3), allowed=300_000))
    again = looked(passage, camera(BACK_OFF + 5, start=5))
    assert again.index(True) == int((BACK_OFF - 2) * 10)


def passings(passage: Passage, path: int, seconds: int, start: float = 0.0) -> list[float]:
    """When it begins to pass over a path of so many bits a second, which is seen to be too narrow a second
    later.
    """
    began: list[float] = []
    passed, since = False, -math.inf
    for frame in camera(seconds, bitrate=1_000_000, start=start):
        over = passed and frame.captured - since > 1.0 and path < 1_000_000
        now = passage.look(frame, path if over else ALLOWED)
        if now and not passed:
            began.append(since := frame.captured)
        passed = now
    return began


def test_where_it_never_fits_it_is_tried_ever_more_rarely() -> None:
    """Each trial is a queue on the way to somebody, and costs 0.2 s of sound."""
    began = passings(Passage(PROFILE), 700_000, 3600)
    assert 5 < len(began) < 20
    apart = [later - before for before, later in pairwise(began)]
    assert apart == sorted(apart)
    assert MOST_BACK_OFF <= apart[-1] <= MOST_BACK_OFF + 5


def test_what_has_passed_for_long_is_tried_again_soon() -> None:
    passage = Passage(PROFILE)
    passings(passage, 700_000, 200)
    assert len(passings(passage, 2_000_000, 1000, start=200.0)) == 1
    began = passings(passage, 700_000, 60, start=1200.0)
    assert began[0] == 1200.0
    assert began[1] - began[0] < BACK_OFF + 5


def test_a_camera_that_sends_no_keyframe_any_more_is_encoded() -> None:
    passage = Passage(PROFILE)
    assert looked(passage, camera(3))[-1]
    later = looked(passage, (frame for frame in camera(20, start=3) if not frame.keyframe))
    assert later[0]
    assert not later[-1]
    assert later.count(True) <= LONGEST_WAIT * 1.5 * 10
