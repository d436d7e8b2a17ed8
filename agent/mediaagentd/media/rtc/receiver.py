"""Our place of aiortc's `RTCRtpReceiver`: encoded frames in, no decoder, no thread, no queue."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtp import (
    AnyRtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSrPacket,
)
from aiortc.stats import RTCStatsReport

from mediaagentd.media.rtc import inbound
from mediaagentd.media.rtc.inbound import Inbound
from mediaagentd.media.rtc.reception import Reception
from mediaagentd.media.rtc.wire import Wire

MAX_SOURCES = 8
SILENT = 5.0
"""Synchronization sources that we keep count of, and seconds without a packet after which one gives its place
to a new one; a flood of new ones is ignored.
"""


RTX = "rtx"


class Codec(NamedTuple):
    """What a payload type stands for: its encoding name in small letters, and of `RTX` the payload type of
    what is repeated (RFC 4588 section 8.6).
    """

    name: str
    clock: int
    repeats: int | None = None


@dataclass(slots=True)
class _Source:
    reception: Reception
    arrived: float = 0.0
    lsr: int = 0
    heard: float = 0.0
    clock: int = 1
    captured: tuple[float, int] | None = None  # NTP seconds and the RTP timestamp that belongs to them


class Receiver:
    """What `RTCPeerConnection`, `RTCRtpTransceiver` and `RTCDtlsTransport` call of a receiver, and the
    RTCP that audio and video share.
    """

    def __init__(self, wire: Wire) -> None:
        self.transport = wire.transport
        self._wire = wire
        self._track: object | None = None
        self._enabled = True
        self._rtcp_ssrc: int | None = None
        self._codecs: dict[int, Codec] = {}
        self._rtx: dict[int, int] = {}
        self._sources: dict[int, _Source] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopped = False
        self._wake = asyncio.Event()
        self._next_report = math.inf
        self.packets = 0
        """Received, repeated ones too."""
        self._octets = self._frames = 0

    @property
    def track(self) -> object | None:
        """The library makes a track and hands it to nobody: we have `Peer`'s observer."""
        return self._track

    def setTransport(self, transport: RTCDtlsTransport) -> None:
        """Called when sections are bundled."""
        self.transport = transport

    def _set_rtcp_ssrc(self, ssrc: int) -> None:
        self._rtcp_ssrc = ssrc

    async def getStats(self) -> RTCStatsReport:
        """The library's report stays empty; see `Peer.stats`."""
        return RTCStatsReport()

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Starts to receive, once; called when DTLS is up, which may be found out behind `stop`, and again at
        every renegotiation.
        """
        if self._task is not None or self._stopped:
            return
        for codec in parameters.codecs:
            if codec.payloadType is not None:
                repeats = codec.parameters.get("apt")
                self._codecs[codec.payloadType] = Codec(
                    codec.name.lower(), codec.clockRate, repeats if isinstance(repeats, int) else None
                )
        for encoding in parameters.encodings:
            if encoding.rtx is not None:
                self._rtx[encoding.rtx.ssrc] = encoding.ssrc
        self._wire.join(self, self._codecs)
        self._task = asyncio.create_task(self._feedback(), name="rtcp")

    async def stop(self) -> None:
        """Stops for good."""
        self._stopped = True
        if self._task is not None:
            self._wire.leave(self)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _handle_disconnect(self) -> None:
        """`Peer` hears it from the transport."""

    def on_rtcp(self, packet: AnyRtcpPacket) -> None:
        """A report of the far end."""
        if isinstance(packet, RtcpSrPacket) and packet.ssrc in self._sources:
            source = self._sources[packet.ssrc]
            source.lsr = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
            source.heard = time.monotonic() - self._wire.late
            source.captured = packet.sender_info.ntp_timestamp / (1 << 32), packet.sender_info.rtp_timestamp

    def on_rtp(self, packet: Inbound) -> None:
        """A packet of a stream of ours."""
        codec = self._codecs.get(packet.payload_type)
        if not self._enabled or codec is None:
            return
        now = time.monotonic() - self._wire.late
        source = self._sources.get(packet.ssrc) or self._new_source(packet.ssrc, codec.clock, now)
        if source is None:
            return
        source.arrived = now
        source.reception.add(packet.sequence_number, packet.timestamp, now)
        self.packets += 1
        self._octets += len(packet.payload)
        self._estimate(packet, now)
        if codec.name == RTX:
            repaired = self._repair(packet, codec)
            if repaired is None:
                return
            packet, codec = repaired
        self._on_packet(packet, codec, now)

    def _estimate(self, packet: Inbound, now: float) -> None:
        """Looks at when and how large it came, for an estimate of the path."""

    def _on_packet(self, packet: Inbound, codec: Codec, now: float) -> None:
        raise NotImplementedError

    def _new_source(self, ssrc: int, clock_rate: int, now: float) -> _Source | None:
        """None when there is no room for it."""
        if not self._has_room(now):
            return None
        if not self._sources:
            self._next_report = now + _apart()
            self._wake.set()
        source = self._sources[ssrc] = _Source(Reception(clock_rate), clock=clock_rate)
        return source

    def _has_room(self, now: float) -> bool:
        """For one more; a silent one goes for it."""
        if len(self._sources) < MAX_SOURCES:
            return True
        stalest = min(self._sources, key=lambda ssrc: self._sources[ssrc].arrived)
        silent = now - self._sources[stalest].arrived >= SILENT
        if silent:
            del self._sources[stalest]
        return silent

    def _repair(self, packet: Inbound, codec: Codec) -> tuple[Inbound, Codec] | None:
        """The original of a retransmitted packet (RFC 4588 section 4)."""
        ssrc = self._rtx.get(packet.ssrc)
        if ssrc is None or len(packet.payload) < 2 or codec.repeats is None:
            return None
        original = self._codecs.get(codec.repeats)
        if original is None:
            return None
        return inbound.original(packet, codec.repeats, ssrc), original

    def _origin(self, ssrc: int, timestamp: int) -> float | None:
        """When the far end captured what has this RTP timestamp, by its clock."""
        source = self._sources.get(ssrc)
        if source is None or source.captured is None:
            return None
        seconds, reported = source.captured
        return seconds + (((timestamp - reported + (1 << 31)) & 0xFFFFFFFF) - (1 << 31)) / source.clock

    def _deadline(self) -> float | None:
        """When `_ask` has something to say; None for audio."""
        return None

    def _ask(self, now: float) -> None:
        """Sends the requests that are due."""

    async def _feedback(self) -> None:
        """One task sends all feedback: reports about every second, requests when they are due. As long as
        nothing has come it sleeps.
        """
        while True:
            now = time.monotonic()
            if now >= self._next_report:
                self._wire.report(now)
            self._ask(now)
            deadline = self._deadline()
            until = self._next_report if deadline is None else min(deadline, self._next_report)
            try:
                async with asyncio.timeout(max(0.001, until - now) if until < math.inf else None):
                    await self._wake.wait()
                self._wake.clear()
            except TimeoutError:
                continue

    def report(self, now: float) -> bytes:
        """The report on what has come, empty when nothing has; the next one is due in about a second."""
        if not self._sources:
            return b""
        self._next_report = now + _apart()
        if self._rtcp_ssrc is None:
            return b""
        reports = [self._report(ssrc, source, now) for ssrc, source in self._sources.items()]
        return bytes(RtcpRrPacket(ssrc=self._rtcp_ssrc, reports=reports))

    def _report(self, ssrc: int, source: _Source, now: float) -> RtcpReceiverInfo:
        report = source.reception.report()
        delay = int((now - source.heard) * 65536) if source.lsr else 0
        return RtcpReceiverInfo(
            ssrc=ssrc,
            fraction_lost=report.fraction_lost,
            packets_lost=report.packets_lost,
            highest_sequence=report.highest_sequence,
            jitter=report.jitter,
            lsr=source.lsr,
            dlsr=min(max(delay, 1), 0xFFFFFFFF) if source.lsr else 0,
        )

    def _send_rtcp(self, packet: AnyRtcpPacket | bytes) -> None:
        try:
            self._wire.send_rtcp(bytes(packet))
        except ConnectionError:
            return  # closing

    def _lost(self) -> int:
        """Losses of the media itself, not of its retransmissions."""
        return sum(s.reception.lost for ssrc, s in self._sources.items() if ssrc not in self._rtx)


def _apart() -> float:
    """Seconds between two reports (RFC 3550 section 6.2)."""
    return 0.5 + random.random()  # noqa: S311 - no secret


def ascending(lost: Iterable[int]) -> list[list[int]]:
    """Splits where the numbers wrap: the library cannot pack a NACK across it."""
    runs: list[list[int]] = []
    for sequence in lost:
        if runs and runs[-1][-1] < sequence:
            runs[-1].append(sequence)
        else:
            runs.append([sequence])
    return runs
