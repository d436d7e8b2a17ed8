"""`webrtc` views: a page, played by a bare peer, gets the very packets that a user sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.grading import Stream
from mediaagentd.media.types import VideoCodec, VideoFrame
from mediaagentd.media.views.types import LOCAL, View, WebrtcView

from tests.fakes.rtc import Recorder, decode, peer
from tests.integration.media.pair import Pair, Side, settings, until, within

H264, VP8 = VideoCodec.H264, VideoCodec.VP8


class Page:
    """What a web page does: offers, takes the answer, looks."""

    def __init__(self, *codecs: VideoCodec) -> None:
        self.seen = Recorder()
        self.peer = peer(self.seen, *codecs)

    async def show(self, pair: Pair, user_id: str, view_id: str = "page") -> View:
        view = View(view_id, user_id, WebrtcView(await self.peer.create_offer()))
        answer = await pair.alice.engine.start_view(view)
        assert await pair.alice.engine.start_view(view) == answer, "asked twice, answered alike"
        await self.peer.accept_answer(answer)
        await self.seen.until_connected()
        return view

    def numbers(self) -> list[int | None]:
        return [read_counter(luma) for luma in decode(self.seen.video)]


def sent_by(side: Side) -> list[VideoFrame]:
    """What goes to the other from the next keyframe on: a camera on a busy machine may leave out a number. It
    listens at the peer itself, since a view of the camera would be one more encoder.
    """
    sent: list[VideoFrame] = []
    leg = side.engine._board._links[side.other.user_id]._current
    assert leg is not None
    assert leg.peer is not None
    send = leg.peer.send_video

    def noted(frame: VideoFrame) -> None:
        if sent or frame.keyframe:
            sent.append(frame)
        send(frame)

    leg.peer.__dict__["send_video"] = noted
    return sent


@asynccontextmanager
async def page(*codecs: VideoCodec) -> AsyncIterator[Page]:
    made = Page(*codecs)
    try:
        yield made
    finally:
        await made.peer.close()


async def test_a_page_gets_a_copy_and_nothing_is_coded_for_it() -> None:
    async with Pair(settings("alice"), settings("bob", microphone="synthetic:700")) as pair, page() as shown:
        await pair.bob.open_camera()
        await pair.connect()
        sent = sent_by(pair.bob)
        await shown.show(pair, "bob")
        await shown.seen.until(lambda: len(shown.seen.video) >= 30 and len(shown.seen.audio) >= 30)
        numbers, all_sent = shown.numbers(), [read_counter(luma) for luma in decode(sent)]
        first = numbers[0]
        assert first is not None
        begin = all_sent.index(first)
        assert numbers == all_sent[begin : begin + len(numbers)], "every picture that was sent, none twice"
        assert shown.seen.video[0].keyframe
        assert pair.alice.figures().frames_decoded == 0
        assert pair.alice.engine._local.streams == frozenset()
        before = pair.bob.figures().stats.video_sent.keyframes

        def is_granted() -> bool:
            shown.peer.request_keyframe()  # again: the connection itself may just have asked
            return pair.bob.figures().stats.video_sent.keyframes > before

        await until(is_granted)
        await shown.peer.close()
        await until(lambda: pair.alice.engine.views() == ())


async def test_the_page_goes_on_when_the_connection_is_made_anew() -> None:
    async with Pair(settings("alice"), settings("bob", microphone="synthetic")) as pair, page() as shown:
        await pair.bob.open_camera()
        await pair.connect()
        await shown.show(pair, "bob")
        await shown.seen.until(lambda: len(shown.seen.video) >= 30)
        for side, offers in ((pair.alice, False), (pair.bob, True)):
            side.dial(offers=offers, attempt=3)
        before = len(shown.seen.video)
        await shown.seen.until(lambda: len(shown.seen.video) >= before + 30)
        times = [frame.pts for frame in shown.seen.video]
        assert times == sorted(set(times))
        assert max(b - a for a, b in pairwise(times)) < 90_000 * 5
        assert None not in shown.numbers()


async def test_the_local_camera_in_the_codec_that_the_page_takes() -> None:
    async with Pair(settings("alice", microphone="synthetic"), settings("bob")) as pair, page(VP8) as shown:
        await pair.alice.open_camera()
        await pair.connect()
        await shown.show(pair, LOCAL)
        await shown.seen.until(lambda: len(shown.seen.video) >= 10)
        await until(lambda: pair.bob.figures().stats.video_received.frames >= 10)
        assert pair.alice.engine._local.streams == {Stream(H264), Stream(VP8)}
        assert shown.seen.video[0].codec is VP8
        assert shown.seen.audio == [], "nobody wants to hear himself"
        pair.alice.engine.stop_view("page", LOCAL)
        assert pair.alice.engine._local.streams == {Stream(H264)}
        await shown.seen.until(lambda: bool(shown.seen.closed))


async def test_a_page_that_takes_another_codec_is_refused() -> None:
    alice, bob = settings("alice", codecs=(H264,)), settings("bob", codecs=(H264,))
    async with Pair(alice, bob) as pair, page(VP8) as shown:
        await pair.connect()
        with pytest.raises(Refused) as refused:
            await within(shown.show(pair, "bob"))
        assert refused.value.reason is Reason.CODEC_MISMATCH
        assert "codec" in refused.value.message
        assert pair.alice.engine.views() == ()


async def test_a_page_is_refused_what_is_no_offer_and_loses_one_who_leaves() -> None:
    async with Pair(settings("alice"), settings("bob")) as pair, page() as shown:
        await pair.connect()
        with pytest.raises(Refused) as refused:
            await pair.alice.engine.start_view(View("page", "bob", WebrtcView("v=0")))
        assert refused.value.reason is Reason.SIGNAL_INVALID
        assert refused.value.metadata["field"] == "webrtc.offer_sdp"
        assert pair.alice.engine.views() == ()
        await shown.show(pair, "bob")
        await until(lambda: bool(pair.alice.engine._gallery.copied_codecs("bob")))
        pair.alice.engine.set_in_call(False)
        await shown.seen.until(lambda: bool(shown.seen.closed))
