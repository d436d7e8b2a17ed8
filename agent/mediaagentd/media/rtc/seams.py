"""Every internal of aiortc that we lean on, in one place. `tests/integration/rtc/test_contract.py`
holds each against the pinned version, so that an upgrade fails loudly.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import pylibsrtp
from aioice import Connection
from aiortc import InvalidStateError, RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtcicetransport import RTCIceTransport
from OpenSSL import SSL
from pylibsrtp import Session
from pylibsrtp._binding import ffi, lib

_ALL = 1 << 16
"""Bytes of DTLS to read at once; a flight is one or two thousand."""


def swap(transceiver: RTCRtpTransceiver, sender: Any, receiver: Any) -> None:
    """Puts our sender and receiver into a transceiver that has no description yet."""
    sender._stream_id = transceiver.sender._stream_id
    receiver._set_rtcp_ssrc(sender._ssrc)
    transceiver.__dict__["_RTCRtpTransceiver__sender"] = sender
    transceiver.__dict__["_RTCRtpTransceiver__receiver"] = receiver
    # All share one transport from the start. The library counts the first one out, and would stop that
    # transport when an offer names the sections in another order.
    transceiver._bundled = True
    # What an offer does not name is not sent. The library makes an answer out of a direction for each.
    transceiver._offerDirection = "inactive"


def dtls_transport(connection: RTCPeerConnection) -> RTCDtlsTransport:
    """The one transport that everything is bundled on."""
    return connection.getTransceivers()[0].receiver.transport


def ice_transport(connection: RTCPeerConnection) -> RTCIceTransport:
    """The one ICE transport."""
    return dtls_transport(connection).transport


def close_while_connecting(connection: RTCPeerConnection) -> None:
    """Lets the library's task that connects end in silence when the connection is closed under it: nobody
    waits for what it raises, which would be logged as a defect.
    """
    inner: Any = connection
    connect = inner._RTCPeerConnection__connect

    async def attempt() -> None:
        try:
            await connect()
        except InvalidStateError:
            if connection.signalingState != "closed":
                raise

    inner.__dict__["_RTCPeerConnection__connect"] = attempt


class Way(NamedTuple):
    """Where packets go at present: out of which transport, a relay's too, and to which address."""

    transport: asyncio.DatagramTransport
    address: tuple[str, int]


def outgoing(transport: RTCDtlsTransport) -> Callable[[], tuple[Way, Session]]:
    """Tells the way at present, and what seals RTP and RTCP. Raises: ConnectionError."""
    nominated = transport.transport._connection._nominated
    known: object = None
    way: Way | None = None

    def present() -> tuple[Way, Session]:
        nonlocal known, way
        pair = nominated.get(1)
        if pair is None or transport._state is not State.CONNECTED:
            raise ConnectionError("not connected")
        if pair is not known or way is None:
            known, way = pair, Way(pair.protocol.transport, pair.remote_addr)
        return way, transport._tx_srtp

    return present


def take_dtls(transport: RTCDtlsTransport, say: Callable[[bytes], Coroutine[Any, Any, None]]) -> None:
    """Lets `say` send what OpenSSL has written: records of DTLS, all that there are."""

    async def write() -> None:
        ssl, written = transport._ssl, b""
        with contextlib.suppress(SSL.Error):
            while ssl is not None:
                written += ssl.bio_read(_ALL)
        if written:
            await say(written)

    transport.__dict__["_write_ssl"] = write


async def send_dtls(transport: RTCDtlsTransport, datagram: bytes) -> None:
    """Sends it as the library does. Raises: ConnectionError."""
    await transport.transport._send(datagram)


def lacks_our_flight(transport: RTCDtlsTransport) -> bool:
    """Whether the far end may not have what our end of the handshake said last: while it lasts, and the
    server's last flight after it, which nothing answers.
    """
    state = transport._state
    return state is State.CONNECTING or (state is State.CONNECTED and transport._role == "server")


def say_again(transport: RTCDtlsTransport, datagrams: Sequence[bytes]) -> bool:
    """Sends them once more; False, and not, when the far end has them or there is no way to it."""
    pair = transport.transport._connection._nominated.get(1)
    if pair is None or not lacks_our_flight(transport):
        return False
    for datagram in datagrams:
        pair.protocol.transport.sendto(datagram, pair.remote_addr)
    return True


class Slots:
    """Places in which packets are sealed and opened, without the copies and objects of `Session`."""

    def __init__(self, count: int, size: int) -> None:
        place = ffi.new("char[]", count * size)
        self._size = size
        self._slots = [
            (place + at, memoryview(ffi.buffer(place + at, size))) for at in range(0, count * size, size)
        ]
        self._place = place  # which lives as long as it is referred to
        self._length = ffi.new("int *")

    def seal(self, session: Session, packets: Sequence[bytes]) -> list[memoryview]:
        """RTP packets as they leave, until the next call; at most as many as there are places. Raises:
        ValueError for one that is too long, pylibsrtp.Error.
        """
        length, sealed, longest = self._length, [], self._size - pylibsrtp.SRTP_MAX_TRAILER_LEN
        for packet, (place, view) in zip(packets, self._slots, strict=False):
            size = len(packet)
            if size > longest:
                raise ValueError("packet is too long")
            view[:size] = packet
            length[0] = size
            if status := lib.srtp_protect(session._srtp[0], place, length):
                raise pylibsrtp.Error(f"srtp_protect: {status}")
            sealed.append(view[: length[0]])
        return sealed

    def open(self, session: Session, packet: bytes) -> bytes:
        """An RTP packet that has come. Raises: ValueError for one that is too long, pylibsrtp.Error."""
        size, (place, view) = len(packet), self._slots[0]
        if size > self._size:
            raise ValueError("packet is too long")
        view[:size] = packet
        self._length[0] = size
        if status := lib.srtp_unprotect(session._srtp[0], place, self._length):
            raise pylibsrtp.Error(f"srtp_unprotect: {status}")
        return bytes(view[: self._length[0]])


