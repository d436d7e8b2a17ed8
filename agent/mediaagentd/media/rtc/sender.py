"""Our place of aiortc's `RTCRtpSender`: encoded frames out, at once, nothing polled."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Final

from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtcrtpsender import random_sequence_number
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    HeaderExtensionsMap,
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    unpack_remb_fci,
)
from aiortc.stats import RTCStatsReport
from aiortc.utils import random32

from mediaagentd.media.rtc.allowance import Allowance
from mediaagentd.media.rtc.gate import Tally
from mediaagentd.media.rtc.header import HeaderWriter, Outbound, repeated
from mediaagentd.media.rtc.history import History
from mediaagentd.media.rtc.ntp import ntp, unix
from mediaagentd.media.rtc.wire import Wire

HEAVY_LOSS: Final = 0.08
"""Fraction lost from which what is asked for again is sent twice: a lost repair costs a round trip. What was
lost again is, at any.
"""

ROUND_TRIP_WEIGHT: Final = 0.6

EARLY_REPORTS: Final = (0.0, 0.2, 0.4)
"""Seconds in front of the first reports: lips and voice wait for them (RFC 6051 section 2.1), and one may be
lost.
"""


class Sender:
    """What `RTCPeerConnection`, `RTCRtpTransceiver` and `RTCDtlsTransport` call of a sender, and the
    RTP, RTCP and retransmission that audio and video share.
    """

    def __init__(self, kind: str, clock_rate: int, wire: Wire, history: int) -> None:
        self.kind = kind
        self.track = None
        self.transport = wire.transport
        self.round_trip: float | None = None
        self.fraction_lost = 0.0
        self.remote_lost = 0
        self._wire = wire
        self._ssrc = random32()
        self._rtx_ssrc = random32()
        self._stream_id = self._track_id = str(uuid.uuid4())
        self._enabled = True
        self._clock_rate = clock_rate
        self._writer: HeaderWriter | None = None
        self._cname = b""
        self._codec: RTCRtpCodecParameters | None = None
        self._rtx_payload_type: int | None = None
        self._rtx_sequence = random_sequence_number()
        self._sequence = random_sequence_number()
        self._origin = random32()
        self._history = History(history)
        self._last: tuple[int, float] | None = None  # RTP timestamp and monotonic time of capture
        self._begun = asyncio.Event()
        self._reports_sent: deque[int] = deque(maxlen=8)
        self._allowance = Allowance()
        self._failed = Tally(f"{kind}_frames_failed")
        self._reporting: asyncio.Task[None] | None = None
        self._stopped = False
        self.packets = 0
        """Sent for the first time."""
        self._octets = self._frames = self._retransmitted = 0

    def setTransport(self, transport: RTCDtlsTransport) -> None:
        """Called when sections are bundled."""
        self.transport = transport

    def replaceTrack(self, track: object) -> None:
        """We have no tracks."""

    async def getStats(self) -> RTCStatsReport:
        """The library's report stays empty; see `Peer.stats`."""
        return RTCStatsReport()

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        """Starts to send, once; called when DTLS is up, which may be found out behind `stop`, and again at
        every renegotiation.
        """
        if self._reporting is not None or self._stopped:
            return
        self._codec = codec = parameters.codecs[0]
        self._cname = (parameters.rtcp.cname or "").encode()
        self._wire.answer_for(self._ssrc, self)
        extensions = HeaderExtensionsMap()
        extensions.configure(parameters)
        self._writer = HeaderWriter(extensions, parameters.muxId)
        for other in parameters.codecs:
            if is_rtx(other) and other.parameters["apt"] == codec.payloadType:
                self._rtx_payload_type = other.payloadType
        self._reporting = asyncio.create_task(self._report(), name=f"{self.kind}-reports")
        self._send_waiting()

    async def stop(self) -> None:
        """Stops for good and says BYE (RFC 3550 section 6.6)."""
        self._stopped = True
        if self._reporting is None:
            return
        self._wire.leave(self)
        self._writer = None
        self._reporting.cancel()
        await asyncio.gather(self._reporting, return_exceptions=True)
        self._send_rtcp([RtcpByePacket(sources=[self._ssrc])])

    def on_rtcp(self, packet: AnyRtcpPacket) -> None:
        """Feedback of the far end."""
        match packet:
            case RtcpRrPacket() | RtcpSrPacket():
                for report in packet.reports:
                    if report.ssrc == self._ssrc:
                        self._on_report(report)
            case RtcpRtpfbPacket(fmt=fmt) if fmt == RTCP_RTPFB_NACK:
                for sequence in packet.lost:
                    self._retransmit(sequence & 0xFFFF)
            case RtcpPsfbPacket(fmt=fmt) if fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                self._send_keyframe()
            case RtcpPsfbPacket(fmt=fmt) if fmt == RTCP_PSFB_APP:
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
                if self._ssrc in ssrcs:
                    self._on_bitrate(bitrate)

    def _send_keyframe(self) -> None:
        """Audio has none."""

    def _on_bitrate(self, bitrate: int) -> None:
        """Audio goes first whatever the estimate."""

    def _on_report(self, report: RtcpReceiverInfo) -> None:
        self.fraction_lost = report.fraction_lost / 256
        self.remote_lost = max(0, report.packets_lost)
        if report.lsr not in self._reports_sent or not report.dlsr:
            return
        now = (ntp() >> 16) & 0xFFFFFFFF
        measured = ((now - report.lsr - report.dlsr) & 0xFFFFFFFF) / 65536
        if measured > 60:  # of what was never sent, or a far end's clock was set
            return
        measured = max(0.0, measured - self._wire.late)
        before = measured if self.round_trip is None else self.round_trip
        self.round_trip = ROUND_TRIP_WEIGHT * before + (1 - ROUND_TRIP_WEIGHT) * measured

    def _send_waiting(self) -> None:
        """Sends what waits, as far as it may."""
        if self._writer is not None:
            self._go_on(self._writer)

    def _go_on(self, writer: HeaderWriter) -> None:
        raise NotImplementedError

    def _next_packets(self, payloads: Sequence[bytes], timestamp: int, *, ends: bool) -> list[Outbound]:
        """Of one frame, as they can be asked for again; `ends`: with the last one it is whole."""
        assert self._codec is not None
        assert self._codec.payloadType is not None
        payload_type, ssrc, first = self._codec.payloadType, self._ssrc, self._sequence
        last = len(payloads) - 1 if ends else -1
        packets = [
            Outbound(payload_type, int(at == last), (first + at) & 0xFFFF, timestamp, ssrc, payload)
            for at, payload in enumerate(payloads)
        ]
        self._sequence = (first + len(packets)) & 0xFFFF
        self._history.keep(packets)
        return packets

    def _send_first(self, writer: HeaderWriter, packets: Sequence[Outbound], size: int) -> None:
        """For the first time, together; `size`: bytes of all payloads."""
        self.packets += len(packets)
        self._octets += size
        self._allowance.sent(size)
        self._emit(writer, packets)

    def _has_sent(self, timestamp: int, captured: float) -> None:
        """A whole frame."""
        if self._last is None:
            self._begun.set()
        self._last = timestamp, captured
        self._frames += 1

    def _emit(self, writer: HeaderWriter, packets: Sequence[Outbound]) -> None:
        self._wire.send(writer.write(packets, unix()))

    def _retransmit(self, sequence: int) -> None:
        """At most twice a round trip for one packet, and within the allowance in all, so that a flood of
        NACK is no amplifier.
        """
        now = time.monotonic()
        self._allowance.accrue(now)
        before = self._history.has_repeated(sequence)
        packet = self._history.repeat(sequence, now, apart=max(0.01, 0.5 * (self.round_trip or 0.0)))
        if packet is not None:
            self._send_again(packet, before=before)

    def _send_again(self, original: Outbound, *, before: bool) -> None:
        """`before`: it was sent again already, and asked for again."""
        for _ in range(1 + self._wants_copy(before=before)):
            self._repair(original)

    def _wants_copy(self, *, before: bool) -> bool:
        """Whether what is asked for again is sent twice."""
        return (before or self.fraction_lost >= HEAVY_LOSS) and self._allowance.ample

    def _repair(self, packet: Outbound) -> bool:
        """Sends it again; whether it does: within the allowance."""
        if self._writer is None or not self._allowance.take(len(packet.payload)):
            return False
        if self._rtx_payload_type is not None:
            packet = repeated(packet, self._rtx_payload_type, self._rtx_sequence, self._rtx_ssrc)
            self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF
        self._retransmitted += 1
        self._emit(self._writer, (packet,))
        return True

    async def _report(self) -> None:
        await self._begun.wait()
        early = iter(EARLY_REPORTS)
        while True:
            await asyncio.sleep(next(early, 0.5 + random.random()))  # noqa: S311 - RFC 3550 section 6.2
            assert self._last is not None
            now = ntp()
            self._reports_sent.append((now >> 16) & 0xFFFFFFFF)
            self._send_rtcp(
                [
                    RtcpSrPacket(ssrc=self._ssrc, sender_info=self._sender_info(now, self._last)),
                    RtcpSdesPacket(chunks=[RtcpSourceInfo(self._ssrc, [(1, self._cname)])]),
                ]
            )

    def _sender_info(self, now: int, last: tuple[int, float]) -> RtcpSenderInfo:
        """The RTP timestamp that belongs to `now`, from the last capture: what lip sync rests on."""
        timestamp, captured = last
        elapsed = max(0.0, time.monotonic() - captured)
        return RtcpSenderInfo(
            ntp_timestamp=now,
            rtp_timestamp=(timestamp + int(elapsed * self._clock_rate)) & 0xFFFFFFFF,
            packet_count=self.packets & 0xFFFFFFFF,
            octet_count=self._octets & 0xFFFFFFFF,
        )

    def _send_rtcp(self, packets: list[AnyRtcpPacket]) -> None:
        try:
            self._wire.send_rtcp(b"".join(bytes(packet) for packet in packets))
        except ConnectionError:
            return  # closing
