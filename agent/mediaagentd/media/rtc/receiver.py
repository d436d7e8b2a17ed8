"""Our place of aiortc's `RTCRtpReceiver`: encoded frames in, no decoder, no thread, no queue."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from aiortc.codecs import is_rtx
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    RtpPacket,
    pack_remb_fci,
    unwrap_rtx,
)
from aiortc.stats import RTCStatsReport

from mediaagentd.media.rtc import seams, transport_wide
from mediaagentd.media.rtc.assembler import Assembler, Picture
from mediaagentd.media.rtc.estimate import Estimator
from mediaagentd.media.rtc.gaps import Gaps
from mediaagentd.media.rtc.payload import ParameterSets, depacketize
from mediaagentd.media.rtc.reception import Reception, Unwrapper
from mediaagentd.media.rtc.redundancy import Block, unpack
from mediaagentd.media.rtc.sound import Sound
from mediaagentd.media.rtc.transport_wide import Arrivals
from mediaagentd.media.types import AUDIO_FRAME, AudioFrame, StreamStats, VideoCodec, VideoFrame

REMEMBERED = 100
"""Packets of sound that are known again when they come twice: two seconds."""

HEADERS = 50
"""Bytes of IP, UDP, RTP with extensions, and SRTP around a payload."""

MAX_SOURCES = 8
"""Synchronization sources that we keep count of; a flood of new ones is ignored."""


@dataclass(slots=True)
class _Source:
    reception: Reception
    lsr: int = 0
    heard: float = 0.0
    clock: int = 1
    captured: tuple[float, int] | None = None  # NTP seconds and the RTP timestamp that belongs to them


class Receiver:
    """What `RTCPeerConnection`, `RTCRtpTransceiver` and `RTCDtlsTransport` call of a receiver, and the
    RTCP that audio and video share.
    """

    def __init__(self, transport: RTCDtlsTransport) -> None:
        self.transport = transport
        self._track: object | None = None
        self._enabled = True
        self._rtcp_ssrc: int | None = None
        self._codecs: dict[int, RTCRtpCodecParameters] = {}
        self._rtx: dict[int, int] = {}
        self._sources: dict[int, _Source] = {}
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._next_report = 0.0
        self._packets = self._octets = self._frames = 0

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
        """Starts to receive, once; called when DTLS is up and again at every renegotiation."""
        if self._task is not None:
            return
        for codec in parameters.codecs:
            if codec.payloadType is not None:
                self._codecs[codec.payloadType] = codec
        for encoding in parameters.encodings:
            if encoding.rtx is not None:
                self._rtx[encoding.rtx.ssrc] = encoding.ssrc
        self.transport._register_rtp_receiver(self, parameters)
        self._task = asyncio.create_task(self._feedback(), name="rtcp")

    async def stop(self) -> None:
        """Stops for good."""
        if self._task is not None:
            self.transport._unregister_rtp_receiver(self)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _handle_disconnect(self) -> None:
        """`Peer` hears it from the transport."""

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket) and packet.ssrc in self._sources:
            source = self._sources[packet.ssrc]
            source.lsr = (packet.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
            source.heard = time.monotonic()
            source.captured = packet.sender_info.ntp_timestamp / (1 << 32), packet.sender_info.rtp_timestamp

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:  # noqa: ARG002 - the library's name
        codec = self._codecs.get(packet.payload_type)
        if not self._enabled or codec is None:
            return
        now = time.monotonic()
        source = self._source(packet.ssrc, codec.clockRate)
        if source is None:
            return
        source.reception.add(packet.sequence_number, packet.timestamp, now)
        self._packets += 1
        self._octets += len(packet.payload)
        await self._estimate(packet, now)
        if is_rtx(codec):
            repaired = self._repair(packet, codec)
            if repaired is None:
                return
            packet, codec = repaired
        self._on_packet(packet, codec, now)

    async def _estimate(self, packet: RtpPacket, now: float) -> None:
        """Audio is not estimated."""

    def _on_packet(self, packet: RtpPacket, codec: RTCRtpCodecParameters, now: float) -> None:
        raise NotImplementedError

    def _source(self, ssrc: int, clock_rate: int) -> _Source | None:
        source = self._sources.get(ssrc)
        if source is None and len(self._sources) < MAX_SOURCES:
            source = self._sources[ssrc] = _Source(Reception(clock_rate), clock=clock_rate)
        return source

    def _repair(
        self, packet: RtpPacket, codec: RTCRtpCodecParameters
    ) -> tuple[RtpPacket, RTCRtpCodecParameters] | None:
        """The original of a retransmitted packet (RFC 4588 section 4)."""
        ssrc = self._rtx.get(packet.ssrc)
        payload_type = codec.parameters.get("apt")
        if ssrc is None or len(packet.payload) < 2 or not isinstance(payload_type, int):
            return None
        original = self._codecs.get(payload_type)
        if original is None:
            return None
        return unwrap_rtx(packet, payload_type=payload_type, ssrc=ssrc), original

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

    async def _ask(self, now: float) -> None:
        """Sends the requests that are due."""

    async def _feedback(self) -> None:
        """One task sends all feedback: reports about every second, requests when they are due."""
        loop = asyncio.get_running_loop()
        self._next_report = time.monotonic() + 0.5 + random.random()  # noqa: S311 - no secret
        while True:
            now = time.monotonic()
            if now >= self._next_report:
                self._next_report = now + 0.5 + random.random()  # noqa: S311 - no secret
                await self._send_reports(now)
            await self._ask(now)
            deadline = self._deadline()
            until = self._next_report if deadline is None else min(deadline, self._next_report)
            try:
                async with asyncio.timeout_at(loop.time() + max(0.001, until - now)):
                    await self._wake.wait()
                self._wake.clear()
            except TimeoutError:
                continue

    async def _send_reports(self, now: float) -> None:
        reports = [self._report(ssrc, source, now) for ssrc, source in self._sources.items()]
        if reports and self._rtcp_ssrc is not None:
            await self._send_rtcp(RtcpRrPacket(ssrc=self._rtcp_ssrc, reports=reports))

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

    async def _send_rtcp(self, packet: AnyRtcpPacket | bytes) -> None:
        try:
            await self.transport._send_rtp(bytes(packet))
        except ConnectionError:
            return  # closing

    def _lost(self) -> int:
        """Losses of the media itself, not of its retransmissions."""
        return sum(s.reception.lost for ssrc, s in self._sources.items() if ssrc not in self._rtx)


class AudioReceiver(Receiver):
    """Opus packets in the order of their arrival, each once, whether it came by itself, again, or in a
    later one.
    """

    def __init__(
        self,
        transport: RTCDtlsTransport,
        on_frame: Callable[[AudioFrame], None],
        round_trip: Callable[[], float | None],
    ) -> None:
        super().__init__(transport)
        self._on_frame = on_frame
        self._round_trip = round_trip
        self._sound: Sound | None = None
        self._ssrc: int | None = None
        self._timestamps, self._sequences = Unwrapper(32), Unwrapper(16)
        self._first: int | None = None
        self._gaps = Gaps()
        self._taken: deque[int] = deque(maxlen=REMEMBERED)
        self._malformed = self._repaired = 0

    def agree(self, sound: Sound) -> None:
        """What the far end may send; before `receive`."""
        self._sound = sound

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """See `Receiver`; more payload types are ours than the library has negotiated."""
        begins = self._task is None
        await super().receive(parameters)
        if begins and self._sound is not None:
            extra = seams.audio_codecs(self._sound)
            self._codecs.update(extra)
            seams.register_payload_types(self.transport, self, list(extra))

    def stats(self) -> StreamStats:
        """Totals so far."""
        return StreamStats(
            packets=self._packets,
            bytes=self._octets,
            frames=self._frames,
            packets_lost=self._lost(),
            dropped=self._malformed,
            repaired=self._repaired,
        )

    def _repair(
        self, packet: RtpPacket, _codec: RTCRtpCodecParameters
    ) -> tuple[RtpPacket, RTCRtpCodecParameters] | None:
        """There is one stream, and so no need to say which one is repaired."""
        if self._ssrc is None or self._sound is None or len(packet.payload) < 2:
            return None
        self._rtx[packet.ssrc] = self._ssrc
        return unwrap_rtx(packet, self._sound.opus, self._ssrc), self._codecs[self._sound.opus]

    def _on_packet(self, packet: RtpPacket, codec: RTCRtpCodecParameters, now: float) -> None:
        if not packet.payload:
            return
        if packet.ssrc != self._ssrc:
            self._ssrc, self._first, self._gaps = packet.ssrc, None, Gaps()
            self._timestamps, self._sequences = Unwrapper(32), Unwrapper(16)
            self._taken.clear()
        try:
            blocks = self._blocks(packet, codec)
        except ValueError:
            self._malformed += 1
            return
        timestamp = self._timestamps.unwrap(packet.timestamp)
        for block in blocks:
            self._take(block, timestamp - block.age, packet.sequence_number, now)
        number = self._sequences.unwrap(packet.sequence_number)
        self._gaps.round_trip = self._round_trip()
        self._gaps.note(number, now, covered=len(blocks) - 1)
        if self._gaps.deadline() is not None:
            self._wake.set()

    def _blocks(self, packet: RtpPacket, codec: RTCRtpCodecParameters) -> list[Block]:
        if codec.name.lower() == "red" and self._sound is not None:
            return unpack(packet.payload, self._sound.opus)
        return [Block(packet.payload, 0)]

    def _take(self, block: Block, timestamp: int, sequence: int, now: float) -> None:
        if timestamp in self._taken or (self._first is not None and timestamp < self._first):
            return
        self._taken.append(timestamp)
        self._first = timestamp if self._first is None else self._first
        self._frames += 1
        self._repaired += block.age > 0
        before = round(block.age / AUDIO_FRAME)
        origin = None if self._ssrc is None else self._origin(self._ssrc, timestamp & 0xFFFFFFFF)
        number = (sequence - before) & 0xFFFF
        self._on_frame(AudioFrame(block.data, timestamp - self._first, now, number, origin))

    def _deadline(self) -> float | None:
        if self._sound is None or not self._sound.nack:
            return None
        return self._gaps.deadline()

    async def _ask(self, now: float) -> None:
        if self._sound is None or not self._sound.nack or self._rtcp_ssrc is None or self._ssrc is None:
            return
        for lost in _ascending(number & 0xFFFF for number in self._gaps.due(now)):
            await self._send_rtcp(RtcpRtpfbPacket(RTCP_RTPFB_NACK, self._rtcp_ssrc, self._ssrc, lost))


class VideoReceiver(Receiver):
    """Whole pictures, each as soon as it is whole."""

    def __init__(
        self,
        transport: RTCDtlsTransport,
        on_frame: Callable[[VideoFrame], None],
        round_trip: Callable[[], float | None],
    ) -> None:
        super().__init__(transport)
        self._on_frame = on_frame
        self._round_trip = round_trip
        self._ssrc: int | None = None
        self._assembler = Assembler()
        self._parameter_sets = ParameterSets()
        self._estimator = Estimator()
        self._arrivals = Arrivals()
        self._keyframes = self._malformed = 0
        self._armed = float("inf")

    def request_keyframe(self) -> None:
        """Asks the far end for a keyframe, at most every half second."""
        self._assembler.want_keyframe()
        self._wake.set()

    def stats(self) -> StreamStats:
        """Totals so far; `dropped` counts packets that arrived for nothing."""
        return StreamStats(
            packets=self._packets,
            bytes=self._octets,
            frames=self._frames,
            keyframes=self._keyframes,
            packets_lost=self._lost(),
            dropped=self._assembler.dropped + self._malformed,
        )

    async def _estimate(self, packet: RtpPacket, now: float) -> None:
        """A far end that numbers its packets estimates by itself; another one is told."""
        number = packet.extensions.transport_sequence_number
        if number is not None:
            self._arrivals.add(number, now)
            self._arm(self._arrivals.deadline())
            return
        if packet.extensions.abs_send_time is None:
            return
        size = len(packet.payload) + packet.padding_size + HEADERS
        bitrate = self._estimator.add(packet.extensions.abs_send_time, size, now)
        if bitrate is not None and self._rtcp_ssrc is not None:
            told = pack_remb_fci(bitrate, list(self._sources))
            await self._send_rtcp(RtcpPsfbPacket(RTCP_PSFB_APP, self._rtcp_ssrc, 0, told))

    def _on_packet(self, packet: RtpPacket, codec: RTCRtpCodecParameters, now: float) -> None:
        if packet.ssrc != self._ssrc:
            self._ssrc, self._assembler = packet.ssrc, Assembler()
        name = VideoCodec(codec.name.upper())
        try:
            payload = depacketize(name, packet.payload)
        except (ValueError, IndexError):
            self._malformed += 1
            return
        if name is VideoCodec.H264:
            self._parameter_sets.note(payload.data)
        pictures = self._assembler.push(
            packet.sequence_number, packet.timestamp, bool(packet.marker), payload, now
        )
        for picture in pictures:
            self._hand_on(name, picture, now)
        self._arm(self._assembler.deadline())

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

    async def _ask(self, now: float) -> None:
        await self._tell_arrivals(now)
        self._assembler.round_trip = self._round_trip()
        requests = self._assembler.poll(now)
        if self._rtcp_ssrc is None or self._ssrc is None:
            return
        for lost in _ascending(requests.lost):
            nack = RtcpRtpfbPacket(RTCP_RTPFB_NACK, self._rtcp_ssrc, self._ssrc, lost)
            await self._send_rtcp(nack)
        if requests.keyframe:
            await self._send_rtcp(RtcpPsfbPacket(RTCP_PSFB_PLI, self._rtcp_ssrc, self._ssrc))

    async def _tell_arrivals(self, now: float) -> None:
        fci = self._arrivals.report(now)
        if fci is not None and self._rtcp_ssrc is not None:
            await self._send_rtcp(transport_wide.packet(self._rtcp_ssrc, self._ssrc or 0, fci))


def _ascending(lost: Iterable[int]) -> list[list[int]]:
    """Splits where the numbers wrap: the library cannot pack a NACK across it."""
    runs: list[list[int]] = []
    for sequence in lost:
        if runs and runs[-1][-1] < sequence:
            runs[-1].append(sequence)
        else:
            runs.append([sequence])
    return runs
