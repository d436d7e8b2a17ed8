"""Two media engines in one process whose signals pass from hand to hand: no hub, no sockets but media's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from mediaagentd.call.signal import Signal
from mediaagentd.call.types import CameraFailed, CameraOpened, PeerDown, PeerUp, Report
from mediaagentd.media.engine import MediaEngine
from mediaagentd.media.settings import MediaSettings, PeerFigures
from mediaagentd.media.types import VideoCodec, VideoProfile

from tests.fakes.pictures import read_counter_in_image

T = TypeVar("T")

CALL = "call-1"
PATIENCE = 15.0


class Side:
    """One engine, what it reported, and its far end."""

    def __init__(self, user_id: str, settings: MediaSettings) -> None:
        self.user_id = user_id
        self.other: Side
        self.reports: list[Report] = []
        self._changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.engine = MediaEngine(settings, report=self._note, send_signal=self._signal)

    def _note(self, report: Report) -> None:
        self.reports.append(report)
        self._changed.set()

    def _signal(self, call_id: str, user_id: str, signal: Signal) -> None:
        assert user_id == self.other.user_id
        self._loop.call_soon(self.other.engine.receive_signal, call_id, self.user_id, signal)

    async def reported(self, kind: type[T]) -> T:
        """The first report of that kind, which is taken away."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for report in self.reports:
                    if isinstance(report, kind):
                        self.reports.remove(report)
                        return report
                self._changed.clear()
                await self._changed.wait()

    def dial(self, *, offers: bool, attempt: int = 2) -> None:
        self.engine.set_in_call(True)
        self.engine.open_peer(CALL, self.other.user_id, attempt, offers)

    async def open_camera(self, op: int = 1) -> None:
        self.engine.probe_camera(op)
        opened = await self.reported(CameraOpened)
        assert opened.op == op

    async def sees(self) -> int:
        """The number in the next picture of the other; fails when there is none."""
        snapshot = await self.engine.snapshot(self.other.user_id, None, PATIENCE)
        number = read_counter_in_image(snapshot.image)
        assert number is not None
        return number

    def figures(self) -> PeerFigures:
        (figures,) = self.engine.figures()
        return figures


class Pair:
    """Alice, who is called, and Bob, who joins later and so makes the offer."""

    def __init__(self, alice: MediaSettings, bob: MediaSettings) -> None:
        self.alice, self.bob = Side("alice", alice), Side("bob", bob)
        self.alice.other, self.bob.other = self.bob, self.alice

    async def __aenter__(self) -> Pair:
        await asyncio.gather(self.alice.engine.start(), self.bob.engine.start())
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self.alice.engine.stop(), self.bob.engine.stop())

    async def connect(self, *, audio: bool = True, video: bool = True) -> None:
        """Both in a call, both up."""
        for side, offers in ((self.alice, False), (self.bob, True)):
            side.engine.set_sending(audio, video)
            side.dial(offers=offers)
        await asyncio.gather(self.alice.reported(PeerUp), self.bob.reported(PeerUp))


def settings(
    label: str,
    *,
    profile: VideoProfile = VideoProfile.P480,
    microphone: str = "none",
    speaker: str = "null",
    echo: bool = False,
    codecs: tuple[VideoCodec, ...] = (VideoCodec.H264, VideoCodec.VP8),
) -> MediaSettings:
    """Synthetic devices."""
    return MediaSettings(
        camera="synthetic",
        microphone=microphone,
        speaker=speaker,
        video_codecs=codecs,
        label=label,
        profile=profile,
        echo=echo,
    )


async def until(condition: Callable[[], bool]) -> None:
    """Waits until it holds; for figures, which nothing announces."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 # a counter has no event
            await asyncio.sleep(0.01)


async def within(waited: Awaitable[T]) -> T:
    """Under the tests' patience."""
    return await asyncio.wait_for(waited, PATIENCE)


__all__ = ["CALL", "CameraFailed", "Pair", "PeerDown", "PeerUp", "Side", "settings", "until", "within"]
