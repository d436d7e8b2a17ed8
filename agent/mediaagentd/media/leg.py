"""One generation of the connection with a user: owns one peer from its making to its end, and hands it
its signals in order. See `continuity` for why there are several.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from mediaagentd.call.signal import AnswerSdp, Candidate, Offer
from mediaagentd.errors import Refused
from mediaagentd.media.types import AudioFrame, Feedback, Hearing, PeerStats, VideoCodec, VideoFrame

_log = structlog.stdlib.get_logger()

LegSignal = Offer | AnswerSdp | Candidate

SIGNALS = 256
"""Signals that may wait to be processed; more is a far end that floods, and is dropped."""


class PeerPort(Protocol):
    """What we need of `rtc.peer.Peer`."""

    @property
    def video_codec(self) -> VideoCodec | None:
        """The codec of our video."""

    @property
    def hearing(self) -> Hearing:
        """How the far end hears our sound."""

    @property
    def heard(self) -> float:
        """When anything authentic last came from the far end, in the loop's time; -inf before."""

    @property
    def addresses(self) -> frozenset[str]:
        """Of this machine, where it may be reached; none before they are gathered."""

    @property
    def local_address(self) -> str | None:
        """The address of this machine that it goes over; None before it is connected."""

    @property
    def is_relayed(self) -> bool:
        """Whether it goes over a relay."""

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

    def probe(self) -> None:
        """Asks the far end for a sign of life."""

    def stats(self) -> PeerStats:
        """Totals."""

    def kill(self) -> None:
        """Loses the connection, on purpose and without a word to the far end."""

    async def close(self) -> None:
        """Under a deadline."""


class LegOwner(Protocol):
    """What a leg tells its link; on the loop, must not block. Nothing after `close`."""

    def on_leg_connected(self, leg: Leg) -> None:
        """It is up."""

    def on_leg_closed(self, leg: Leg, reason: str, *, final: bool) -> None:
        """It has failed or ended; once."""

    def on_leg_described(self, leg: Leg) -> None:
        """The far end's answer was taken."""

    def on_leg_signal(self, leg: Leg, body: LegSignal) -> None:
        """For the far end."""

    def on_leg_video(self, leg: Leg, frame: VideoFrame) -> None:
        """A remote picture."""

    def on_leg_audio(self, leg: Leg, frame: AudioFrame) -> None:
        """Remote sound."""

    def on_leg_keyframe_request(self, leg: Leg) -> None:
        """The far end wants a keyframe."""

    def on_leg_feedback(self, leg: Leg, feedback: Feedback) -> None:
        """What the far end says of our video."""

    def on_leg_audio_loss(self, leg: Leg, loss: float) -> None:
        """The fraction of our sound that the far end loses."""


MakePeer = Callable[["Leg"], PeerPort]


class Leg:
    """It is its peer's observer."""

    def __init__(
        self, generation: int, user_id: str, *, offers: bool, owner: LegOwner, make_peer: MakePeer
    ) -> None:
        self.generation = generation
        self.user_id = user_id
        self.peer: PeerPort | None = None
        self._offers = offers
        self._owner = owner
        self._make_peer = make_peer
        self._signals: asyncio.Queue[LegSignal] = asyncio.Queue(SIGNALS)
        self._described = False
        self._flooded = False
        self._over = False
        self._task = asyncio.create_task(self._run(), name=f"link {user_id} {generation}")

    def receive(self, body: LegSignal) -> None:
        """A signal of this generation."""
        try:
            self._signals.put_nowait(body)
        except asyncio.QueueFull:
            if not self._flooded:
                _log.warning("link_signals_dropped", user_id=self.user_id)
            self._flooded = True

    async def close(self) -> None:
        """Ends it; nothing is told after it."""
        self._over = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self.peer is not None:
            await self.peer.close()

    # --- observer of the peer -------------------------------------------------------------------------

    def on_connected(self) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_leg_connected(self)

    def on_closed(self, reason: str, *, by_far_end: bool = False) -> None:
        """See `PeerObserver`."""
        self._fail(reason, final=by_far_end)

    def on_candidate(self, candidate: str, mid: str) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_leg_signal(self, Candidate(candidate, mid))

    def on_video(self, frame: VideoFrame) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_leg_video(self, frame)

    def on_audio(self, frame: AudioFrame) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_leg_audio(self, frame)

    def on_keyframe_request(self) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_leg_keyframe_request(self)

    def on_feedback(self, feedback: Feedback) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_leg_feedback(self, feedback)

    def on_audio_loss(self, loss: float) -> None:
        """See `PeerObserver`."""
        if not self._over:
            self._owner.on_leg_audio_loss(self, loss)

    # --- signals --------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            self.peer = self._make_peer(self)
            if self._offers:
                self._owner.on_leg_signal(self, Offer(await self.peer.create_offer()))
            while True:
                await self._process(self.peer, await self._signals.get())
        except Refused as refused:
            self._fail(refused.message, final=True)
        except Exception as error:  # the library's errors end this connection, not the daemon
            _log.error("link_failed", user_id=self.user_id, error=type(error).__name__, exc_info=True)
            self._fail(type(error).__name__, final=True)

    async def _process(self, peer: PeerPort, body: LegSignal) -> None:
        match body:
            case Candidate():
                await self._tolerant(peer.add_candidate(body.candidate, body.mid))
            case Offer() if not self._offers and not self._described:
                answer = await peer.accept_offer(body.sdp)
                self._described = True
                self._owner.on_leg_signal(self, AnswerSdp(answer))
            case AnswerSdp() if self._offers and not self._described:
                await peer.accept_answer(body.sdp)
                self._described = True
                self._owner.on_leg_described(self)
            case _:  # told twice, or by the wrong side
                _log.info("link_signal_ignored", user_id=self.user_id, kind=type(body).__name__)

    async def _tolerant(self, adding: Awaitable[None]) -> None:
        """A candidate that cannot be used costs no call."""
        try:
            await adding
        except Refused as refused:
            _log.info("link_candidate_refused", user_id=self.user_id, reason=refused.reason.name)

    def _fail(self, reason: str, *, final: bool) -> None:
        if not self._over:
            self._over = True
            self._owner.on_leg_closed(self, reason, final=final)
