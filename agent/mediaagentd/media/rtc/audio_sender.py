"""Sound out: Opus packets, each sent as often as the far end's losses ask for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from aiortc.rtp import RtcpReceiverInfo

from mediaagentd.media.rtc.header import HEADERS, HeaderWriter, Outbound
from mediaagentd.media.rtc.redundancy import LossMemory, Redundancy, spreads
from mediaagentd.media.rtc.sender import Sender
from mediaagentd.media.rtc.sound import Sound
from mediaagentd.media.rtc.wire import Wire
from mediaagentd.media.types import AUDIO_CLOCK, UNKNOWN_LOSS, AudioFrame, StreamStats

AUDIO_HISTORY = 50
"""Packets of sound kept for retransmission: a second."""

AUDIO_BOUND = 10
"""Audio frames that may wait: 200 ms, then the oldest goes."""

RATE_SPAN = 0.5
"""Seconds over which the rate of sound is measured, at least."""


class AudioSender(Sender):
    """Opus packets out. The newest wins. What the far end lost decides how often each is sent."""

    def __init__(self, wire: Wire, on_loss: Callable[[float], None]) -> None:
        super().__init__("audio", AUDIO_CLOCK, wire, AUDIO_HISTORY)
        self._on_loss = on_loss
        self._queue: deque[AudioFrame] = deque(maxlen=AUDIO_BOUND)
        self._dropped = self._rate = 0
        self._rated = time.monotonic(), 0, 0
        self._red: int | None = None
        self._redundancy = Redundancy()
        self._memory = LossMemory(UNKNOWN_LOSS)
        self._jitter = 0.0
        self.unheard = 0
        """Times that the far end has said that something did not come."""
        self.overran: Callable[[], bool] = lambda: False
        """Whether our pictures were too much for the path of late."""

    def agree(self, sound: Sound) -> None:
        """How the far end takes sound."""
        self._red = sound.red
        self._rtx_payload_type = sound.rtx

    def rate(self) -> int:
        """Bits a second with all headers, since this was last asked at least half a second ago."""
        now = time.monotonic()
        if now - self._rated[0] >= RATE_SPAN:
            octets, packets = self._octets - self._rated[1], self.packets - self._rated[2]
            self._rate = round(8 * (octets + HEADERS * packets) / (now - self._rated[0]))
            self._rated = now, self._octets, self.packets
        return self._rate

    def push(self, frame: AudioFrame) -> None:
        """Takes one packet of Opus."""
        if not self._enabled or not frame.data:
            return
        self._dropped += len(self._queue) == AUDIO_BOUND
        self._queue.append(frame)
        if self._writer is not None:
            self._go_on(self._writer)

    def stats(self) -> StreamStats:
        """Totals so far."""
        return StreamStats(
            packets=self.packets,
            bytes=self._octets,
            frames=self._frames,
            packets_lost=self.remote_lost,
            dropped=self._dropped,
            repaired=self._retransmitted,
        )

    def _go_on(self, writer: HeaderWriter) -> None:
        """Sound never waits for anything else."""
        while self._queue:
            frame = self._queue.popleft()
            try:
                self._send_frame(writer, frame)
            except ConnectionError:
                return  # the transport is gone; Peer hears it from there
            except Exception:  # one bad frame must not silence the stream
                self._failed.add()

    def _send_frame(self, writer: HeaderWriter, frame: AudioFrame) -> None:
        timestamp = (self._origin + frame.pts) & 0xFFFFFFFF
        packets = self._dressed(self._next_packets((frame.data,), timestamp, ends=True))
        self._send_first(writer, packets, len(packets[0].payload))
        self._has_sent(timestamp, frame.captured)

    def _on_report(self, report: RtcpReceiverInfo) -> None:
        super()._on_report(report)
        self._jitter = report.jitter / AUDIO_CLOCK
        self.unheard += report.fraction_lost > 0
        self._memory.report(self.fraction_lost, overran=self.overran())
        self._on_loss(self._memory.loss)

    def _dressed(self, packets: list[Outbound]) -> list[Outbound]:
        """What is sent in the place of the one packet: with earlier ones in it. Only the plain one can be
        asked for again, since a retransmission tells nothing of its payload type.
        """
        if self._red is None:
            return packets
        (packet,), depth = packets, self._memory.depth
        if not depth:
            self._redundancy.keep(packet.payload, packet.timestamp)
            return packets
        spread = spreads(self.round_trip, self._jitter)
        payload = self._redundancy.pack(
            packet.payload, packet.timestamp, depth, packet.payload_type, spread=spread
        )
        return packets if payload is None else [packet._replace(payload_type=self._red, payload=payload)]

    def _retransmit(self, sequence: int) -> None:
        """Not under its own number: SRTP takes each number once."""
        self.unheard += 1
        if self._memory.surprise():
            self._on_loss(self._memory.loss)
        if self._rtx_payload_type is not None:
            super()._retransmit(sequence)
