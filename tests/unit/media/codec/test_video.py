"""Encoders: the rate is kept and changed without a keyframe; keyframes come when asked for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from itertools import pairwise

import av
import numpy as np
import pytest
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.codec import live_rate, video
from mediaagentd.media.codec.shared import BEHIND, DECODER_QUEUE, SharedDecoder, SharedEncoder, smaller
from mediaagentd.media.codec.tuning import Tuning
from mediaagentd.media.codec.video import (
    REBUILT_DOWN,
    REBUILT_UP,
    VideoDecoder,
    VideoEncoder,
    rebuild_due,
)
from mediaagentd.media.grading import Ladder, Shape
from mediaagentd.media.types import Size, VideoCodec, VideoFrame, VideoProfile
from mediaagentd.media.workers import Workers

SIZE = Size(640, 480)


def encode(encoder: VideoEncoder, numbers: Sequence[int], key_at: int = -1) -> list[VideoFrame]:
    """Encodes pictures that are 1/30 s apart, whatever the clock says."""
    camera = SyntheticCamera(SIZE, 30)
    frames = []
    for number in numbers:
        picture = RawPicture(camera.picture(number).frame, number / 30)
        frame = encoder.encode(picture, keyframe=number == key_at)
        if frame is not None:
            frames.append(frame)
    return frames


def rate(frames: Sequence[VideoFrame]) -> float:
    return sum(len(frame.data) for frame in frames) * 8 * 30 / len(frames)


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_the_bitrate_follows_without_a_keyframe(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 30, 800_000)
    first = encode(encoder, range(120))
    encoder.set_bitrate(250_000)
    second = encode(encoder, range(120, 270))
    encoder.set_bitrate(800_000)
    third = encode(encoder, range(270, 420))
    assert [frame.keyframe for frame in first + second + third].count(True) == 1
    assert rate(first[60:]) == pytest.approx(800_000, rel=0.25)
    assert rate(second[60:]) == pytest.approx(250_000, rel=0.25)
    assert rate(third[60:]) == pytest.approx(800_000, rel=0.25)


@pytest.fixture
def rigid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders cannot be told of another rate, like those of hardware."""
    monkeypatch.setattr(live_rate, "_VERIFIED", "0.")


def keyframes(frames: Sequence[VideoFrame]) -> list[int]:
    """The numbers of the pictures that are one."""
    return [round(frame.captured * 30) for frame in frames if frame.keyframe]


@pytest.mark.usefixtures("rigid")
@pytest.mark.parametrize("codec", list(VideoCodec))
def test_without_the_reach_into_the_library_it_is_rebuilt_but_not_often(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 30, 800_000)
    frames = encode(encoder, range(5))
    told = ((5, 400_000), (6, 300_000), (16, 200_000), (20, 195_000), (40, 600_000))
    for (number, bitrate), until in zip(told, [begin for begin, _ in told[1:]] + [200], strict=True):
        encoder.set_bitrate(bitrate)
        frames += encode(encoder, range(number, until))
    down, up = round(REBUILT_DOWN * 30), round(REBUILT_UP * 30)
    assert keyframes(frames) == [0, down, 2 * down, 2 * down + up]
    assert rate(frames[-40:]) == pytest.approx(600_000, rel=0.4)


@pytest.mark.usefixtures("rigid")
def test_a_keyframe_that_comes_anyway_is_of_the_new_rate() -> None:
    encoder = VideoEncoder(VideoCodec.H264, 30, 200_000)
    frames = encode(encoder, range(30))
    encoder.set_bitrate(600_000)
    frames += encode(encoder, range(30, 170), key_at=60)
    assert keyframes(frames) == [0, 60], "and needs no second one"
    assert rate(frames[-60:]) == pytest.approx(600_000, rel=0.3)


