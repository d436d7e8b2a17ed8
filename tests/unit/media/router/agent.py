"""An engine over fake peers."""

from __future__ import annotations

import asyncio

from mediaagentd.call.signal import Signal
from mediaagentd.call.types import CameraOpened, PeerUp, Report
from mediaagentd.media.engine import MediaEngine
from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import VideoCodec, VideoFrame, VideoProfile

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


def picture(number: int = 0, *, keyframe: bool = True) -> VideoFrame:
    return VideoFrame(VideoCodec.H264, b"picture", number * 3000, keyframe, 0.0)