def udp_socket(transport: asyncio.DatagramTransport) -> socket.socket | None:
    """Its socket; None when it is a relay's, or another that is no socket of its own."""
    found = vars(transport).get("_sock")
    return found if isinstance(found, socket.socket) and found.type == socket.SOCK_DGRAM else None


def read_no_more(transport: asyncio.DatagramTransport) -> None:
    """Its loop does not wait for its socket any more."""
    inner: Any = transport
    inner._loop._remove_reader(inner._sock_fd)


def read_again(transport: asyncio.DatagramTransport) -> None:
    """It does again, unless it is closed."""
    inner: Any = transport
    if not inner.is_closing():
        inner._loop._add_reader(inner._sock_fd, inner._read_ready)


def backlog(transport: asyncio.DatagramTransport) -> bool:
    """Whether datagrams wait in it for a full socket."""
    return bool(transport._buffer)  # type: ignore[attr-defined] # of asyncio, of all its transports


def negotiated(connection: RTCPeerConnection, kind: str) -> list[str]:
    """Encoding names that the far end takes from us, in our order, once there is an answer."""
    for transceiver in connection.getTransceivers():
        if transceiver.kind == kind and transceiver.currentDirection in ("sendrecv", "sendonly"):
            return [codec.name for codec in transceiver._codecs]
    return []


def shut_by_far_end(connection: RTCPeerConnection) -> bool:
    """Whether the far end has said that it closes (`close_notify`, RFC 5246 section 7.2.1)."""
    ssl = dtls_transport(connection)._ssl
    return ssl is not None and bool(ssl.get_shutdown() & SSL.RECEIVED_SHUTDOWN)


def abort(connection: RTCPeerConnection) -> None:
    """Closes the sockets without asking anybody."""
    for protocol in list(ice_transport(connection)._connection._protocols):
        protocol.transport.close()


def first_mid(connection: RTCPeerConnection) -> str:
    """The a=mid of the section that candidates belong to."""
    return connection.getTransceivers()[0].mid or "0"


def addresses(connection: RTCPeerConnection) -> frozenset[str]:
    """The addresses of this machine at which it has sockets, but for those to a relay."""
    own = (protocol.local_candidate for protocol in ice_transport(connection)._connection._protocols)
    return frozenset(each.host for each in own if each is not None and each.type == "host")


def local_address(connection: RTCPeerConnection) -> str | None:
    """The address of this machine that the nominated pair goes over, be it to a relay."""
    pairs = list(ice_transport(connection)._connection._nominated.values())
    if not pairs:
        return None
    transport = pairs[0].protocol.transport
    inner = transport.__dict__.get("_TurnTransport__inner_protocol")
    if inner is not None:
        transport = inner.transport
    name = transport.get_extra_info("sockname")
    return str(name[0]) if name else None


def is_relayed(connection: RTCPeerConnection) -> bool:
    """Whether an end of the nominated pair is at a relay."""
    pairs = ice_transport(connection)._connection._nominated.values()
    return any("relay" in (pair.local_candidate.type, pair.remote_candidate.type) for pair in pairs)


def keep_consent(ice: Connection, keep: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Replaces the library's consent checks."""
    ice.__dict__["query_consent"] = keep


def take_datagrams(
    transport: RTCDtlsTransport, take: Callable[[bytes, int], None], bound: int
) -> Callable[[bytes, int], bool]:
    """Lets `take` have the datagrams of DTLS, RTP and RTCP, with their component. Returns what the library
    does with them: it queues them for its loop; False, and not, when so many wait already.
    """
    ice = transport.transport._connection
    queue = ice.data_received

    def put(data: bytes, component: int) -> bool:
        waits = ice._queue.qsize() < bound
        if waits:
            queue(data, component)
        return waits

    ice.__dict__["data_received"] = take
    return put


def incoming(transport: RTCDtlsTransport) -> Session | None:
    """What opens RTP and RTCP, once nothing waits any more for the library's loop."""
    if transport._state is not State.CONNECTED or not transport.transport._connection._queue.empty():
        return None
    return transport._rx_srtp


def take_packets(
    transport: RTCDtlsTransport, *, rtp: Callable[[bytes], None], rtcp: Callable[[bytes], None]
) -> None:
    """Lets these two have what the library's loop has opened."""

    async def handle_rtp(data: bytes, arrival_time_ms: int) -> None:  # noqa: ARG001 - the library's name
        rtp(data)

    async def handle_rtcp(data: bytes) -> None:
        rtcp(data)

    transport.__dict__["_handle_rtp_data"] = handle_rtp
    transport.__dict__["_handle_rtcp_data"] = handle_rtcp
