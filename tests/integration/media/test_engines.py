"""Two agents' media, end to end: what one shows and says, the other sees and hears."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from mediaagentd.call.signal import Offer, Signal
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.grading import Shape
from mediaagentd.media.local import PASSED
from mediaagentd.media.types import Size, VideoCodec, VideoFrame
from mediaagentd.media.views.types import LOCAL, FileView, FrameFormat, FramesView, Picture, View

from tests.fakes.media_rtsp import RtspCamera
from tests.fakes.rtc import decode
from tests.integration.media.pair import CALL, Pair, PeerDown, PeerUp, settings, until, within

OBSERVED = 0.3
"""Seconds in which nothing may be sent: 15 packets otherwise."""


async def first(watch: AsyncIterator[Picture], count: int) -> list[Picture]:
    """The first pictures of a view."""
    pictures = []
    assert isinstance(watch, AsyncGenerator)
    async with aclosing(watch):
        async for picture in watch:
            pictures.append(picture)
            if len(pictures) == count:
                break
    return pictures


async def test_each_sees_the_other_count() -> None:
    async with Pair(settings("alice"), settings("bob")) as pair:
        await asyncio.gather(pair.alice.open_camera(), pair.bob.open_camera())
        await pair.connect()
        for side in (pair.alice, pair.bob):
            one = await side.sees()
            two = await side.sees()
            assert two > one
            figures = side.figures()
            assert figures.frames_decoded > 0
            assert figures.first_frame_time is not None
            assert figures.first_arrival_time is not None
            assert figures.connect_time is not None
        assert pair.alice.engine.figures()[0].user_id == "bob"


async def test_both_ways_of_choosing_a_codec(tmp_path: Path) -> None:
    """Each sends the first codec of its own that the other takes; VP8 is recorded too."""
    h264, vp8 = VideoCodec.H264, VideoCodec.VP8
    async with Pair(settings("alice", codecs=(vp8, h264)), settings("bob", codecs=(vp8,))) as pair:
        await asyncio.gather(pair.alice.open_camera(), pair.bob.open_camera())
        await pair.connect()
        await pair.alice.engine.start_view(View("file", "bob", FileView(str(tmp_path / "bob.mkv"))))
        assert await pair.alice.sees() > 0
        assert await pair.bob.sees() > 0
        assert pair.bob.figures().stats.video_codec is vp8
        await first(pair.alice.engine.watch(await _encoded_view(pair)), 5)
    with av.open(str(tmp_path / "bob.mkv"), "r") as recording:
        assert recording.streams.video[0].codec_context.name == "vp8"
        assert all(read_counter(luma_of(frame)) for frame in recording.decode(video=0))


async def _encoded_view(pair: Pair) -> str:
    await pair.alice.engine.start_view(View("encoded", "bob", FramesView(FrameFormat.ENCODED)))
    return "encoded"


async def test_nothing_is_decoded_when_nobody_looks() -> None:
    async with Pair(settings("alice"), settings("bob")) as pair:
        await pair.bob.open_camera()
        await pair.connect()
        await until(lambda: pair.alice.figures().stats.video_received.frames > 10)
        assert pair.alice.figures().frames_decoded == 0
        assert pair.alice.figures().first_arrival_time is not None
        assert pair.alice.figures().first_frame_time is None


async def test_camera_off_and_on() -> None:
    async with Pair(settings("alice"), settings("bob")) as pair:
        await pair.bob.open_camera()
        await pair.connect()
        await pair.alice.sees()
        pair.bob.engine.release_camera()
        with pytest.raises(Refused) as refused:
            await pair.bob.engine.snapshot(LOCAL, None, 1.0)
        assert refused.value.reason is Reason.NO_VIDEO
        quiet = pair.bob.figures().stats.video_sent.frames
        with pytest.raises(Refused) as refused:
            await pair.alice.engine.snapshot("bob", None, 0.7)
        assert refused.value.reason in (Reason.NO_VIDEO, Reason.TIMED_OUT)
        assert pair.bob.figures().stats.video_sent.frames <= quiet + 3
        await pair.bob.open_camera(2)
        await pair.alice.sees()


async def test_sound_arrives_and_stops_when_muted(tmp_path: Path) -> None:
    heard = tmp_path / "alice.wav"
    alice = settings("alice", speaker=f"wav:{heard}")
    async with Pair(alice, settings("bob", microphone="synthetic:1000")) as pair:
        await pair.connect(video=False)
        await until(lambda: pair.alice.figures().audio_slots_played > 60)
        pair.bob.engine.set_sending(False, False)
        sent = pair.bob.figures().stats.audio_sent.packets
        await until(lambda: pair.alice.figures().audio_slots_played >= sent - 10)
        await asyncio.sleep(OBSERVED)
        assert pair.bob.figures().stats.audio_sent.packets <= sent + 1
        assert pair.alice.figures().audio_slots_concealed < 5
    with wave.open(str(heard)) as reader:
        sound = np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
    spectrum = np.abs(np.fft.rfft(sound))
    assert abs(float(spectrum.argmax()) * 48_000 / len(sound) - 1000) < 10


async def test_the_echo_shows_the_caller_itself() -> None:
    async with Pair(settings("alice", microphone="synthetic"), settings("echo", echo=True)) as pair:
        await pair.alice.open_camera()
        await pair.bob.open_camera()
        await pair.connect()
        one = await pair.alice.sees()
        two = await pair.alice.sees()
        assert two > one
        mine = await pair.alice.engine.snapshot(LOCAL, 80, 5.0)
        assert mine.media_type == "image/jpeg"
        await until(lambda: pair.alice.figures().audio_slots_played > 10)
        assert pair.bob.figures().frames_decoded == 0


async def test_views_of_every_format(tmp_path: Path) -> None:
    async with Pair(settings("alice"), settings("bob", microphone="synthetic")) as pair:
        await pair.bob.open_camera()
        await pair.connect()
        engine = pair.alice.engine
        await engine.start_view(View("encoded", "bob", FramesView(FrameFormat.ENCODED)))
        await engine.start_view(View("jpeg", "bob", FramesView(FrameFormat.JPEG, max_width=320, max_fps=10)))
        await engine.start_view(View("i420", "bob", FramesView(FrameFormat.I420)))
        await engine.start_view(View("file", "bob", FileView(str(tmp_path / "bob.mkv"))))
        encoded, jpeg, i420 = await within(
            asyncio.gather(
                first(engine.watch("encoded"), 20),
                first(engine.watch("jpeg"), 5),
                first(engine.watch("i420"), 5),
            )
        )
        assert encoded[0].keyframe
        assert [picture.sequence for picture in encoded] == list(range(1, 21))
        assert jpeg[0].size is not None
        assert (jpeg[0].size.width, jpeg[0].size.height) == (320, 240)
        assert jpeg[-1].captured - jpeg[0].captured > 0.3, "ten a second, not thirty"
        luma = [np.frombuffer(picture.data, np.uint8)[: 640 * 480].reshape(480, 640) for picture in i420]
        numbers = [read_counter(plane) for plane in luma]
        assert None not in numbers
        assert numbers == sorted(cast("list[int]", numbers))
        pair.alice.engine.set_in_call(False)
        assert engine.views() == ()
    with av.open(str(tmp_path / "bob.mkv"), "r") as recording:
        video, audio = recording.streams.video[0], recording.streams.audio[0]
        assert (video.width, video.height, audio.codec_context.name) == (640, 480, "opus")
        packets = list(recording.demux())
        recording.seek(0)
        numbers = [read_counter(luma_of(frame)) for frame in recording.decode(video)]
    assert len([packet for packet in packets if packet.stream is audio]) > 10
    # A camera on a busy machine leaves out some; a file none of those that came.
    recorded, shown = since_both(cast("list[int]", numbers), numbers_of(encoded))
    assert min(len(recorded), len(shown)) > 10
    assert all(one == other for one, other in zip(recorded, shown, strict=False))


def since_both(one: list[int], other: list[int]) -> tuple[list[int], list[int]]:
    """Each from the number on with which the later of them begins."""
    begin = max(one[0], other[0])
    return [number for number in one if number >= begin], [number for number in other if number >= begin]


def numbers_of(encoded: list[Picture]) -> list[int]:
    """What the pictures of an ENCODED view are numbered."""
    codec = encoded[0].codec
    assert codec is not None
    frames = [VideoFrame(codec, each.data, 0, each.keyframe, each.captured) for each in encoded]
    numbers = [read_counter(luma) for luma in decode(frames)]
    assert None not in numbers
    return cast("list[int]", numbers)


async def test_signals_come_early_late_and_wrong() -> None:
    async with Pair(settings("alice"), settings("bob")) as pair:
        pair.alice.engine.receive_signal(CALL, "bob", Signal(1, Offer("of an older attempt")))
        pair.bob.dial(offers=True)
        await until(lambda: len(pair.alice.engine._board._early) == 2)
        pair.alice.dial(offers=False)
        pair.alice.engine.receive_signal(CALL, "bob", Signal(1, Offer("again")))
        await both_up(pair)


async def both_up(pair: Pair) -> None:
    await asyncio.gather(pair.alice.reported(PeerUp), pair.bob.reported(PeerUp))


async def test_a_bad_description_ends_that_connection_only() -> None:
    async with Pair(settings("alice"), settings("bob")) as pair:
        pair.alice.dial(offers=False)
        pair.alice.engine.receive_signal(CALL, "bob", Signal(2, Offer("rubbish")))
        down = await pair.alice.reported(PeerDown)
        assert (down.user_id, down.attempt, down.final) == ("bob", 2, True)
        pair.alice.engine.close_peer(CALL, "bob", 2)
        pair.alice.dial(offers=False, attempt=3)
        pair.bob.dial(offers=True, attempt=3)
        await both_up(pair)


async def test_a_camera_that_encodes_by_itself_is_passed_through_and_encoded_when_it_must_be() -> None:
    with RtspCamera(Size(640, 480), keyframes=15) as camera:
        alice = replace(settings("alice"), camera=camera.url)
        async with Pair(alice, settings("bob")) as pair:
            await pair.alice.open_camera()
            await pair.connect()
            local = pair.alice.engine._local
            await pair.bob.engine.start_view(View("v", "alice", FramesView(FrameFormat.I420)))
            watched = pair.bob.engine.watch("v")
            shown = await within(first(watched, 5))
            await until(lambda: local._passing)
            assert local._takers == (), "nothing is decoded or encoded"
            shown += await within(first(pair.bob.engine.watch("v"), 40))
            assert local._passing

            def is_encoded_for_little() -> bool:
                """The rate is said anew each time: what the far end reports meanwhile raises it again."""
                local.set_rate(PASSED, 150_000, Shape())
                return not local._passing

            await until(is_encoded_for_little)
            shown += await within(first(pair.bob.engine.watch("v"), 20))
            assert len(local._takers) == 1
    luma = [np.frombuffer(each.data, np.uint8)[: 640 * 480].reshape(480, 640) for each in shown]
    numbers = [read_counter(plane) for plane in luma]
    assert None not in numbers
    assert numbers == sorted(cast("list[int]", numbers))
