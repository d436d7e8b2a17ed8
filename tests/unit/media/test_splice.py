"""One endless stream out of several connections."""

from __future__ import annotations

from mediaagentd.media import splice
from mediaagentd.media.types import AudioFrame, VideoCodec, VideoFrame


def sound(index: int, now: float, *, first: int = 0) -> AudioFrame:
    return AudioFrame(b"x", index * 960, now, (first + index) & 0xFFFF)


def picture(pts: int, now: float) -> VideoFrame:
    return VideoFrame(VideoCodec.VP8, b"x", pts, False, now)


def test_one_connection_is_left_as_it_is() -> None:
    audio = splice.audio()
    for index in range(5):
        frame = sound(index, index * 0.02, first=65533)
        assert audio.place(0, frame) is frame


def test_sound_goes_on_in_whole_slots() -> None:
    audio = splice.audio()
    for index in range(10):
        audio.place(0, sound(index, 0.02 * index, first=100))
    next_one = audio.place(1, sound(0, 0.18 + 1.003, first=60000))
    assert next_one is not None
    assert next_one.pts == (9 + 50) * 960, "a second later"
    assert next_one.sequence == 109 + 50
    after = audio.place(1, sound(1, 1.2, first=60000))
    assert after is not None
    assert (after.pts, after.sequence) == (next_one.pts + 960, next_one.sequence + 1)


def test_what_comes_late_of_the_old_connection_is_left_out() -> None:
    video = splice.video()
    video.place(0, picture(0, 0.0))
    assert video.place(2, picture(0, 0.1)) is not None
    assert video.place(1, picture(3000, 0.1)) is None
    assert video.place(0, picture(3000, 0.1)) is None


def test_time_never_goes_back() -> None:
    video = splice.video()
    first = video.place(0, picture(90_000, 1.0))
    second = video.place(1, picture(0, 0.5))
    assert first is not None
    assert second is not None
    assert second.pts == first.pts + 3000


def test_the_last_in_time_counts_though_another_came_after_it() -> None:
    audio = splice.audio()
    audio.place(0, sound(5, 0.1, first=0))
    audio.place(0, sound(4, 0.11, first=0))
    joined = audio.place(1, sound(0, 0.12, first=7))
    assert joined is not None
    assert (joined.pts, joined.sequence) == (6 * 960, 6)