@pytest.mark.usefixtures("rigid")
def test_a_rate_that_sways_rebuilds_an_encoder_twice_in_four_seconds_at_most() -> None:
    encoder, frames = VideoEncoder(VideoCodec.H264, 30, 500_000), list[VideoFrame]()
    for number in range(600):
        if number % 5 == 0:
            encoder.set_bitrate(500_000 if number % 2 else 300_000)
        frames += encode(encoder, [number])
    found = keyframes(frames)
    assert 4 <= len(found) <= 1 + 2 * 20 / REBUILT_UP
    assert min(after - before for before, after in pairwise(found)) >= round(REBUILT_DOWN * 30)


@pytest.mark.parametrize(
    ("age", "rate", "wanted", "due"),
    [
        (REBUILT_UP, 500, 600, True),
        (REBUILT_UP - 0.01, 500, 600, False),
        (REBUILT_DOWN, 500, 400, True),
        (REBUILT_DOWN - 0.01, 500, 400, False),
        (60.0, 500, 525, False),
        (60.0, 500, 475, False),
        (60.0, 500, 526, True),
    ],
)
def test_when_an_encoder_is_rebuilt(age: float, rate: int, wanted: int, due: bool) -> None:
    assert rebuild_due(age, rate, wanted) is due


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_a_keyframe_comes_when_asked_for_and_stands_alone(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 30, 800_000)
    frames = encode(encoder, range(12), key_at=8)
    assert [index for index, frame in enumerate(frames) if frame.keyframe] == [0, 8]
    assert VideoDecoder(codec).decode(frames[8]) is not None
    if codec is VideoCodec.H264:
        assert frames[8].data.startswith(b"\0\0\0\1\x67"), "parameter sets in front of an IDR"


def test_h264_is_constrained_baseline() -> None:
    frame = encode(VideoEncoder(VideoCodec.H264, 30, 800_000), [1])[0]
    profile, constraints = frame.data[5], frame.data[6]
    assert (profile, constraints & 0x40) == (66, 0x40)


def test_timestamps_are_of_the_capture_and_rise() -> None:
    frames = encode(VideoEncoder(VideoCodec.H264, 30, 800_000), [0, 1, 5, 5, 6])
    assert [frame.pts for frame in frames] == [0, 3000, 15000, 15001, 18000]


def test_a_new_size_begins_with_a_keyframe() -> None:
    encoder = VideoEncoder(VideoCodec.VP8, 30, 500_000)
    encode(encoder, range(3))
    picture = SyntheticCamera(Size(320, 240), 30).picture(4)
    frame = encoder.encode(picture, keyframe=False)
    assert frame is not None
    assert frame.keyframe
    assert video.SAME_RATE < 0.1


class Now(Workers):
    """Does everything at once."""

    def do(self, work: Callable[[], object]) -> None:
        work()

    @property
    def crowded(self) -> bool:
        return False


def nothing(shared: SharedEncoder) -> None:
    """Nothing happens."""


async def encoded(events: dict[int, Callable[[SharedEncoder], None]], count: int) -> list[VideoFrame]:
    """The pictures of a shared encoder, 30 a second, to which something happens before some of them."""
    given: list[VideoFrame] = []
    encoder = VideoEncoder(VideoCodec.H264, 30, 800_000, 0.0)
    shared = SharedEncoder(encoder, Now(), asyncio.get_running_loop(), given.append)
    camera = SyntheticCamera(SIZE, 30)
    for number in range(count):
        events.get(number, nothing)(shared)
        shared.offer(RawPicture(camera.picture(number).frame, number / 30))
        await asyncio.sleep(0)
    return given


async def test_who_asks_when_the_size_has_just_changed_gets_no_second_keyframe_at_once() -> None:
    """All users do, when the former encoding is of too much for them: two keyframes made it worse."""

    def ask(shared: SharedEncoder) -> None:
        shared.request_keyframe()

    frames = await encoded({30: lambda shared: shared.set_rate(300_000, Shape(0.75)), 31: ask, 32: ask}, 75)
    assert [number for number, frame in enumerate(frames) if frame.keyframe] == [0, 30, 45]


