"""The engine over fake peers: what is encoded for whom."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.codec.video import VideoDecoder
from mediaagentd.media.grading import WORSE_FOR, Stream
from mediaagentd.media.types import AudioFrame, Feedback, Size, VideoCodec, VideoFrame, VideoProfile
from mediaagentd.media.views import gallery
from mediaagentd.media.views.gallery import MOST_VIEWS
from mediaagentd.media.views.types import LOCAL, FileView, View

from tests.unit.media.router.agent import PATIENCE, Agent, picture


async def test_one_encoder_serves_two_peers(agent: Agent) -> None:
    await agent.open_camera()
    agent.engine.set_sending(True, True)
    bob, carol = await agent.connect("bob"), await agent.connect("carol")
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(bob.sent(8), carol.sent(8))
    assert {id(frame) for frame in carol.video} <= {id(frame) for frame in bob.video}, "the very same frames"
    assert agent.engine._local.streams == {Stream(VideoCodec.H264)}
    agent.engine.set_sending(True, False)
    assert agent.engine._local.streams == frozenset()


async def test_nothing_runs_that_nobody_wants() -> None:
    agent = Agent(microphone="synthetic")
    await agent.engine.start()
    local = agent.engine._local

    def running() -> tuple[bool, bool, int, bool]:
        """Camera, microphone, encoders, playout."""
        heard = bool(agent.engine._board._heard)
        return local._camera is not None, local._listening._source is not None, len(local.streams), heard

    idle = (False, False, 0, False)
    assert running() == idle
    await agent.open_camera()
    assert running() == idle, "an open camera is not captured for nobody"
    agent.engine.set_sending(True, False)
    assert running() == idle
    await agent.connect("bob")
    assert running() == (False, True, 0, True), "an audio call"
    agent.engine.set_sending(True, True)
    assert running() == (True, True, 1, True)
    agent.engine.set_sending(False, True)
    assert running() == (True, False, 1, True), "muted"
    agent.engine.release_camera()
    assert running() == (False, False, 0, True)
    agent.engine.close_peer("call", "bob", 2)
    assert running() == idle
    await agent.engine.stop()


async def test_a_recording_of_the_camera_keeps_its_codec_in_a_call(agent: Agent, tmp_path: Path) -> None:
    agent.peers.codecs["carol"] = VideoCodec.VP8
    await agent.open_camera()
    await agent.engine.start_view(View("tape", LOCAL, FileView(str(tmp_path / "x.mkv"))))
    recorder = agent.engine._gallery._recorders["tape"]
    async with asyncio.timeout(PATIENCE):
        while recorder.codec is None:  # noqa: ASYNC110 # the first keyframe, which nothing tells of
            await asyncio.sleep(0.01)
    agent.engine.set_sending(True, True)
    carol = await agent.connect("carol")
    assert agent.engine._local.streams == {Stream(VideoCodec.H264), Stream(VideoCodec.VP8)}
    async with asyncio.timeout(PATIENCE):
        await carol.sent(15)
    agent.engine.stop_view("tape", LOCAL)
    assert agent.engine._local.streams == {Stream(VideoCodec.VP8)}
    await agent.engine._gallery.complete()
    with av.open(str(tmp_path / "x.mkv")) as file:
        assert len(list(file.decode(video=0))) >= 14


async def test_who_misses_pictures_that_a_recording_goes_on_with_gets_a_keyframe_first(
    agent: Agent, tmp_path: Path
) -> None:
    """What was encoded meanwhile is what the next pictures are made of, and no packet's number is missing."""
    await agent.open_camera()
    agent.engine.set_sending(True, True)
    bob = await agent.connect("bob")
    await agent.engine.start_view(View("tape", LOCAL, FileView(str(tmp_path / "x.mkv"))))
    async with asyncio.timeout(PATIENCE):
        await bob.sent(5)
        agent.engine.set_sending(True, False)
        before = len(bob.video)
        encoder = agent.engine._local._encoders[Stream(VideoCodec.H264)]._encoder
        while encoder._pts < bob.video[-1].pts + 9000:  # noqa: ASYNC110 # in a thread, which nothing tells of
            await asyncio.sleep(0.01)
        assert len(bob.video) == before
        agent.engine.set_sending(True, True)
        await bob.sent(before + 5)
    later = [frame.keyframe for frame in bob.video[before:]]
    assert later[0]
    assert sum(later) == 1


