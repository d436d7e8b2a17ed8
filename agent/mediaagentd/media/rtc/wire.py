"""RTP and RTCP of one connection between its socket and those whom they are of, without a queue, a task or
a coroutine on the way.

The library puts every datagram into a queue, wakes a task for it and goes through six coroutines, and
through seven to send one: that was a third of what the event loop had to do in a call. DTLS still goes
that way, and so does what comes before it is up.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Callable, Iterable
from typing import Protocol

import pylibsrtp
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtp import (
    RTCP_PSFB_APP,
    AnyRtcpPacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    is_rtcp,
)

from mediaagentd.media.rtc import seams
from mediaagentd.media.rtc.gate import Gate, Tally
from mediaagentd.media.rtc.inbound import Inbound, Reader
from mediaagentd.media.rtc.outlet import Outlet

LARGEST = 2048
"""Bytes of the largest packet of RTP that is opened."""


class TakesRtcp(Protocol):
    """A sender."""

    def on_rtcp(self, packet: AnyRtcpPacket) -> None:
        """Feedback or a report of the far end."""


class TakesRtp(TakesRtcp, Protocol):
    """A receiver."""

    def on_rtp(self, packet: Inbound) -> None:
        """A packet of one of its payload types."""

    def report(self, now: float) -> bytes:
        """Its report on what has come, empty when nothing has."""


class Wire:
    """What comes through here has passed SRTP, so it is a sign of life; an authentic but malformed packet
    must not end the call: the library catches `ValueError`, its parsers also raise `struct.error` and others.
    """

    def __init__(self, transport: RTCDtlsTransport, gate: Gate) -> None:
        self.transport = transport
        self.reader = Reader()
        self._gate = gate
        self._now = asyncio.get_running_loop().time
        self._defects = Tally("packet_handling_failed")
        self._receivers: dict[int, TakesRtp] = {}
        self._senders: dict[int, TakesRtcp] = {}
        self._slots = seams.Slots(1, LARGEST)
        self.send = Outlet(transport).send
        """Takes RTP packets that leave together. Raises: ConnectionError."""
        self._queue = seams.take_datagrams(transport, self._take)
        seams.take_packets(transport, rtp=self._rtp, rtcp=self._rtcp)

    def send_rtcp(self, packet: bytes) -> None:
        """Raises: ConnectionError."""
        seams.send_rtcp(self.transport, packet)

    def report(self, now: float) -> None:
        """Sends the reports of all receivers together: whose is due takes along the others'."""
        reports = b"".join(each.report(now) for each in dict.fromkeys(self._receivers.values()))
        if reports:
            with contextlib.suppress(ConnectionError):  # closing
                self.send_rtcp(reports)

    def join(self, receiver: TakesRtp, payload_types: Iterable[int]) -> None:
        """From now on the packets of these types are its."""
        self._receivers.update(dict.fromkeys(payload_types, receiver))

    def answer_for(self, source: int, sender: TakesRtcp) -> None:
        """From now on it hears what is said of that synchronization source of ours."""
        self._senders[source] = sender

    def leave(self, one: TakesRtcp) -> None:
        """Nothing reaches that receiver or sender any more."""
        self._receivers = {key: each for key, each in self._receivers.items() if each is not one}
        self._senders = {key: each for key, each in self._senders.items() if each is not one}

    def _take(self, data: bytes, component: int) -> None:
        """A datagram of the far end that is DTLS, RTP or RTCP."""
        if data[0] < 128:
            self._queue(data, component)
            return
        reports = is_rtcp(data)
        if not reports and not self._gate.may_stream(data[8:12]):
            self._gate.tally.add()
            return
        session = seams.incoming(self.transport)
        if session is None:
            self._queue(data, component)
            return
        try:
            if reports:
                self._rtcp(session.unprotect_rtcp(data))
            else:
                self._rtp(self._slots.open(session, data))
        except pylibsrtp.Error:  # forged, or come twice
            return
        except ValueError:  # longer than any packet
            self._gate.tally.add()

    def _rtp(self, data: bytes) -> None:
        self._gate.note_stream(data[8:12])
        self._surviving(self._route_rtp, data)

    def _rtcp(self, data: bytes) -> None:
        if self._gate.may_report(len(data), self._now()):
            self._surviving(self._route_rtcp, data)
        else:
            self._gate.heard = self._now()
            self._gate.tally.add()

    def _route_rtp(self, data: bytes) -> None:
        packet = self.reader.read(data)
        receiver = self._receivers.get(packet.payload_type)
        if receiver is not None:
            receiver.on_rtp(packet)

    def _route_rtcp(self, data: bytes) -> None:
        for packet in RtcpPacket.parse(data):
            for one in self._concerned(packet):
                one.on_rtcp(packet)

    def _concerned(self, packet: AnyRtcpPacket) -> Iterable[TakesRtcp]:
        match packet:
            case RtcpSrPacket():
                return [*dict.fromkeys(self._receivers.values()), *self._senders.values()]
            case RtcpRrPacket():
                return list(self._senders.values())
            case RtcpPsfbPacket(fmt=fmt) if fmt == RTCP_PSFB_APP:  # REMB names its sources inside
                return list(self._senders.values())
            case RtcpPsfbPacket() | RtcpRtpfbPacket() if packet.media_ssrc in self._senders:
                return [self._senders[packet.media_ssrc]]
            case _:
                return []

    def _surviving(self, handle: Callable[[bytes], None], data: bytes) -> None:
        self._gate.heard = self._now()
        try:
            handle(data)
        except (ValueError, IndexError, struct.error, AssertionError):  # the far end's doing
            self._gate.tally.add()
        except Exception as error:  # ours, or an observer's; the next packet may be better
            self._defects.add(error)
