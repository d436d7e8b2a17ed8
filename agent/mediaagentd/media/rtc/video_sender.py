"""Pictures out: the newest wins, large ones are spread."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Final

from aiortc.rtp import RtcpReceiverInfo

from mediaagentd.media.rtc.outbox import VideoOutbox
from mediaagentd.media.rtc.payload import PICTURE_IDS, packetize
from mediaagentd.media.rtc.sender import Sender
from mediaagentd.media.rtc.wire import Wire
from mediaagentd.media.types import VIDEO_CLOCK, Feedback, StreamStats, VideoCodec, VideoFrame

HISTORY = 1024
"""Packets kept for retransmission; as many as our receivers hold."""

KEYFRAME_GAP = 0.2
"""Seconds between two keyframe requests that are passed on; a flood of PLI costs nothing more."""

BURST: Final = 10
GROUP: Final = 5
"""Packets of a frame that leave at once, and then between two pauses: 13 kB are no burst to anybody."""

PACE: Final = 6_000_000
LEAST_PACE: Final = 1_000_000
PACE_FACTOR: Final = 3
"""Bits a second at which the rest of a large frame leaves: without an estimate, at least, and as a multiple
of the estimate.
"""


class VideoSender(Sender):
    """Encoded pictures out."""

    _history_bound = HISTORY

    def __init__(
        self,
        wire: Wire,
        on_keyframe_request: Callable[[], None],
        on_feedback: Callable[[Feedback], None],
    ) -> None:
        super().__init__("video", VIDEO_CLOCK, wire)
        self._on_keyframe_request = on_keyframe_request
        self._on_feedback = on_feedback
        self._outbox = VideoOutbox()
        self._picture_id = random.randrange(PICTURE_IDS)  # noqa: S311 - no secret
        self._bitrate: int | None = None
        self._keyframes = self._dropped = 0
        self._asked = float("-inf")

    def _breath(self, index: int, last: int, size: int) -> float:
        """A large frame is spread, so that it overruns no queue on its way; sound goes in between."""
        if index + 1 < BURST or index == last or (index + 1) % GROUP:
            return 0.0
        rate = PACE if self._bitrate is None else max(LEAST_PACE, PACE_FACTOR * self._bitrate)
        return GROUP * size * 8 / rate

    def push(self, frame: VideoFrame, codec: VideoCodec | None) -> None:
        """Takes one picture, if it is of the negotiated codec and the far end wants any."""
        if not self._enabled or frame.codec is not codec or not frame.data:
            self._dropped += 1
            return
        if self._outbox.push(frame):
            self._send_keyframe()
        else:
            self._send_waiting()

    def stats(self) -> StreamStats:
        """Totals so far."""
        return StreamStats(
            packets=self._packets,
            bytes=self._octets,
            frames=self._frames,
            keyframes=self._keyframes,
            packets_lost=self.remote_lost,
            dropped=self._dropped + self._outbox.dropped,
            repaired=self._retransmitted,
        )

    def _take(self) -> tuple[list[bytes], int, float] | None:
        frame = self._outbox.pop()
        if frame is None:
            return None
        self._keyframes += frame.keyframe
        self._picture_id = (self._picture_id + 1) % PICTURE_IDS
        return packetize(frame, self._picture_id), frame.pts, frame.captured

    def _send_keyframe(self) -> None:
        now = time.monotonic()
        if now - self._asked >= KEYFRAME_GAP:
            self._asked = now
            self._on_keyframe_request()

    def _on_bitrate(self, bitrate: int) -> None:
        self._bitrate = bitrate
        self._tell()

    def _on_report(self, report: RtcpReceiverInfo) -> None:
        super()._on_report(report)
        self._tell()

    def _tell(self) -> None:
        self._on_feedback(Feedback(self._bitrate, self.fraction_lost, self.round_trip))
