"""Chromium as the far end of our peer: both codecs, whoever offers, pictures counted on both sides. The other
pairs of codec and offerer are those of `test_rebuilt.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import AUDIO_FRAME, AudioFrame, VideoCodec
from playwright.async_api import Page

from tests.fakes.rtc import Picture, Recorder, decode, peer

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURES = 15
"""Each way."""

SILENCE = b"\xf8\xff\xfe"
"""20 ms of Opus silence, mono."""


async def far_end(page: Page, function: str, *arguments: str | int) -> Any:
    """Calls a function of the page."""
    return await page.evaluate("([name, args]) => farEnd[name](...args)", [function, arguments])


@asynccontextmanager
async def closing(ours: Peer) -> AsyncIterator[Peer]:
    """The peer, closed in the end."""
    try:
        yield ours
    finally:
        await ours.close()


@asynccontextmanager
async def camera(end: Peer, seen: Recorder, codec: VideoCodec) -> AsyncIterator[None]:
    """Sends 20 pictures and 50 packets of sound a second, a keyframe only when it is asked for: it begins
    with the second picture.
    """

    async def run() -> None:
        picture, asked, count, started = Picture(codec, 320, 240), 0, 0, time.monotonic()
        picture.frame()
        while True:
            if end.connected and count % 5 in (0, 2):
                key = seen.keyframe_requests > asked
                asked = seen.keyframe_requests
                end.send_video(picture.frame(key=key))
            end.send_audio(AudioFrame(SILENCE, count * AUDIO_FRAME, time.monotonic()))
            count += 1
            pace = started + count * 0.02 - time.monotonic()
            await asyncio.sleep(max(0.0, pace))

    task = asyncio.create_task(run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_stats(
    page: Page, condition: Callable[[dict[str, Any]], bool], seconds: float = 30.0
) -> dict[str, Any]:
    """Asks the page for its figures until they fulfil the condition."""
    stats: dict[str, Any] = {}
    try:
        async with asyncio.timeout(seconds):
            while not condition(stats := await far_end(page, "stats")):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # the page has no event for its figures
    except TimeoutError:
        pytest.fail(f"the far end stayed at {stats}")
    return stats


@pytest.mark.parametrize(("codec", "offerer"), [(VideoCodec.H264, "ours"), (VideoCodec.VP8, "theirs")])
async def test_pictures_and_sound_both_ways(page: Page, codec: VideoCodec, offerer: str) -> None:
    assert f"video/{codec}" in await far_end(page, "codecs")
    seen = Recorder()
    async with closing(peer(seen, codec)) as ours:
        await _story(page, ours, seen, codec, offerer)


async def _story(page: Page, ours: Peer, seen: Recorder, codec: VideoCodec, offerer: str) -> None:
    if offerer == "ours":
        answer = await far_end(page, "answer", await ours.create_offer(), codec)
        await ours.accept_answer(answer)
    else:
        offer = await far_end(page, "offer", codec)
        await far_end(page, "accept", await ours.accept_offer(offer))
    await seen.until_connected()
    assert ours.video_codec is codec
    async with camera(ours, seen, codec):
        stats = await until_stats(page, lambda s: (s.get("decoded") or 0) >= PICTURES)
        await seen.until(lambda: len(seen.video) >= PICTURES and len(seen.audio) >= 50, 40)
        assert stats["received"] == f"video/{codec}"
        assert stats["width"] == 320
        await until_stats(page, lambda s: s.get("heard", 0) >= 50 and s.get("sent") is not None)
        asked = seen.keyframe_requests
        keyframes = sum(frame.keyframe for frame in seen.video)
        ours.request_keyframe()
        await until_stats(page, lambda s: s["asked"] >= 1)
        await seen.until(lambda: sum(frame.keyframe for frame in seen.video) > keyframes, 20)
        await seen.until(lambda: any(feedback.bitrate for feedback in seen.feedback))
        await seen.until(lambda: ours.stats().round_trip is not None)
    assert seen.video[0].keyframe
    assert {frame.codec for frame in seen.video} == {codec}
    pictures = list(decode(seen.video))
    assert len(pictures) >= PICTURES
    assert all(picture.std() > 10 for picture in pictures)
    assert any((a != b).any() for a, b in pairwise(pictures))
    assert [f.pts for f in seen.video] == sorted({f.pts for f in seen.video})
    assert 1 <= asked < 10, "the page asked for the keyframe that it began with"
    assert not seen.closed


@pytest.mark.parametrize("codec", list(VideoCodec))
async def test_chromium_soon_aims_at_a_high_rate(page: Page, codec: VideoCodec) -> None:
    """Told only of a bitrate it took 15 s to 0.8 Mbit/s; told of arrivals, it probes."""
    await far_end(page, "use", 1280, 720, 30)
    seen = Recorder()
    async with closing(peer(seen, codec)) as ours:
        await ours.accept_answer(await far_end(page, "answer", await ours.create_offer(), codec))
        await seen.until_connected()
        await until_stats(page, lambda s: (s.get("target") or 0) >= 1_400_000)
        pictures = len(seen.video)
        await seen.until(lambda: len(seen.video) >= pictures + 30)
        assert not any(feedback.bitrate for feedback in seen.feedback), "we have sent nothing to judge"


async def test_chromium_hangs_up(page: Page) -> None:
    seen = Recorder()
    async with closing(peer(seen)) as ours:
        await ours.accept_answer(await far_end(page, "answer", await ours.create_offer(), "VP8"))
        await seen.until_connected()
        await far_end(page, "hangup")
        await seen.until(lambda: bool(seen.closed))
    assert seen.closed == ["closed by the far end"]
