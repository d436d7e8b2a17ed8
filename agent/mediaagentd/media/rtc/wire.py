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
from functools import partial
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
)

from mediaagentd.media.rtc import seams
from mediaagentd.media.rtc.gate import Gate, Tally
from mediaagentd.media.rtc.inbound import Inbound, Reader
from mediaagentd.media.rtc.outlet import Outlet

LARGEST = 2048
"""Bytes of the largest packet of RTP that is opened."""

SHORTEST = 12
"""Of any (RFC 3550 section 5.1); of RTCP the shortest is longer too, once it is sealed."""

QUEUE_BOUND = 2048
"""Datagrams that wait for the library's loop; more are dropped, as a full socket buffer would."""

_RTCP = range(192, 224)
"""Second bytes of RTCP where it shares a socket with RTP (RFC 5761 section 4)."""

_MALFORMED = (ValueError, IndexError, struct.error, AssertionError)
"""What parsers raise: the far end's doing."""


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
        self.late = 0.0
        """Seconds that what is being handled has waited to be read; see `polling`."""
        self._gate = gate
        self._now = asyncio.get_running_loop().time
        self._defects = Tally("packet_handling_failed")
        self._receivers: dict[int, TakesRtp] = {}
        self._senders: dict[int, TakesRtcp] = {}
        self._slots = seams.Slots(1, LARGEST)
        self.way = seams.outgoing(transport)
        """Tells the way at present. Raises: ConnectionError."""
        self.send = Outlet(self.way).send
        """Takes RTP packets that leave together. Raises: ConnectionError."""
        self._session: pylibsrtp.Session | None = None
        self._queue = seams.take_datagrams(transport, self._take, QUEUE_BOUND)
        seams.take_packets(
            transport, rtp=partial(self._surviving, self._rtp), rtcp=partial(self._surviving, self._rtcp)
        )

    def send_rtcp(self, packet: bytes) -> None:
        """Raises: ConnectionError."""
        way, session = self.way()
        way.transport.sendto(session.protect_rtcp(packet), way.address)

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
        session = self._session
        if session is None:
            session = self._session = seams.incoming(self.transport)
        if session is None or data[0] < 128:
            if not self._queue(data, component):
                self._gate.tally.add()
            return
        if len(data) < SHORTEST:
            self._gate.tally.add()
            return
        try:
            if data[1] in _RTCP:
                self._rtcp(session.unprotect_rtcp(data))
            elif data[8:12] in self._gate.streams or not self._gate.is_full:
                self._rtp(self._slots.open(session, data))
            else:
                self._gate.tally.add()
        except pylibsrtp.Error:  # forged, or come twice
            return
        except _MALFORMED:  # or longer than any packet
            self._gate.tally.add()
        except Exception as error:
            self._defects.add(error)

    def _rtp(self, data: bytes) -> None:
        """An authentic packet."""
        self._gate.heard = self._now()
        if data[8:12] not in self._gate.streams:
            self._gate.note_stream(data[8:12])
        packet = self.reader.read(data)
        receiver = self._receivers.get(packet.payload_type)
        if receiver is not None:
            receiver.on_rtp(packet)

    def _rtcp(self, data: bytes) -> None:
        """An authentic packet, with one report or several."""
        self._gate.heard = now = self._now()
        if not self._gate.may_report(len(data), now):
            self._gate.tally.add()
            return
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
        """What the library's loop has opened."""
        try:
            handle(data)
        except _MALFORMED:
            self._gate.tally.add()
        except Exception as error:
            self._defects.add(error)
