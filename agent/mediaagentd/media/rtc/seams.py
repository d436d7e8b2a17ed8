"""Every internal of aiortc that we lean on, in one place. `tests/integration/rtc/test_contract.py`
holds each against the pinned version, so that an upgrade fails loudly.
"""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any

from aiortc import RTCPeerConnection, RTCRtpTransceiver
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcicetransport import RTCIceTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from OpenSSL import SSL

from mediaagentd.media.rtc.gathering import Tally
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


def register_payload_types(transport: RTCDtlsTransport, receiver: Any, payload_types: list[int]) -> None:
    """Lets packets of these types reach a receiver that is registered already."""
    transport._rtp_router.register_receiver(receiver, ssrcs=[], payload_types=payload_types)


def shut_by_far_end(connection: RTCPeerConnection) -> bool:
    """Whether the far end has said that it closes (`close_notify`, RFC 5246 section 7.2.1)."""
    ssl = dtls_transport(connection)._ssl
    return ssl is not None and bool(ssl.get_shutdown() & SSL.RECEIVED_SHUTDOWN)


def abort(connection: RTCPeerConnection) -> None:
    """Closes the sockets without asking anybody."""
    for protocol in list(ice_transport(connection)._connection._protocols):
        protocol.transport.close()


def harden(transport: RTCDtlsTransport, tally: Tally) -> None:
    """Keeps an authentic but malformed RTP or RTCP packet from ending the call: the library's loop
    catches `ValueError`, its parsers also raise `struct.error` and others.
    """
    for name in ("_handle_rtp_data", "_handle_rtcp_data"):
        transport.__dict__[name] = _surviving(getattr(transport, name), tally)


def _surviving(handle: Callable[..., Awaitable[None]], tally: Tally) -> Callable[..., Awaitable[None]]:
    defects = Tally("packet_handling_failed")

    async def handled(*args: Any, **kwargs: Any) -> None:
        try:
            await handle(*args, **kwargs)
        except ConnectionError:
            raise
        except (ValueError, IndexError, struct.error, AssertionError):  # the far end's doing
            tally.add()
        except Exception as error:  # ours, or an observer's; the next packet may be better
            defects.add(error)

    return handled
