"""The media connection with one user: makes the peer, passes the signals, keeps the figures."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from mediaagentd.call.signal import AnswerSdp, Candidate, Offer, Signal
from mediaagentd.errors import Refused
from mediaagentd.media.router import RateControl
from mediaagentd.media.types import AudioFrame, Feedback, PeerStats, VideoCodec, VideoFrame, VideoProfile

_log = structlog.stdlib.get_logger()

SignalBody = Offer | AnswerSdp | Candidate

EARLY_SIGNALS = 128
"""Signals kept for attempts that are not open yet."""

SIGNALS = 256
"""Signals that may wait to be processed; more is a far end that floods, and is dropped."""


class PeerPort(Protocol):
    """What we need of `rtc.peer.Peer`."""

    @property
    def video_codec(self) -> VideoCodec | None:
        """The codec of our video."""

    async def create_offer(self) -> str:
        """Our offer."""

    async def accept_offer(self, sdp: str) -> str:
        """Our answer. Raises: Refused."""

    async def accept_answer(self, sdp: str) -> None:
        """Raises: Refused."""

    async def add_candidate(self, candidate: str, mid: str) -> None:
        """Raises: Refused."""

    def send_video(self, frame: VideoFrame) -> None:
        """Queues a picture."""

    def send_audio(self, frame: AudioFrame) -> None:
        """Queues a packet of sound."""

    def request_keyframe(self) -> None:
        """Asks the far end."""

    def stats(self) -> PeerStats:
        """Totals."""

    async def close(self) -> None:
        """Under a deadline."""


class LinkOwner(Protocol):
    """What a link tells the engine; on the loop, must not block."""

    def on_up(self, link: Link) -> None:
        """Connected."""

    def on_down(self, link: Link, reason: str) -> None:
        """Failed or lost, for good; once."""

    def on_video(self, link: Link, frame: VideoFrame) -> None:
        """A remote picture."""

    def on_audio(self, link: Link, frame: AudioFrame) -> None:
        """Remote sound."""

    def on_keyframe_request(self, link: Link) -> None:
        """The far end wants a keyframe."""

    def on_feedback(self, link: Link) -> None:
        """`link.rate` or `link.audio_loss` has changed."""


MakePeer = Callable[["Link"], PeerPort]


@dataclass(frozen=True, slots=True)
class LinkKey:
    """Names one attempt to connect with a user."""

    call_id: str
    user_id: str
    attempt: int


class EarlySignals:
    """Signals of attempts that are not open yet, of all users together; when full the oldest goes."""

    def __init__(self) -> None:
        self._kept: deque[tuple[LinkKey, SignalBody]] = deque(maxlen=EARLY_SIGNALS)

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: LinkKey, body: SignalBody) -> None:
        """For later."""
        self._kept.append((key, body))

    def take(self, key: LinkKey) -> list[SignalBody]:
        """Those of that attempt, in order. Those of older ones of the same user are forgotten."""
        kept = list(self._kept)
        self._kept.clear()
        self._kept.extend(
            (each, body)
            for each, body in kept
            if each.user_id != key.user_id or (each.call_id == key.call_id and each.attempt > key.attempt)
        )
        return [body for each, body in kept if each == key]


class Link:
    """Owns one peer, from open to close. It is the peer's observer."""

    def __init__(
        self,
        key: LinkKey,
        *,
        offers: bool,
        profile: VideoProfile,
        owner: LinkOwner,
        make_peer: MakePeer,
        send: Callable[[LinkKey, Signal], None],
    ) -> None:
        self.key = key
        self.rate = RateControl(profile)
        self.audio_loss = 0.0
        """Fraction of our sound that is lost on the way to that user."""
        self.opened = time.monotonic()
        self.connected: float | None = None
        self.first_arrival: float | None = None
        self._offers = offers
        self._owner = owner
        self._make_peer = make_peer
        self._send = send
        self._peer: PeerPort | None = None
        self._signals: asyncio.Queue[SignalBody] = asyncio.Queue(SIGNALS)
        self._described = False
        self._flooded = False
        self._over = False
        self._task = asyncio.create_task(self._run(), name=f"link {key.user_id}")

    @property
    def user_id(self) -> str:
        """Whose."""
        return self.key.user_id

    @property
    def is_up(self) -> bool:
        """Whether media flows."""
        return self.connected is not None and not self._over

    @property
    def video_codec(self) -> VideoCodec | None:
        """The codec of our video to that user."""
        return self._peer.video_codec if self._peer is not None else None

    def stats(self) -> PeerStats | None:
        """Totals; None before there is a peer."""
        return self._peer.stats() if self._peer is not None else None

    def receive(self, body: SignalBody) -> None:
        """A signal of this attempt."""
        try:
            self._signals.put_nowait(body)
        except asyncio.QueueFull:
            if not self._flooded:
                _log.warning("link_signals_dropped", user_id=self.user_id)
            self._flooded = True

    def send_video(self, frame: VideoFrame) -> None:
        """To that user, when connected."""
        if self._peer is not None and self.is_up:
            self._peer.send_video(frame)

    def send_audio(self, frame: AudioFrame) -> None:
        """To that user, when connected."""
        if self._peer is not None and self.is_up:
            self._peer.send_audio(frame)

    def request_keyframe(self) -> None:
        """Of that user's video."""
        if self._peer is not None and self.is_up:
            self._peer.request_keyframe()

    async def close(self) -> None:
        """Ends it; nothing is told after it."""
        self._over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._peer is not None:
            await self._peer.close()

    # --- observer of the peer -------------------------------------------------------------------------

    def on_connected(self) -> None:
        """See `PeerObserver`."""
        if not self._over and self.connected is None:
            self.connected = time.monotonic()
            self._owner.on_up(self)

    def on_closed(self, reason: str) -> None:
        """See `PeerObserver`."""
        self._fail(reason)

    def on_video(self, frame: VideoFrame) -> None:
        """See `PeerObserver`."""
        if self.first_arrival is None:
            self.first_arrival = time.monotonic()
        if not self._over:
            self._owner.on_video(self, frame)

    def on_audio(self, frame: AudioFrame) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_audio(self, frame)

    def on_keyframe_request(self) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_keyframe_request(self)

    def on_feedback(self, feedback: Feedback) -> None:
        """See `PeerObserver`."""
        self.rate.feedback(feedback, time.monotonic())
        if not self._over:
            self._owner.on_feedback(self)

    def on_audio_loss(self, loss: float) -> None:
        """See `PeerObserver`."""
        self.audio_loss = loss
        if not self._over:
            self._owner.on_feedback(self)

    # --- signals --------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            self._peer = self._make_peer(self)
            if self._offers:
                self._send(self.key, Signal(self.key.attempt, Offer(await self._peer.create_offer())))
            while True:
                await self._process(self._peer, await self._signals.get())
        except Refused as refused:
            self._fail(refused.message)
        except Exception as error:  # the library's errors end this link, not the daemon
            _log.error("link_failed", user_id=self.user_id, error=type(error).__name__, exc_info=True)
            self._fail(type(error).__name__)

    async def _process(self, peer: PeerPort, body: SignalBody) -> None:
        match body:
            case Candidate():
                await self._tolerant(peer.add_candidate(body.candidate, body.mid))
            case Offer() if not self._offers and not self._described:
                answer = await peer.accept_offer(body.sdp)
                self._described = True
                self._send(self.key, Signal(self.key.attempt, AnswerSdp(answer)))
            case AnswerSdp() if self._offers and not self._described:
                await peer.accept_answer(body.sdp)
                self._described = True
            case _:  # told twice, or by the wrong side
                _log.info("link_signal_ignored", user_id=self.user_id, kind=type(body).__name__)

    async def _tolerant(self, adding: Awaitable[None]) -> None:
        """A candidate that cannot be used costs no call."""
        try:
            await adding
        except Refused as refused:
            _log.info("link_candidate_refused", user_id=self.user_id, reason=refused.reason.name)

    def _fail(self, reason: str) -> None:
        if not self._over:
            self._over = True
            self._owner.on_down(self, reason)
