"""Pictures out: the newest wins, none leaves faster than the path takes it, repairs go first."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from aiortc.rtp import RtcpReceiverInfo
from aiortc.utils import random32

from mediaagentd.media.rtc.header import HeaderWriter, Outbound
from mediaagentd.media.rtc.outbox import VideoOutbox
from mediaagentd.media.rtc.pacer import Pacer
from mediaagentd.media.rtc.payload import PICTURE_IDS, packetize
from mediaagentd.media.rtc.protection import Protection
from mediaagentd.media.rtc.sender import Sender
from mediaagentd.media.rtc.wire import Wire
from mediaagentd.media.types import VIDEO_CLOCK, Feedback, StreamStats, VideoCodec, VideoFrame

HISTORY = 1024
"""Packets kept for retransmission; as many as our receivers hold."""

KEYFRAME_GAP = 0.2
"""Seconds between two keyframe requests that are passed on; a flood of PLI costs nothing more."""

KEYFRAME_ON_ITS_WAY = 0.4
"""Seconds after a keyframe has left in which no other is made on a tight path: it would delay the first."""

ABANDON: Final = 2.0
"""Times what gets through that were sent, from which pictures begin anew."""

OVERRUN: Final = 3.0
"""Seconds for which reports may tell of what was lost then."""

REPAIRS: Final = 200
"""Packets that wait to be sent again; the oldest goes."""

APART: Final = 0.25
APART_MOST: Final = 0.060
"""Round trips, and at most seconds, between a packet that is sent again and its copy: what is sent at once is
often lost at once. Less than the far end waits before it asks anew.
"""

REST: Final = 0.05
"""Seconds after which it is looked again whether pictures may go on."""

SHARE_WEIGHT: Final = 0.7
SHARE_PACKETS: Final = 20
"""How much of the former share of repairs is remembered, and packets over which it is taken."""


class VideoSender(Sender):
    """Encoded pictures out. `sound` says how many bits a second the sound beside them takes."""

    def __init__(
        self,
        wire: Wire,
        on_keyframe_request: Callable[[], None],
        on_feedback: Callable[[Feedback], None],
        sound: Callable[[], int],
    ) -> None:
        super().__init__("video", VIDEO_CLOCK, wire, HISTORY)
        self._on_keyframe_request = on_keyframe_request
        self._on_feedback = on_feedback
        self._sound = sound
        self._outbox = VideoOutbox()
        self._flow: Iterator[float] = iter(())
        self._pause: asyncio.TimerHandle | None = None
        self._pacer = Pacer()
        self._repairs: deque[Outbound] = deque(maxlen=REPAIRS)
        self._copies_due: deque[tuple[float, Outbound]] = deque(maxlen=REPAIRS)
        self._copying: asyncio.TimerHandle | None = None
        self._picture_id = random.randrange(PICTURE_IDS)  # noqa: S311 - no secret
        self._bitrate: int | None = None
        self._keyframes = self._dropped = 0
        self._asked = self._overran = float("-inf")
        self._keyframe_arrives = float("-inf")
        self._protection: Protection | None = None
        self._repair_share = 0.0
        self._counted = 0, 0  # packets and repairs when the share was last taken

    def protect(self, payload_type: int) -> None:
        """The far end takes packets of that type that stand in for lost ones."""
        self._protection = Protection(payload_type, random32())

    def expect(self, round_trip: float | None) -> None:
        """It takes so long there and back, as far as is known before the far end has reported."""
        if self._protection is not None and round_trip is not None:
            self._protection.expect(round_trip)

    async def stop(self) -> None:
        """See `Sender`."""
        for timer in (self._pause, self._copying):
            if timer is not None:
                timer.cancel()
        await super().stop()

    def push(self, frame: VideoFrame, codec: VideoCodec | None) -> None:
        """Takes one picture, if it is of the negotiated codec and the far end wants any."""
        if not self._enabled or frame.codec is not codec or not frame.data:
            self._dropped += 1
            return
        if self._outbox.push(frame):
            self._send_keyframe()
        else:
            self._send_waiting()

    def is_tight(self) -> bool:
        """Whether less gets through than is wanted."""
        return self._pacer.tight(time.monotonic())

    def overran(self) -> bool:
        """Whether what was lost of late was too much for the path."""
        return time.monotonic() < self._overran + OVERRUN

    def breathe(self) -> None:
        """A queue has begun to grow on the way to us: see `Pacer`."""
        self._overran = time.monotonic()
        self._pacer.breathe(self._overran)

    def stats(self) -> StreamStats:
        """Totals so far."""
        return StreamStats(
            packets=self.packets,
            bytes=self._octets,
            frames=self._frames,
            keyframes=self._keyframes,
            packets_lost=self.remote_lost,
            dropped=self._dropped + self._outbox.dropped,
            repaired=self._retransmitted,
        )

    def _take(self) -> tuple[list[bytes], int, float] | None:
        """The next picture: its payloads, its pts and when it was captured."""
        frame = self._outbox.pop()
        if frame is None:
            return None
        self._keyframes += frame.keyframe
        if frame.keyframe:
            self._keyframe_arrives = float("inf")
        self._picture_id = (self._picture_id + 1) % PICTURE_IDS
        return packetize(frame, self._picture_id), frame.pts, frame.captured

    def _send_waiting(self) -> None:
        if self._pause is None:
            super()._send_waiting()

    def _go_on(self, writer: HeaderWriter) -> None:
        """Until nothing waits any more, or a pause is due; then it goes on after that."""
        while True:
            try:
                pause = next(self._flow, None)
                if pause is not None:
                    self._pause = asyncio.get_running_loop().call_later(pause, self._resume)
                    return
                frame = self._take()
                if frame is not None:
                    self._flow = self._send_frame(writer, *frame)
                elif self._rested():
                    return
            except ConnectionError:
                return  # the transport is gone; Peer hears it from there
            except Exception:  # one bad frame must not silence the stream
                self._failed.add()

    def _resume(self) -> None:
        self._pause = None
        self._send_waiting()

    def _send_frame(
        self, writer: HeaderWriter, payloads: list[bytes], pts: int, captured: float
    ) -> Iterator[float]:
        """Sends it; yields the seconds to wait before it goes on."""
        timestamp = (self._origin + pts) & 0xFFFFFFFF
        try:
            while payloads:
                while pause := self._wait():
                    yield pause
                sizes = [len(payload) for payload in payloads]
                count = self._pacer.grant(sizes, time.monotonic())
                some, payloads = payloads[:count], payloads[count:]
                packets = self._next_packets(some, timestamp, ends=not payloads)
                if self._protection is not None:
                    self._protection.add(packets)
                self._send_first(writer, packets, sum(sizes[:count]))
            self._has_sent(timestamp, captured)
            if self._protection is not None:
                yield from self._send_protection(writer, self._protection)
        finally:
            self._keyframe_arrives = min(self._keyframe_arrives, time.monotonic() + KEYFRAME_ON_ITS_WAY)

    def _send_protection(self, writer: HeaderWriter, protection: Protection) -> Iterator[float]:
        """What stands in for lost packets of the last pictures."""
        for packet in protection.due():
            while pause := self._wait():
                yield pause
            self._pacer.sent(len(packet.payload), time.monotonic())
            self._emit(writer, (packet,))

    def _wait(self) -> float:
        """The repairs that wait go first."""
        while not (wait := self._pacer.wait(time.monotonic())):
            if not self._repairs:
                return 0.0
            self._repair(self._repairs.popleft())
        return min(wait, REST)

    def _rested(self) -> bool:
        """Whether no repairs wait either; else they are the flow now."""
        if self._repairs:
            self._flow = self._send_repairs()
        return not self._repairs

    def _send_repairs(self) -> Iterator[float]:
        """When there is no picture."""
        while self._repairs and (wait := self._wait()):
            yield wait

    def _repair(self, packet: Outbound) -> bool:
        repeats = super()._repair(packet)
        if repeats:
            self._pacer.sent(len(packet.payload), time.monotonic())
        return repeats

    def _send_again(self, original: Outbound, *, before: bool) -> None:
        self._repairs.append(original)
        if self._wants_copy(before=before):
            due = time.monotonic() + min(APART_MOST, APART * (self.round_trip or 0.0))
            self._copies_due.append((due, original))
            if self._copying is None:
                self._wait_for_copy()
        self._send_waiting()

    def _wants_copy(self, *, before: bool) -> bool:
        """On a tight path only of what was lost again: there a copy is in the place of pictures."""
        return super()._wants_copy(before=before) and (before or not self.is_tight())

    def _wait_for_copy(self) -> None:
        wait = max(0.0, self._copies_due[0][0] - time.monotonic())
        self._copying = asyncio.get_running_loop().call_later(wait, self._on_copy_due)

    def _on_copy_due(self) -> None:
        self._copying = None
        self._repairs.append(self._copies_due.popleft()[1])
        if self._copies_due:
            self._wait_for_copy()
        self._send_waiting()

    def _send_keyframe(self) -> None:
        now = time.monotonic()
        on_its_way = self.is_tight() and (self._outbox.holds_keyframe or now < self._keyframe_arrives)
        if now - self._asked >= KEYFRAME_GAP and not on_its_way:
            self._asked = now
            self._on_keyframe_request()

    def _on_bitrate(self, bitrate: int) -> None:
        self._bitrate = bitrate
        over = self._pacer.told(bitrate, time.monotonic())
        self._allowance.bound(bitrate)
        self._tell()
        if over:
            self._forget_repairs()  # of what was lost because it was too much
        if over > ABANDON:
            self._abandon()

    def _forget_repairs(self) -> None:
        self._repairs.clear()
        self._copies_due.clear()
        if self._copying is not None:
            self._copying.cancel()
            self._copying = None

    def _abandon(self) -> None:
        """Most of what was sent is lost: what waits is of no use, and too large for the path as it is now. A
        picture that is cut off leaves a gap in the numbers, so that nobody takes it for whole.
        """
        if self._pause is not None:
            self._flow = iter(())
            self._sequence = (self._sequence + 1) & 0xFFFF
        self._outbox.flush()
        self._overran = self._asked = time.monotonic()
        self._on_keyframe_request()

    def _on_report(self, report: RtcpReceiverInfo) -> None:
        super()._on_report(report)
        if self._protection is not None:
            overran = self.is_tight() or self.overran()
            self._protection.report(self.fraction_lost, self.round_trip, overran=overran)
        self._tell()

    def _tell(self) -> None:
        repairs = self._retransmitted + (0 if self._protection is None else self._protection.sent)
        sent, repaired = self.packets - self._counted[0], repairs - self._counted[1]
        if sent >= SHARE_PACKETS:
            self._counted = self.packets, repairs
            self._repair_share += (1 - SHARE_WEIGHT) * (repaired / sent - self._repair_share)
        self._on_feedback(
            Feedback(self._bitrate, self.fraction_lost, self.round_trip, self._sound(), self._repair_share)
        )
