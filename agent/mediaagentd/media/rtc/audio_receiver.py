"""Sound in: Opus packets, whichever way they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket

from mediaagentd.media.rtc import inbound
from mediaagentd.media.rtc.gaps import Gaps
from mediaagentd.media.rtc.inbound import Inbound
from mediaagentd.media.rtc.receiver import RTX, Codec, Receiver, ascending
from mediaagentd.media.rtc.reception import PAUSE, Unwrapper
from mediaagentd.media.rtc.redundancy import unpack
from mediaagentd.media.rtc.sound import Sound
from mediaagentd.media.rtc.wire import Wire
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, AudioFrame, StreamStats

RED = "red"

REMEMBERED = 100
"""Packets of sound that are known again when they come twice: two seconds."""


class AudioReceiver(Receiver):
    """Opus packets in the order of their arrival, each once, whether it came by itself, again, or in a
    later one. `count` is told the size of each, and when it came.
    """

    def __init__(
        self,
        wire: Wire,
        on_frame: Callable[[AudioFrame], None],
        round_trip: Callable[[], float | None],
        count: Callable[[int, float], None],
    ) -> None:
        super().__init__(wire)
        self._on_frame = on_frame
        self._round_trip = round_trip
        self._count = count
        self._sound: Sound | None = None
        self._ssrc: int | None = None
        self._timestamps, self._sequences = Unwrapper(32), Unwrapper(16)
        self._latest = 0.0
        self._first: int | None = None
        self._gaps = Gaps()
        self._taken: deque[int] = deque(maxlen=REMEMBERED)
        self._malformed = self._repaired = 0
        self.uneven = 0
        """Packets that came while others were missing."""

    def agree(self, sound: Sound) -> None:
        """What the far end may send; before `receive`."""
        self._sound = sound

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """See `Receiver`; more payload types are ours than the library has negotiated."""
        begins = self._task is None
        await super().receive(parameters)
        if begins and self._sound is not None:
            named = ((RED, self._sound.red), (RTX, self._sound.rtx))
            extra = {number: Codec(name, AUDIO_CLOCK) for name, number in named if number is not None}
            self._codecs.update(extra)
            self._wire.join(self, extra)

    def stats(self) -> StreamStats:
        """Totals so far."""
        return StreamStats(
            packets=self.packets,
            bytes=self._octets,
            frames=self._frames,
            packets_lost=self._lost(),
            dropped=self._malformed,
            repaired=self._repaired,
        )

    def _repair(self, packet: Inbound, _codec: Codec) -> tuple[Inbound, Codec] | None:
        """There is one stream, and so no need to say which one is repaired."""
        if self._ssrc is None or self._sound is None or len(packet.payload) < 2:
            return None
        self._rtx[packet.ssrc] = self._ssrc
        return inbound.original(packet, self._sound.opus, self._ssrc), self._codecs[self._sound.opus]

    def _estimate(self, packet: Inbound, now: float) -> None:
        self._count(len(packet.payload), now)

    def _on_packet(self, packet: Inbound, codec: Codec, now: float) -> None:
        if not packet.payload:
            return
        if packet.ssrc != self._ssrc:
            self._ssrc, self._first, self._gaps = packet.ssrc, None, Gaps()
            self._timestamps, self._sequences = Unwrapper(32), Unwrapper(16)
            self._taken.clear()
        blocks = None
        if codec.name == RED and self._sound is not None:
            try:
                blocks = unpack(packet.payload, self._sound.opus)
            except ValueError:
                self._malformed += 1
                return
        silence, self._latest = now - self._latest, now
        if silence > PAUSE:
            timestamp = self._timestamps.unwrap_after(packet.timestamp, round(silence * AUDIO_CLOCK))
        else:
            timestamp = self._timestamps.unwrap(packet.timestamp)
        number = self._sequences.unwrap(packet.sequence_number)
        if blocks is None:
            self._take(packet.payload, 0, timestamp, packet.sequence_number, now)
            self._gaps.note(number, now)
        else:
            for data, age in blocks:
                self._take(data, age, timestamp - age, packet.sequence_number, now)
            covered = [number - round(age / AUDIO_FRAME) for _, age in blocks if age]
            self._gaps.note(number, now, covered=covered)
        if self._gaps.missing:
            self.uneven += 1
            self._gaps.round_trip = self._round_trip()
            if self._gaps.deadline() is not None:
                self._wake.set()

    def _take(self, data: bytes, age: int, timestamp: int, sequence: int, now: float) -> None:
        """One packet of Opus, so many ticks older than the RTP packet, of that number, that it is in."""
        if timestamp in self._taken or (self._first is not None and timestamp < self._first):
            return
        self._taken.append(timestamp)
        self._first = timestamp if self._first is None else self._first
        self._frames += 1
        if age:
            self._repaired += 1
            sequence = (sequence - round(age / AUDIO_FRAME)) & 0xFFFF
        origin = None if self._ssrc is None else self._origin(self._ssrc, timestamp & 0xFFFFFFFF)
        self._on_frame(AudioFrame(data, timestamp - self._first, now, sequence, origin))

    def _deadline(self) -> float | None:
        if self._sound is None or not self._sound.nack:
            return None
        return self._gaps.deadline()

    def _ask(self, now: float) -> None:
        if self._sound is None or not self._sound.nack or self._rtcp_ssrc is None or self._ssrc is None:
            return
        for lost in ascending(number & 0xFFFF for number in self._gaps.due(now)):
            self._send_rtcp(RtcpRtpfbPacket(RTCP_RTPFB_NACK, self._rtcp_ssrc, self._ssrc, lost))
