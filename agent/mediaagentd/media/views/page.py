"""A `webrtc` view: a web page on this device receives a user's packets over WebRTC, copied.

Nothing is decoded or encoded for it. Since there is one sender of the packets and it heeds its peers, the
page's feedback changes nothing; its requests for keyframes are passed on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import structlog

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import AUDIO_CLOCK, VIDEO_CLOCK, AudioFrame, Feedback, VideoCodec, VideoFrame
from mediaagentd.media.views.timeline import Timeline

_log = structlog.stdlib.get_logger()

ANSWER = 5.0
"""Seconds that an answer may take; without servers it takes some milliseconds."""

OFFER = "webrtc.offer_sdp"
"""The field of a request that holds the page's offer."""


class Page:
    """The connection with one page; on the event loop.

    `codecs` are those in which the video may come, the likeliest first: the page is promised the first that
    it takes. `up` is called when the page is connected, `keyframe` when it needs one, `gone` once when it has
    left by itself.
    """

    def __init__(
        self,
        codecs: Sequence[VideoCodec],
        *,
        up: Callable[[], None],
        keyframe: Callable[[], None],
        gone: Callable[[], None],
    ) -> None:
        self._up = up
        self._keyframe = keyframe
        self._gone = gone
        self._peer = Peer(ice_servers=(), video_codecs=codecs, observer=self, allow_loopback=True)
        self._video, self._audio = Timeline(VIDEO_CLOCK), Timeline(AUDIO_CLOCK)
        self._answer: asyncio.Task[str] | None = None
        self._closed = False

    @property
    def codec(self) -> VideoCodec | None:
        """What the page wants now; None while it is not connected."""
        return self._peer.video_codec if self._peer.connected else None

    async def answer(self, offer: str) -> str:
        """The answer to the page's one offer; the same when it is asked for again.

        Raises: Refused SIGNAL_INVALID for an offer that is none, CODEC_MISMATCH when the page takes no video
        in a codec in which it comes.
        """
        if self._answer is None:
            self._answer = asyncio.create_task(self._negotiate(offer), name="page-answer")
        return await asyncio.shield(self._answer)

    def video(self, frame: VideoFrame) -> None:
        """Copies a picture. A stream that has changed to a codec that the page was not promised ends the
        view: the page may offer again.
        """
        codec = self.codec
        if codec is None:
            return
        if frame.codec is not codec:
            _log.info("view_codec_changed", codec=frame.codec.value)
            self._leave()
            return
        pts = self._video.place(frame.pts, frame.captured)
        if pts is not None:
            self._peer.send_video(frame._replace(pts=pts))

    def audio(self, frame: AudioFrame) -> None:
        """Copies a packet of sound."""
        pts = self._audio.place(frame.pts, frame.captured)
        if pts is not None:
            self._peer.send_audio(frame._replace(pts=pts))

    async def close(self) -> None:
        """Ends the connection, for a bounded time; nothing is told after it."""
        self._closed = True
        await self._peer.close()
        if self._answer is not None:
            await asyncio.gather(self._answer, return_exceptions=True)

    # --- observer of the peer -------------------------------------------------------------------------

    def on_connected(self) -> None:
        """See `PeerObserver`: the page sees nothing before a keyframe."""
        self._up()
        self._keyframe()

    def on_closed(self, reason: str, *, by_far_end: bool = False) -> None:  # noqa: ARG002 - the port's
        """See `PeerObserver`."""
        self._leave()

    def on_candidate(self, candidate: str, mid: str) -> None:
        """See `PeerObserver`: without servers none comes late."""

    def on_video(self, frame: VideoFrame) -> None:
        """See `PeerObserver`: what a page sends is not looked at."""

    def on_audio(self, frame: AudioFrame) -> None:
        """See `PeerObserver`: nor listened to."""

    def on_keyframe_request(self) -> None:
        """See `PeerObserver`."""
        self._keyframe()

    def on_feedback(self, feedback: Feedback) -> None:
        """See `PeerObserver`."""

    def on_audio_loss(self, loss: float) -> None:
        """See `PeerObserver`."""

    async def _negotiate(self, offer: str) -> str:
        try:
            async with asyncio.timeout(ANSWER):
                answer = await self._peer.accept_offer(offer)
        except Refused as refused:
            raise _named(refused.reason, refused.message) from None
        if self._peer.video_codec is None:
            raise _named(Reason.CODEC_MISMATCH, "the page takes no video")
        return answer

    def _leave(self) -> None:
        if not self._closed:
            self._closed = True
            self._gone()


def _named(reason: Reason, rule: str) -> Refused:
    """The refusal of an offer, with the field of the request that it came in."""
    return Refused(reason, f"{OFFER}: {rule}", {"field": OFFER})
