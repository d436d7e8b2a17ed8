"""Pictures in: whole ones, and what is asked and told of the far end for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    pack_remb_fci,
)

from mediaagentd.media.rtc import transport_wide
from mediaagentd.media.rtc.assembler import Assembler, Picture
from mediaagentd.media.rtc.estimate import Estimator
from mediaagentd.media.rtc.fec import FecDecoder, Recovered, Source
from mediaagentd.media.rtc.header import HEADERS
from mediaagentd.media.rtc.inbound import ABS_SEND_TIME, Inbound
from mediaagentd.media.rtc.payload import ParameterSets, depacketize
from mediaagentd.media.rtc.receiver import RTX, Codec, Receiver, ascending
from mediaagentd.media.rtc.transport_wide import Arrivals
from mediaagentd.media.rtc.wire import Wire
from mediaagentd.media.types import StreamStats, VideoCodec, VideoFrame

VIDEO = {codec.value.lower(): codec for codec in VideoCodec}
"""By encoding name in small letters."""

TIGHT = 0.6
"""Seconds after a fall of the estimate in which there still comes what was sent before."""

REPAIRABLE = 0.5
"""Seconds that all repairs may take of what gets through then; a keyframe is sooner."""

PROTECTED = 2.0
"""Seconds after a packet that stands in for lost ones in which they come back by others of its kind."""

PACKET = 1200 * 8
"""Bits of a usual packet."""


class VideoReceiver(Receiver):
    """Whole pictures, each as soon as it is whole. `on_narrow` is called when the path to us becomes so."""

    def __init__(
        self,
        wire: Wire,
        on_frame: Callable[[VideoFrame], None],
        round_trip: Callable[[], float | None],
        on_narrow: Callable[[], None],
    ) -> None:
        super().__init__(wire)
        self._on_frame = on_frame
        self._round_trip = round_trip
        self._on_narrow = on_narrow
        self._ssrc: int | None = None
        self._assembler = Assembler()
        self._parameter_sets = ParameterSets()
        self._estimator = Estimator()
        self._arrivals = Arrivals()
        self._decoder: FecDecoder | None = None
        self._protection: int | None = None
        self._protected = float("-inf")
        self._keyframes = self._malformed = self._recovered = 0
        self._armed = float("inf")

    def protected(self, payload_type: int) -> None:
        """The far end may send packets of that type that stand in for lost ones."""
        self._protection, self._decoder = payload_type, FecDecoder()

    def request_keyframe(self) -> None:
        """Asks the far end for a keyframe, at most every half second."""
        self._assembler.want_keyframe()
        self._wake.set()

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """See `Receiver`."""
        for extension in parameters.headerExtensions:
            if extension.uri == ABS_SEND_TIME:
                self._wire.reader.abs_send_time = extension.id
        begins = self._task is None
        await super().receive(parameters)
        if begins and self._protection is not None:
            self._wire.join(self, [self._protection])

    def on_rtp(self, packet: Inbound) -> None:
        """See `Receiver`."""
        if packet.payload_type != self._protection:
            super().on_rtp(packet)
        elif self._enabled and self._decoder is not None:
            self._on_protection(packet, self._decoder, time.monotonic())

    def beside(self, size: int, now: float) -> None:
        """So many bytes of sound came over the same path."""
        bitrate = self._estimator.beside(size + HEADERS, now)
        if bitrate is not None:
            self._tell_bitrate(bitrate)

    def stats(self) -> StreamStats:
        """Totals so far; `dropped` counts packets that arrived for nothing."""
        return StreamStats(
            packets=self.packets,
            bytes=self._octets,
            frames=self._frames,
            keyframes=self._keyframes,
            packets_lost=self._lost(),
            dropped=self._assembler.dropped + self._malformed,
            repaired=self._recovered,
        )

    def _estimate(self, packet: Inbound, now: float) -> None:
        """A far end that numbers its packets estimates by itself; another one is told."""
        number = packet.transport_sequence_number
        if number is not None:
            self._arrivals.add(number, now)
            self._arm(self._arrivals.deadline())
            return
        if packet.abs_send_time is None:
            return
        size = len(packet.payload) + packet.padding_size + HEADERS
        fell = self._estimator.fell
        bitrate = self._estimator.add(packet.abs_send_time, size, now)
        if self._estimator.fell != fell:
            self._on_fall()
        if bitrate is not None:
            self._tell_bitrate(bitrate)

    def _on_fall(self) -> None:
        """Less gets through than is sent."""
        if self._estimator.severe:
            self._on_narrow()
        self._assembler.abandon(beyond=int(REPAIRABLE * self._estimator.capacity / PACKET))

    def _on_packet(self, packet: Inbound, codec: Codec, now: float) -> None:
        if packet.ssrc != self._ssrc:
            self._ssrc, self._assembler = packet.ssrc, Assembler()
            self._decoder = None if self._decoder is None else FecDecoder()
        source = Source(packet.marker, packet.payload_type, packet.timestamp, packet.payload)
        self._assemble(packet.sequence_number, source, codec, now)
        if self._decoder is not None:
            self._recover(self._decoder.source(packet.sequence_number, source), now)
        self._arm(self._assembler.deadline())

    def _on_protection(self, packet: Inbound, decoder: FecDecoder, now: float) -> None:
        """A packet that stands in for lost ones of the stream."""
        self.packets += 1
        self._octets += len(packet.payload)
        self._estimate(packet, now)
        self._protected = now
        try:
            recovered = decoder.repair(packet.payload)
        except ValueError:
            self._malformed += 1
            return
        self._recover(recovered, now)
        self._arm(self._assembler.deadline())

    def _recover(self, recovered: list[Recovered], now: float) -> None:
        for sequence, source in recovered:
            codec = self._codecs.get(source.payload_type)
            if codec is not None and codec.name != RTX:
                self._recovered += 1
                self._assemble(sequence, source, codec, now)

    def _assemble(self, sequence: int, source: Source, codec: Codec, now: float) -> None:
        name = VIDEO.get(codec.name)
        if name is None:
            self._malformed += 1
            return
        try:
            payload = depacketize(name, source.payload)
        except (ValueError, IndexError):
            self._malformed += 1
            return
        if name is VideoCodec.H264:
            self._parameter_sets.note(payload.data)
        self._assembler.protected = now < self._protected + PROTECTED
        for picture in self._assembler.push(sequence, source.timestamp, bool(source.marker), payload, now):
            self._hand_on(name, picture, now)

    def _arm(self, deadline: float | None) -> None:
        """Wakes the feedback for it unless it wakes before."""
        if deadline is not None and deadline < self._armed:
            self._armed = deadline
            self._wake.set()

    def _hand_on(self, codec: VideoCodec, picture: Picture, now: float) -> None:
        self._frames += 1
        self._keyframes += picture.keyframe
        data = picture.data
        if picture.keyframe and codec is VideoCodec.H264:
            data = self._parameter_sets.complete(data)
        sent = (picture.timestamp + self._assembler.first_timestamp) & 0xFFFFFFFF
        origin = None if self._ssrc is None else self._origin(self._ssrc, sent)
        self._on_frame(VideoFrame(codec, data, picture.timestamp, picture.keyframe, now, origin))

    def _deadline(self) -> float | None:
        waiting = (self._assembler.deadline(), self._arrivals.deadline())
        self._armed = min((each for each in waiting if each is not None), default=float("inf"))
        return None if self._armed == float("inf") else self._armed

    def _ask(self, now: float) -> None:
        self._tell_arrivals(now)
        self._assembler.round_trip = self._round_trip()
        self._assembler.tight_until = self._estimator.fell + TIGHT
        requests = self._assembler.poll(now)
        if self._rtcp_ssrc is None or self._ssrc is None:
            return
        for lost in ascending(requests.lost):
            nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, self._rtcp_ssrc, self._ssrc, lost)
            self._send_rtcp(nack)
        if requests.keyframe:
            self._send_rtcp(RtcpPsfbPacket(RTCP_PSFB_PLI, self._rtcp_ssrc, self._ssrc))

    def _tell_bitrate(self, bitrate: int) -> None:
        if self._rtcp_ssrc is not None:
            told = pack_remb_fci(bitrate, list(self._sources))
            self._send_rtcp(RtcpPsfbPacket(RTCP_PSFB_APP, self._rtcp_ssrc, 0, told))

    def _tell_arrivals(self, now: float) -> None:
        fci = self._arrivals.report(now)
        if fci is not None and self._rtcp_ssrc is not None:
            self._send_rtcp(transport_wide.packet(self._rtcp_ssrc, self._ssrc or 0, fci))
