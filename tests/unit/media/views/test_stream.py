"""Rate, size and readers of a view."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.rate import BURST, RateBudget, RateLimit, within
from mediaagentd.media.types import Size, VideoCodec, VideoFrame
from mediaagentd.media.views.stream import BEHIND, ENCODED_QUEUE, FrameStream, Reader
from mediaagentd.media.views.types import FrameFormat, FramesView, Picture
from mediaagentd.media.workers import WorkerThreads

from tests.fakes.pictures import read_counter_in_image


@pytest.mark.parametrize(
    ("source", "limit", "expected"), [(30, 10, 10), (30, 0, 30), (30, 60, 30), (30, 20, 20)]
)
def test_the_rate_is_kept_on_the_mean(source: int, limit: float, expected: int) -> None:
    rate = RateLimit(limit)
    random = np.random.default_rng(1)
    times = [number / source + random.uniform(0, 0.004) for number in range(source * 10)]
    shown = [time for time in times if rate.allows(time)]
    assert expected * 10 * 0.9 <= len(shown) <= expected * 10 + 1


def test_a_pause_is_not_made_up_for() -> None:
    rate = RateLimit(10)
    assert rate.allows(0.0)
    assert rate.allows(60.0)
    assert [rate.allows(60.0 + step * 0.01) for step in range(1, 5)].count(True) == 0


def test_sizes_keep_the_shape_and_never_grow() -> None:
    assert within(Size(1280, 720), 0, 0) == Size(1280, 720)
    assert within(Size(1280, 720), 640, 0) == Size(640, 360)
    assert within(Size(1280, 720), 640, 100) == Size(176, 100)
    assert within(Size(640, 480), 1920, 1080) == Size(640, 480)
    assert within(Size(640, 480), 1, 1) == Size(2, 2)


def encoded(keyframe: bool, codec: VideoCodec = VideoCodec.H264, captured: float = 0.0) -> Picture:
    return Picture(b"", FrameFormat.ENCODED, captured, codec=codec, keyframe=keyframe)


async def test_the_newest_picture_wins() -> None:
    reader = Reader(1)
    for number in range(5):
        reader.put(Picture(b"%d" % number, FrameFormat.JPEG, 0.0, Size(2, 2)))
    picture = await reader.next()
    assert picture is not None
    assert (picture.data, picture.sequence, picture.dropped) == (b"4", 1, 4)
    reader.end()
    assert await reader.next() is None


async def test_encoded_pictures_begin_with_a_keyframe_and_go_on_at_one() -> None:
    reader = Reader(ENCODED_QUEUE)
    assert not reader.put(encoded(False))
    assert reader.put(encoded(True))
    for _ in range(ENCODED_QUEUE - 1):
        assert reader.put(encoded(False))
    assert reader.put(encoded(False)), "full: nothing more before a keyframe, which nobody waits for yet"
    assert reader.put(encoded(False))
    reading = asyncio.ensure_future(reader.next())
    await asyncio.sleep(0)
    assert not reader.put(encoded(False)), "now somebody does"
    assert reader.put(encoded(True))
    picture = await reading
    assert picture is not None
    assert picture.keyframe
    assert picture.dropped == ENCODED_QUEUE + 1


def test_one_who_has_ceased_to_read_asks_for_no_keyframes() -> None:
    reader = Reader(ENCODED_QUEUE)
    assert reader.put(encoded(True))
    for number in range(60 * 30):
        assert reader.put(encoded(False, captured=number / 30))


async def test_a_reader_who_is_behind_goes_on_at_a_keyframe() -> None:
    reader = Reader(ENCODED_QUEUE)
    assert reader.put(encoded(True))
    assert reader.put(encoded(False, captured=BEHIND))
    assert reader.put(encoded(False, captured=BEHIND + 0.1))
    assert reader.put(encoded(True, captured=BEHIND + 0.2))
    picture = await reader.next()
    assert picture is not None
    assert (picture.keyframe, picture.dropped) == (True, 3)


async def test_another_codec_needs_a_keyframe_first() -> None:
    reader = Reader(ENCODED_QUEUE)
    assert reader.put(encoded(True))
    assert not reader.put(encoded(False, VideoCodec.VP8))
    assert reader.put(encoded(True, VideoCodec.VP8))


@pytest.mark.parametrize("form", [FrameFormat.JPEG, FrameFormat.I420])
async def test_pictures_are_coded_while_somebody_reads(form: FrameFormat) -> None:
    changes: list[bool] = []
    with WorkerThreads(1, "picture") as workers:
        stream = FrameStream(
            FramesView(form, max_height=240),
            workers,
            asyncio.get_running_loop(),
            lambda: changes.append(stream.wants_decoded),
        )
        assert not stream.wants_decoded
        pictures = stream.pictures()
        waiting = asyncio.ensure_future(anext(pictures))
        await asyncio.sleep(0)
        stream.on_picture(SyntheticCamera(Size(640, 480), 30).picture(321))
        picture = await asyncio.wait_for(waiting, 5)
        await pictures.aclose()
    assert changes == [True, False]
    assert picture.size == Size(320, 240)
    if form is FrameFormat.JPEG:
        assert read_counter_in_image(picture.data) == 321
    else:
        assert len(picture.data) == 320 * 240 * 3 // 2
        assert read_counter(np.frombuffer(picture.data, np.uint8)[: 320 * 240].reshape(240, 320)) == 321


async def test_an_encoded_view_is_content_without_readers() -> None:
    with WorkerThreads(1, "picture") as workers:
        stream = FrameStream(
            FramesView(FrameFormat.ENCODED), workers, asyncio.get_running_loop(), lambda: None
        )
        assert not stream.wants_encoded
        assert stream.on_encoded(VideoFrame(VideoCodec.H264, b"", 0, keyframe=False, captured=0.0))
        stream.end()
        assert [picture async for picture in stream.pictures()] == []


@pytest.mark.parametrize(("hz", "together"), [(15, 1), (30, 1), (30, 3), (50, 1), (120, 2)])
def test_a_cameras_pictures_are_within_a_budget_in_the_mean(hz: int, together: int) -> None:
    """They come some milliseconds early and late, or several at once."""
    budget, chance = RateBudget(30), random.Random(1)
    times = [number // together * together / hz + chance.uniform(-0.008, 0.008) for number in range(20 * hz)]
    passed = sum(budget.allows(each) for each in sorted(times))
    assert passed == pytest.approx(20 * min(hz, 30), abs=BURST + 1)