async def test_a_small_picture_of_a_large_profile_is_not_made_smaller_without_need() -> None:
    shape = Ladder(VideoProfile.P720).shape(400_000, 0.0)
    assert shape.scale < 1
    frames = await encoded({1: lambda shared: shared.set_rate(400_000, shape)}, 10)
    assert [frame.keyframe for frame in frames] == [True, *[False] * 9]


class Held(Workers):
    """Runs nothing until told."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], object]] = []

    def do(self, work: Callable[[], object]) -> None:
        self.jobs.append(work)

    @property
    def crowded(self) -> bool:
        return False


def at_once(frames: list[VideoFrame]) -> list[VideoFrame]:
    """The pictures as one repair lets all of them go."""
    return [frame._replace(captured=5.0) for frame in frames]


def one_after_the_other(frames: list[VideoFrame]) -> list[VideoFrame]:
    """The pictures as they come 30 a second, more than a second of them."""
    assert frames[-1].captured - frames[0].captured > BEHIND
    return frames


@pytest.mark.parametrize(
    ("come", "count"), [(at_once, DECODER_QUEUE + 3), (one_after_the_other, 33)], ids=["full", "behind"]
)
def test_a_decoder_begins_at_a_keyframe_and_drops_rather_than_grows(
    come: Callable[[list[VideoFrame]], list[VideoFrame]], count: int
) -> None:
    asked = threading.Event()
    executor = Held()
    shown: list[RawPicture] = []
    decoder = SharedDecoder(executor, asked.set)
    decoder.set_sinks((shown.append,))
    frames = come(encode(VideoEncoder(VideoCodec.H264, 30, 300_000), range(count)))
    decoder.push(frames[1])
    assert decoder.dropped == 1
    assert not executor.jobs
    for frame in frames:
        decoder.push(frame)
    assert asked.is_set(), "it asks for a keyframe"
    executor.jobs[0]()
    assert shown == []
    decoder.push(frames[0])
    executor.jobs[1]()
    assert len(shown) == decoder.decoded == 1
    assert decoder.size == SIZE


def test_a_stream_of_keyframes_is_dropped_rather_than_grown() -> None:
    """A camera that encodes nothing else may come faster than a decoder takes it."""
    executor = Held()
    decoder = SharedDecoder(executor, lambda: pytest.fail("there are keyframes enough"))
    shown: list[RawPicture] = []
    decoder.set_sinks((shown.append,))
    key = encode(VideoEncoder(VideoCodec.H264, 30, 300_000), [0])[0]
    for number in range(300):
        decoder.push(key._replace(pts=number * 3000, captured=number / 30))
    executor.jobs[0]()
    assert len(shown) <= BEHIND * 30 + 2
    assert len(shown) + decoder.dropped == 300
    assert shown[-1].captured == pytest.approx(299 / 30), "the newest are seen"


def test_all_that_a_repair_lets_go_at_once_is_decoded() -> None:
    """Five seconds of pictures may have waited for one packet."""
    executor = Held()
    shown: list[RawPicture] = []
    decoder = SharedDecoder(executor, lambda: pytest.fail("no keyframe is needed"))
    decoder.set_sinks((shown.append,))
    for frame in at_once(encode(VideoEncoder(VideoCodec.H264, 30, 300_000), range(150))):
        decoder.push(frame)
    executor.jobs[0]()
    assert len(shown) == 150


def test_damaged_data_asks_for_a_keyframe() -> None:
    asked = threading.Event()
    executor = Held()
    decoder = SharedDecoder(executor, asked.set)
    decoder.push(VideoFrame(VideoCodec.VP8, b"rubbish", 0, keyframe=True, captured=0.0))
    executor.jobs[0]()
    assert asked.is_set()


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_a_picture_that_would_fill_the_memory_is_damaged_data(codec: VideoCodec) -> None:
    def decoded(size: Size) -> RawPicture | None:
        blank = RawPicture(av.VideoFrame(size.width, size.height, "yuv420p"), 0.0)
        frame = VideoEncoder(codec, 30, 800_000).encode(blank, keyframe=True)
        assert frame is not None
        return VideoDecoder(codec).decode(frame)

    assert decoded(Size(4096, 2304)) is not None
    with pytest.raises(av.FFmpegError):
        decoded(Size(4112, 2304))


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_half_the_pictures_a_second_keep_the_bitrate(codec: VideoCodec) -> None:
    encoder = VideoEncoder(codec, 30, 400_000)
    encoder.set_bitrate(400_000, pace=0.5)
    frames = encode(encoder, range(0, 240, 2))[30:]
    assert 280_000 < rate(frames) / 2 < 440_000


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_a_camera_in_the_dark_gives_fewer_pictures_and_the_bitrate_is_kept(codec: VideoCodec) -> None:
    """Without being told: webcams give 15 pictures a second of the 30 that they were opened for."""
    encoder, dark, light = VideoEncoder(codec, 30, 400_000), list[VideoFrame](), list[VideoFrame]()
    for frames, numbers in ((dark, range(0, 240, 2)), (light, range(240, 420))):
        for number in numbers:
            encoder.set_bitrate(400_000)
            frames += encode(encoder, [number])
    assert 300_000 < rate(dark[45:]) / 2 < 440_000
    assert rate(light[:30]) < 720_000, "and is little exceeded when there is light again (VP8: 0.6 Mbit/s)"
    assert 300_000 < rate(light[60:]) < 440_000


def test_few_pictures_a_second_make_no_longer_a_queue() -> None:
    """A scene that changes, four pictures a second of the 30 that the encoder was opened for."""
    encoder, rate, fps = VideoEncoder(VideoCodec.H264, 30, 800_000), 800_000, 4
    noise = np.random.default_rng(1).integers(0, 255, (6, 720, 640), np.uint8)
    waiting, longest = 0.0, 0.0
    for number in range(24 * fps):
        encoder.set_bitrate(rate)
        picture = av.VideoFrame.from_ndarray(noise[number // fps % 6] // 4, format="yuv420p")
        frame = encoder.encode(RawPicture(picture, number / fps), keyframe=False)
        waiting = max(0.0, waiting - rate / fps) + (len(frame.data) * 8 if frame is not None else 0)
        longest = max(longest, waiting / rate) if number > 3 * fps else 0.0
    assert longest < 0.7, "seconds on a link of that rate: the buffer is half of one"


def test_a_smaller_picture_keeps_its_counter_and_its_time() -> None:
    picture = SyntheticCamera(SIZE, 30).picture(1234)
    small = smaller(picture, 0.5)
    assert (small.frame.width, small.frame.height, small.captured) == (320, 240, picture.captured)
    assert read_counter(luma_of(small.frame)) == 1234
    assert smaller(picture, 1.0) is picture


async def test_an_encoder_that_fails_rests_and_begins_anew_by_software() -> None:
    executor, given = Held(), asyncio.Queue[VideoFrame]()
    encoder = VideoEncoder(VideoCodec.H264, 30, 400_000, 0.0, Tuning(h264="of hardware that is gone"))
    shared = SharedEncoder(encoder, executor, asyncio.get_running_loop(), given.put_nowait)
    picture = SyntheticCamera(SIZE, 30).picture(7).frame
    shared.offer(RawPicture(picture, 10.0))
    executor.jobs[0]()
    shared.offer(RawPicture(picture, 11.9))
    assert len(executor.jobs) == 1, "it rests"
    shared.offer(RawPicture(picture, 12.1))
    executor.jobs[1]()
    frame = await asyncio.wait_for(given.get(), 5)
    assert frame.keyframe
    assert frame.captured == 12.1
