"""Every internal of aiortc that we lean on, in one place. `tests/integration/rtc/test_contract.py`
holds each against the pinned version, so that an upgrade fails loudly.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from aioice import Connection
from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from OpenSSL import SSL
from pylibsrtp import Session

from mediaagentd.media.rtc.sound import Sound


def swap(transceiver: RTCRtpTransceiver, sender: Any, receiver: Any) -> None:
    """Puts our sender and receiver into a transceiver that has no description yet."""
    sender._stream_id = transceiver.sender._stream_id
    receiver._set_rtcp_ssrc(sender._ssrc)
    transceiver.__dict__["_RTCRtpTransceiver__sender"] = sender
    transceiver.__dict__["_RTCRtpTransceiver__receiver"] = receiver
    # All share one transport from the start. The library counts the first one out, and would stop that
    # transport when an offer names the sections in another order.
    transceiver._bundled = True


def dtls_transport(connection: RTCPeerConnection) -> RTCDtlsTransport:
    """The one transport that everything is bundled on."""
    return connection.getTransceivers()[0].receiver.transport


def ice_transport(connection: RTCPeerConnection) -> RTCIceTransport:
    """The one ICE transport."""
    return dtls_transport(connection).transport


def send(transport: RTCDtlsTransport, packet: bytes, *, rtcp: bool = False) -> None:
    """What the library does in seven coroutines: RTP is sealed and handed to the socket; `rtcp` says that it
    is RTCP. Raises: ConnectionError.
    """
    pair = transport.transport._connection._nominated.get(1)
    if pair is None or transport._state is not State.CONNECTED:
        raise ConnectionError("not connected")
    session = transport._tx_srtp
    sealed = session.protect_rtcp(packet) if rtcp else session.protect(packet)
    pair.protocol.transport.sendto(sealed, pair.remote_addr)


def negotiated(connection: RTCPeerConnection, kind: str) -> list[str]:
    """Encoding names that the far end takes from us, in our order, once there is an answer."""
    for transceiver in connection.getTransceivers():
        if transceiver.kind == kind and transceiver.currentDirection in ("sendrecv", "sendonly"):
            return [codec.name for codec in transceiver._codecs]
    return []


def audio_codecs(sound: Sound) -> dict[int, RTCRtpCodecParameters]:
    """By payload type, what has been agreed about sound and the library has not heard of."""
    named = (("red", sound.red), ("rtx", sound.rtx))
    return {
        payload_type: RTCRtpCodecParameters(
            mimeType=f"audio/{name}", clockRate=48000, channels=2, payloadType=payload_type
        )
        for name, payload_type in named
        if payload_type is not None
    }


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
    transport: RTCDtlsTransport, take: Callable[[bytes, int], None]
) -> Callable[[bytes, int], None]:
    """Lets `take` have the datagrams of DTLS, RTP and RTCP, with their component. Returns what the library
    does with them: it queues them for its loop.
    """
    ice = transport.transport._connection
    queue = ice.data_received
    ice.__dict__["data_received"] = take
    return queue


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
