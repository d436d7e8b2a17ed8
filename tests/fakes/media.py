"""Fakes of media's ports: a peer that is connected by a word, and pictures without a codec."""

from __future__ import annotations

import asyncio

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.leg import Leg
from mediaagentd.media.types import UNSAID, AudioFrame, PeerStats, StreamStats, VideoCodec, VideoFrame


class FakePeer:
    """Implements `link.PeerPort`; keeps what it was told. Descriptions that begin with "bad" are refused."""

    def __init__(self, link: Leg, codec: VideoCodec | None = VideoCodec.H264) -> None:
        self.link = link
        self.codec = codec
        self.video: list[VideoFrame] = []
        self.audio: list[AudioFrame] = []
        self.accepted: list[str] = []
        self.candidates: list[str] = []
        self.keyframe_requests = 0
        self.probes = 0
        self.silent_since: float | None = None
        self.hearing = UNSAID
        self.is_relayed = False
        self.addresses = frozenset({"192.0.2.1"})
        self.local_address: str | None = "192.0.2.1"
        self.gone = asyncio.Event()
        self.changed = asyncio.Event()

    @property
    def video_codec(self) -> VideoCodec | None:
        return self.codec

    @property
    def heard(self) -> float:
        return asyncio.get_running_loop().time() if self.silent_since is None else self.silent_since

    def probe(self) -> None:
        self.probes += 1

    async def create_offer(self) -> str:
        return "offer"

    async def accept_offer(self, sdp: str) -> str:
        self._accept(sdp)
        return "answer"

    async def accept_answer(self, sdp: str) -> None:
        self._accept(sdp)

    async def add_candidate(self, candidate: str, mid: str) -> None:
        if candidate.startswith("bad"):
            raise Refused(Reason.SIGNAL_INVALID, "candidate: bad")
        self.candidates.append(candidate)
        self.changed.set()

    def send_video(self, frame: VideoFrame) -> None:
        self.video.append(frame)
        self.changed.set()

    def send_audio(self, frame: AudioFrame) -> None:
        self.audio.append(frame)
        self.changed.set()

    def request_keyframe(self) -> None:
        self.keyframe_requests += 1
        self.changed.set()

    def stats(self) -> PeerStats:
        none = StreamStats()
        return PeerStats(StreamStats(packets=len(self.audio)), none, none, none, self.codec, None, 0.0)

    def kill(self) -> None:
        self.link.on_closed("connection lost")

    async def close(self) -> None:
        self.gone.set()

    async def sent(self, pictures: int) -> None:
        """Waits until that many pictures were sent."""
        while len(self.video) < pictures:
            self.changed.clear()
            await self.changed.wait()

    def _accept(self, sdp: str) -> None:
        if sdp.startswith("bad"):
            raise Refused(Reason.SIGNAL_INVALID, "sdp: bad")
        self.accepted.append(sdp)
        self.changed.set()


class FakePeers:
    """Makes fake peers for an engine (`MediaEngine(make_peer=...)`) and finds them by user."""

    def __init__(self) -> None:
        self.made: list[FakePeer] = []
        self.codecs: dict[str, VideoCodec | None] = {}

    def __call__(self, link: Leg) -> FakePeer:
        peer = FakePeer(link, self.codecs.get(link.user_id, VideoCodec.H264))
        self.made.append(peer)
        return peer

    def of(self, user_id: str) -> FakePeer:
        """The newest peer of that user."""
        return next(peer for peer in reversed(self.made) if peer.link.user_id == user_id)