async def test_two_recordings_have_two_files(agent: Agent, tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    (tmp_path / "link.mkv").symlink_to(path)
    await agent.open_camera()
    await agent.engine.start_view(View("one", LOCAL, FileView(str(path))))
    for other in (path, tmp_path / "link.mkv", tmp_path / "." / "x.mkv"):
        with pytest.raises(Refused, match="path: another recording"):
            await agent.engine.start_view(View("two", LOCAL, FileView(str(other))))
    agent.engine.stop_view("one", LOCAL)
    await agent.engine.start_view(View("two", LOCAL, FileView(str(path))))
    agent.engine.stop_view("two", LOCAL)


async def test_a_file_system_that_stands_still_holds_up_nobody(
    agent: Agent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of a network whose server has gone; it would hold up the loop, and with it every call."""
    goes_on, opens = threading.Event(), os.open

    def slow(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).startswith(str(tmp_path)):
            goes_on.wait(2 * PATIENCE)
        return opens(path, flags, mode)

    paths = [tmp_path / f"{number}.mkv" for number in range(MOST_VIEWS)]
    paths[0].write_bytes(b"before")
    monkeypatch.setattr(os, "open", slow)
    monkeypatch.setattr(gallery, "OPEN", 0.2)
    views = [View(path.stem, LOCAL, FileView(str(path))) for path in paths]
    async with asyncio.timeout(PATIENCE):
        outcomes = await asyncio.gather(*map(agent.engine.start_view, views), return_exceptions=True)
    assert {each.reason for each in outcomes if isinstance(each, Refused)} == {Reason.TIMED_OUT}
    assert agent.engine.views() == ()
    with pytest.raises(Refused) as refused:
        await agent.engine.start_view(View("more", LOCAL, FileView(str(paths[0]))))
    assert refused.value.reason is Reason.LIMIT_EXCEEDED, "their threads are there still"
    goes_on.set()
    while any(each.writing for each in agent.engine._gallery._completing):  # noqa: ASYNC110 # threads
        await asyncio.sleep(0.01)
    assert paths[0].read_bytes() == b"before", "nothing is replaced any more"
    await agent.engine.start_view(views[0])


async def test_peers_of_two_codecs_get_their_own(agent: Agent) -> None:
    agent.peers.codecs["carol"] = VideoCodec.VP8
    await agent.open_camera()
    agent.engine.set_sending(False, True)
    bob, carol = await agent.connect("bob"), await agent.connect("carol")
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(bob.sent(3), carol.sent(3))
    assert {frame.codec for frame in bob.video} == {VideoCodec.H264}
    assert {frame.codec for frame in carol.video} == {VideoCodec.VP8}


async def test_keyframe_requests_of_many_make_one(agent: Agent) -> None:
    await agent.open_camera()
    agent.engine.set_sending(False, True)
    bob, carol = await agent.connect("bob"), await agent.connect("carol")
    async with asyncio.timeout(PATIENCE):
        await carol.sent(3)
        for _ in range(20):
            bob.link.on_keyframe_request()
            carol.link.on_keyframe_request()
        before = len(bob.video)
        await bob.sent(before + 25)
    later = [frame.keyframe for frame in bob.video[before:]]
    assert 1 <= sum(later) <= 2


async def test_feedback_reaches_the_encoder(agent: Agent) -> None:
    await agent.open_camera()
    agent.engine.set_sending(False, True)
    bob = await agent.connect("bob")
    bob.link.on_feedback(Feedback(300_000, 0.0, 0.05))
    assert agent.engine._local._encoders[Stream(VideoCodec.H264)]._bitrate == 250_000


async def test_a_weak_user_gets_a_smaller_picture_of_its_own(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, weak = Stream(VideoCodec.H264), Stream(VideoCodec.H264, weak=True)
    await agent.open_camera()
    agent.engine.set_sending(False, True)
    bob, carol = await agent.connect("bob"), await agent.connect("carol")
    board = agent.engine._board
    async with asyncio.timeout(PATIENCE):
        await carol.sent(2)
    began = time.monotonic()
    carol.link.on_feedback(Feedback(200_000, 0.0, 0.05))
    assert agent.engine._local.streams == {main}, "not at once"
    assert agent.engine._local._encoders[main]._bitrate == 150_000
    later = SimpleNamespace(monotonic=lambda: began + WORSE_FOR + 1)
    monkeypatch.setattr("mediaagentd.media.outgoing.time", later)
    carol.link.on_feedback(Feedback(200_000, 0.0, 0.05))
    assert agent.engine._local.streams == {main, weak}
    encoders = agent.engine._local._encoders
    assert (encoders[main]._bitrate, encoders[weak]._bitrate) == (800_000, 150_000)
    seen = len(bob.video), len(carol.video)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(bob.sent(seen[0] + 20), carol.sent(seen[1] + 20))
    assert {(size.width, size.height) for size in sizes(bob.video)} == {(640, 480)}
    assert {(size.width, size.height) for size in sizes(carol.video)} == {(640, 480), (480, 360)}
    times = [frame.pts for frame in carol.video]
    assert times == sorted(set(times))
    agent.engine.close_peer("call", "bob", 2)
    assert agent.engine._local.streams == {main}, "nobody needs two"
    before = len(carol.video)
    async with asyncio.timeout(PATIENCE):
        await carol.sent(before + 3)
    assert not board._outgoing.weak


def sizes(frames: list[VideoFrame]) -> list[Size]:
    """Of the pictures of a whole stream, as a decoder sees them."""
    decoder = VideoDecoder(VideoCodec.H264)
    pictures = [
        decoder.decode(frame) for frame in frames[next(i for i, f in enumerate(frames) if f.keyframe) :]
    ]
    return [Size(picture.frame.width, picture.frame.height) for picture in pictures if picture is not None]


async def test_an_echo_sends_back_what_it_gets() -> None:
    echo = Agent(echo=True)
    await echo.engine.start()
    await echo.open_camera()
    echo.engine.set_sending(True, True)
    bob, carol = await echo.connect("bob"), await echo.connect("carol")
    frame, sound = picture(), AudioFrame(b"sound", 0, 0.0, 7)
    bob.link.on_video(frame)
    bob.link.on_audio(sound)
    bob.link.on_keyframe_request()
    assert (bob.video, bob.audio) == ([frame], [sound])
    assert (carol.video, carol.audio) == ([], [])
    assert bob.keyframe_requests == 1
    await echo.engine.stop()
    assert bob.gone.is_set()


async def test_a_quality_chosen_in_a_call_is_for_the_next_one(agent: Agent) -> None:
    agent.engine.set_in_call(True)
    assert agent.engine.set_profile(VideoProfile.P720) is False
    local = agent.engine.local()
    assert (local.profile, local.active_profile) == (VideoProfile.P720, VideoProfile.P480)
    agent.engine.set_in_call(False)
    assert agent.engine.local().active_profile is VideoProfile.P720
    assert agent.engine.set_profile(VideoProfile.P1080) is True


async def test_a_quality_chosen_in_the_preview_is_seen_at_once(agent: Agent) -> None:
    await agent.open_camera()
    before = await agent.engine.snapshot(LOCAL, 80, PATIENCE)
    agent.engine.set_profile(VideoProfile.P720)
    after = await agent.engine.snapshot(LOCAL, None, PATIENCE)
    assert (before.size.height, after.size.height) == (480, 720)
    assert (before.image[:2], after.image[:4]) == (b"\xff\xd8", b"\x89PNG")
