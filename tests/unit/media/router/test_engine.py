"""The engine over fake peers: who gets what, and what is reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest
from mediaagentd.call.signal import AnswerSdp, Candidate, Offer, Rebuild, Signal
from mediaagentd.call.types import CameraFailed, CameraOpened, PeerDown, PeerUp, Report
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.codec.video import VideoDecoder
from mediaagentd.media.engine import MediaEngine
from mediaagentd.media.grading import WORSE_FOR, Stream
from mediaagentd.media.leg import SIGNALS
from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import AudioFrame, Feedback, Size, VideoCodec, VideoFrame, VideoProfile
from mediaagentd.media.views.types import LOCAL, FrameFormat, FramesView, View, WebrtcView, WindowView

from tests.fakes.media import FakePeer, FakePeers

PATIENCE = 10.0


class Agent:
    """An engine, its fake peers, and what it said."""

    def __init__(self, **changes: object) -> None:
        self.peers = FakePeers()
        self.reports: list[Report] = []
        self.signals: list[tuple[str, str, Signal]] = []
        self._changed = asyncio.Event()
        given = {"camera": "synthetic", "microphone": "none", "speaker": "null", "profile": VideoProfile.P480}
        self.engine = MediaEngine(
            MediaSettings(**{**given, **changes}),  # type: ignore[arg-type]
            report=self._report,
            send_signal=self._signal,
            make_peer=self.peers,
        )

    def _report(self, report: Report) -> None:
        self.reports.append(report)
        self._changed.set()

    def _signal(self, call_id: str, user_id: str, signal: Signal) -> None:
        self.signals.append((call_id, user_id, signal))
        self._changed.set()

    async def reported(self, report: Report) -> None:
        async with asyncio.timeout(PATIENCE):
            while report not in self.reports:
                self._changed.clear()
                await self._changed.wait()

    async def signalled(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.signals) < count:
                self._changed.clear()
                await self._changed.wait()

    async def connect(self, user_id: str, attempt: int = 2) -> FakePeer:
        """A connection that is up."""
        before = len(self.signals)
        self.engine.open_peer("call", user_id, attempt, True)
        await self.signalled(before + 1)
        peer = self.peers.of(user_id)
        peer.link.on_connected()
        await self.reported(PeerUp("call", user_id, attempt))
        return peer

    async def open_camera(self) -> None:
        self.engine.probe_camera(1)
        await self.reported(CameraOpened(1))


@pytest.fixture
async def agent() -> AsyncIterator[Agent]:
    one = Agent()
    await one.engine.start()
    yield one
    await one.engine.stop()


def picture(number: int = 0, *, keyframe: bool = True) -> VideoFrame:
    return VideoFrame(VideoCodec.H264, b"picture", number * 3000, keyframe, 0.0)


async def test_who_offers_sends_the_offer_and_takes_the_answer(agent: Agent) -> None:
    agent.engine.open_peer("call", "bob", 2, True)
    await agent.signalled(1)
    assert agent.signals == [("call", "bob", Signal(2, Offer("offer")))]
    for body in (
        Candidate("bad", "0"),
        Candidate("good", "0"),
        AnswerSdp("one"),
        AnswerSdp("two"),
        Offer("x"),
    ):
        agent.engine.receive_signal("call", "bob", Signal(2, body))
    peer = agent.peers.of("bob")
    agent.engine.receive_signal("call", "bob", Signal(2, Candidate("last", "0")))
    while "last" not in peer.candidates:
        peer.changed.clear()
        await asyncio.wait_for(peer.changed.wait(), PATIENCE)
    assert peer.accepted == ["one"], "a second answer and a strange offer are ignored"
    assert peer.candidates == ["good", "last"], "a bad candidate costs no call"


async def test_who_is_offered_answers_also_what_came_early(agent: Agent) -> None:
    agent.engine.receive_signal("call", "bob", Signal(1, Offer("old")))
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("new")))
    agent.engine.receive_signal("other", "bob", Signal(2, Offer("of another call")))
    agent.engine.open_peer("call", "bob", 2, False)
    await agent.signalled(1)
    assert agent.signals == [("call", "bob", Signal(2, AnswerSdp("answer")))]
    assert agent.peers.of("bob").accepted == ["new"]


async def test_what_comes_of_a_connection_that_was_just_closed_is_nobodys(agent: Agent) -> None:
    peer = await agent.connect("bob")
    agent.engine.close_peer("call", "bob", 2)
    peer.link.on_video(picture())  # was on the event loop already
    agent.engine.open_peer("call", "bob", 4, True)
    peer.link.on_video(picture(1))
    assert agent.engine._board.arrived("bob") == 0


async def test_a_bad_description_is_final_and_a_flood_is_bounded(agent: Agent) -> None:
    agent.engine.open_peer("call", "bob", 2, False)
    for _ in range(SIGNALS * 2):
        agent.engine.receive_signal("call", "bob", Signal(2, Offer("bad")))
    await agent.reported(PeerDown("call", "bob", 2))
    assert len([report for report in agent.reports if isinstance(report, PeerDown)]) == 1


async def test_a_newer_attempt_replaces_the_older_one(agent: Agent) -> None:
    old = await agent.connect("bob", 2)
    new = await agent.connect("bob", 3)
    old.link.on_closed("late")
    agent.engine.close_peer("call", "bob", 2)
    assert not new.link._over
    await asyncio.wait_for(old.gone.wait(), PATIENCE)
    assert len(agent.peers.made) == 2
    assert not any(isinstance(report, PeerDown) for report in agent.reports)


async def test_a_relay_is_left_when_there_is_a_new_address(agent: Agent) -> None:
    old = await agent.connect("bob")
    old.is_relayed = True
    here = frozenset({old.local_address or "", "192.0.2.2"})
    assert agent.engine.network_changed(here) == 0, "the same as before"
    assert agent.engine.network_changed(here, frozenset({"192.0.2.2"})) == 1
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Offer("offer"), 1))
    assert not any(isinstance(report, PeerDown) for report in agent.reports)


async def test_a_connection_is_made_anew_beside_the_old_one(agent: Agent) -> None:
    old = await agent.connect("bob")
    assert agent.engine.network_changed(frozenset({old.local_address or ""})) == 0
    assert old.probes == 1, "an address that is still there has to prove itself"
    assert agent.engine.network_changed(frozenset({"192.0.2.1", "192.0.2.2"}), frozenset({"192.0.2.2"})) == 0
    assert agent.engine.network_changed(frozenset()) == 1, "it has gone"
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Offer("offer"), 1))
    new = agent.peers.of("bob")
    for generation in (0, 1, 2):
        agent.engine.receive_signal("call", "bob", Signal(2, AnswerSdp(f"answer {generation}"), generation))
    while not new.accepted:
        new.changed.clear()
        await asyncio.wait_for(new.changed.wait(), PATIENCE)
    assert new.accepted == ["answer 1"]
    agent.engine._board._links["bob"].send_audio(AudioFrame(b"before", 0, 0.0))
    new.link.on_connected()
    agent.engine._board._links["bob"].send_audio(AudioFrame(b"after", 0, 0.0))
    assert [frame.data for frame in old.audio] == [b"before"]
    assert [frame.data for frame in new.audio] == [b"after"]
    (figures,) = agent.engine.figures()
    assert figures.stats.audio_sent.packets == 2, "totals go on, also while the old one lingers"
    old.link.on_closed("late", by_far_end=True)
    assert not any(isinstance(report, PeerDown) for report in agent.reports)


async def test_who_does_not_offer_asks(agent: Agent) -> None:
    agent.engine.open_peer("call", "bob", 2, False)
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("first")))
    await agent.signalled(1)
    agent.peers.of("bob").link.on_connected()
    agent.peers.of("bob").link.on_closed("connection lost")
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Rebuild(), 1))
    await agent.reported(PeerDown("call", "bob", 2, final=False))
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("second"), 1))
    await agent.signalled(3)
    assert agent.signals[2] == ("call", "bob", Signal(2, AnswerSdp("answer"), 1))
    agent.reports.clear()
    agent.peers.of("bob").link.on_connected()
    await agent.reported(PeerUp("call", "bob", 2))


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


async def test_a_camera_that_is_not_there() -> None:
    agent = Agent(camera="/dev/video99")
    await agent.engine.start()
    agent.engine.probe_camera(7)
    async with asyncio.timeout(PATIENCE):
        while not agent.reports:
            await agent._changed.wait()
    failed = cast("CameraFailed", agent.reports[0])
    assert (failed.op, failed.error.reason) == (7, Reason.DEVICE_NOT_FOUND)
    assert failed.error.metadata["code"] == "60004"
    await agent.engine.stop()


async def test_a_camera_that_is_lost_is_told(agent: Agent) -> None:
    await agent.open_camera()
    agent.engine._on_camera_lost(Refused(Reason.DEVICE_FAILED, "gone"))
    assert isinstance(agent.reports[-1], CameraFailed)
    assert agent.reports[-1].op == 0
    with pytest.raises(Refused) as refused:
        await agent.engine.snapshot(LOCAL, None, 1.0)
    assert refused.value.reason is Reason.NO_VIDEO


async def test_a_release_during_the_probe_wins(agent: Agent) -> None:
    agent.engine.probe_camera(1)
    agent.engine.release_camera()
    await agent.reported(CameraOpened(1))
    assert not agent.engine._camera_open


async def test_views_are_refused_as_documented(agent: Agent) -> None:
    frames = FramesView(FrameFormat.JPEG)
    with pytest.raises(Refused) as refused:
        await agent.engine.start_view(View("v", "bob", frames))
    assert refused.value.reason is Reason.USER_NOT_IN_CALL
    await agent.connect("bob")
    await agent.engine.start_view(View("v", "bob", frames))
    await agent.engine.start_view(View("v", "bob", frames))
    for view, reason in (
        (View("v", LOCAL, frames), Reason.VIEW_EXISTS),
        (View("w", "bob", WindowView("tv")), Reason.FIELD_INVALID),
        (View("x", "bob", WebrtcView("offer")), Reason.SIGNAL_INVALID),
    ):
        with pytest.raises(Refused) as refused:
            await agent.engine.start_view(view)
        assert refused.value.reason is reason
    for view_id, user_id in (("v", LOCAL), ("v", "carol"), ("w", None)):
        with pytest.raises(Refused) as refused:
            agent.engine.stop_view(view_id, user_id)
        assert refused.value.reason is Reason.VIEW_UNKNOWN
    with pytest.raises(Refused):
        agent.engine.watch("w")
    assert agent.engine.views() == (View("v", "bob", frames),)
    agent.engine.stop_view("v", None)
    assert agent.engine.views() == ()


async def test_the_views_of_one_who_leaves_end_but_outlive_a_new_attempt(agent: Agent) -> None:
    await agent.connect("bob", 2)
    await agent.engine.start_view(View("v", "bob", FramesView(FrameFormat.ENCODED)))
    watching = agent.engine.watch("v")
    waiting = asyncio.ensure_future(anext(watching, None))
    agent.engine.close_peer("call", "bob", 2)
    again = await agent.connect("bob", 3)
    again.link.on_video(picture())
    seen = await asyncio.wait_for(waiting, PATIENCE)
    assert seen is not None
    assert seen.data == b"picture"
    waiting = asyncio.ensure_future(anext(watching, None))
    agent.engine.close_peer("call", "bob", 3)
    assert await asyncio.wait_for(waiting, PATIENCE) is None
    assert agent.engine.views() == ()


async def test_snapshots_are_refused_as_documented(agent: Agent) -> None:
    for user_id, reason in (("bob", Reason.USER_NOT_IN_CALL), (LOCAL, Reason.NO_VIDEO)):
        with pytest.raises(Refused) as refused:
            await agent.engine.snapshot(user_id, None, 1.0)
        assert refused.value.reason is reason
    bob = await agent.connect("bob")
    with pytest.raises(Refused) as refused:
        await agent.engine.snapshot("bob", None, 0.05)
    assert refused.value.reason is Reason.NO_VIDEO
    assert bob.keyframe_requests == 1, "a decoder that starts asks for a keyframe"
    waiting = asyncio.ensure_future(agent.engine.snapshot("bob", None, 0.3))
    await asyncio.sleep(0)
    bob.link.on_video(picture(keyframe=False))
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.reason is Reason.TIMED_OUT


async def test_a_snapshot_of_one_who_leaves_ends_at_once(agent: Agent) -> None:
    await agent.connect("bob")
    waiting = asyncio.ensure_future(agent.engine.snapshot("bob", None, PATIENCE))
    await asyncio.sleep(0)
    agent.engine.close_peer("call", "bob", 2)
    with pytest.raises(Refused) as refused:
        await asyncio.wait_for(waiting, 1.0)
    assert refused.value.reason is Reason.USER_NOT_IN_CALL
