"""Chromium as the far end of a link that is made anew under the same call, whoever of the two offers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mediaagentd.call.signal import AnswerSdp, Offer, Rebuild, Signal
from mediaagentd.call.types import CameraOpened, PeerDown, PeerUp, Report
from mediaagentd.media.engine import MediaEngine
from mediaagentd.media.types import VideoCodec
from playwright.async_api import Page

from tests.integration.media.pair import CALL, PATIENCE, settings, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTEMPT = 2


class Call:
    """An engine in a call with the page, and what passes between them, in order."""

    def __init__(self, page: Page, codec: VideoCodec) -> None:
        self._page = page
        self.reports: asyncio.Queue[Report] = asyncio.Queue()
        self._signals: asyncio.Queue[Signal] = asyncio.Queue()
        self.engine = MediaEngine(
            settings("ours", microphone="synthetic", codecs=(codec,)),
            report=self.reports.put_nowait,
            send_signal=lambda _call, _user, signal: self._signals.put_nowait(signal),
        )
        self._passing = asyncio.create_task(self._pass())

    async def begin(self, *, offers: bool) -> None:
        """Until both are up."""
        await self.engine.start()
        self.engine.probe_camera(1)
        await self.reported(CameraOpened)
        self.engine.set_sending(True, True)
        self.engine.set_in_call(True)
        self.engine.open_peer(CALL, "page", ATTEMPT, offers)
        if not offers:
            await self._offer(0)
        await self.reported(PeerUp)

    async def end(self) -> None:
        self._passing.cancel()
        await asyncio.gather(self._passing, return_exceptions=True)
        await self.engine.stop()

    async def reported(self, kind: type[Report]) -> Report:
        """The next report, which is of that kind."""
        report = await asyncio.wait_for(self.reports.get(), PATIENCE)
        assert isinstance(report, kind), report
        return report

    async def shown(self, generation: int) -> dict[str, Any]:
        """What the page says once it has seen and heard enough of us over that generation."""
        async with asyncio.timeout(PATIENCE):
            while True:
                stats: dict[str, Any] = await self._page.evaluate("farEnd.stats()")
                assert stats["generation"] <= generation
                if stats["generation"] == generation and stats["decoded"] > 10 < stats.get("heard", 0):
                    return stats
                await asyncio.sleep(0.05)

    async def _pass(self) -> None:
        while True:
            signal = await self._signals.get()
            match signal.body:
                case Offer(sdp):
                    arguments = [signal.generation, sdp]
                    answer = await self._page.evaluate("([g, sdp]) => farEnd.answer(g, sdp)", arguments)
                    self._receive(AnswerSdp(answer), signal.generation)
                case AnswerSdp(sdp):
                    await self._page.evaluate("([g, sdp]) => farEnd.accept(g, sdp)", [signal.generation, sdp])
                case Rebuild():
                    await self._offer(signal.generation)

    async def _offer(self, generation: int) -> None:
        self._receive(Offer(await self._page.evaluate("(g) => farEnd.offer(g)", generation)), generation)

    def _receive(self, body: Offer | AnswerSdp, generation: int) -> None:
        self.engine.receive_signal(CALL, "page", Signal(ATTEMPT, body, generation))


@pytest.mark.parametrize(
    ("offers", "codec"), [(True, VideoCodec.VP8), (False, VideoCodec.H264)], ids=["ours", "theirs"]
)
async def test_the_connection_is_made_anew(rebuilt: Page, offers: bool, codec: VideoCodec) -> None:
    """First beside the one that works, and nobody hears of it; then after it is lost."""
    call = Call(rebuilt, codec)
    try:
        await call.begin(offers=offers)
        await call.shown(0)
        assert call.engine.network_changed(None) == 1
        await call.reported(PeerUp)
        await call.shown(1)
        await _is_seen_and_heard(call.engine)
        call.engine.kill_peer("page")
        lost = await call.reported(PeerDown)
        assert isinstance(lost, PeerDown)
        assert not lost.final
        await call.reported(PeerUp)
        stats = await call.shown(2)
        assert stats["keyframes"] >= 1
        await _is_seen_and_heard(call.engine)
        assert call.reports.empty()
    finally:
        await call.end()


async def _is_seen_and_heard(engine: MediaEngine) -> None:
    """The page is: a decoder that begins asks it for a keyframe, and its sound goes on."""
    (before,) = engine.figures()
    keyframes = before.stats.video_received.keyframes
    snapshot = await engine.snapshot("page", None, PATIENCE)
    assert snapshot.image.startswith(b"\x89PNG")
    assert engine.figures()[0].stats.video_received.keyframes > keyframes
    await until(lambda: engine.figures()[0].audio_slots_played > before.audio_slots_played + 10)
