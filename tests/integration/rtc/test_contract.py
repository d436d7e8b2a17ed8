"""The internals of aiortc 1.16 and aioice 0.13 that we lean on. An upgrade that moves one fails here,
with its name, and not in a call."""

from __future__ import annotations

import asyncio
import inspect
from importlib.metadata import version
from typing import Any

import aioice.ice
import aioice.stun
import aiortc.codecs
import aiortc.rtp
import pylibsrtp
import pytest
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, rtcdtlstransport
from aiortc.codecs.h264 import H264Encoder, H264PayloadDescriptor
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor
from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtcrtpsender import RTCRtpSender
from mediaagentd.media.rtc import description, gathering, seams
from mediaagentd.media.rtc.audio_receiver import AudioReceiver
from mediaagentd.media.rtc.audio_sender import AudioSender
from mediaagentd.media.rtc.consent import Consent
from mediaagentd.media.rtc.gate import Gate
from mediaagentd.media.rtc.guard import GuardedProtocol
from mediaagentd.media.rtc.handshake import datagrams
from mediaagentd.media.rtc.names import Names
from mediaagentd.media.rtc.receiver import RTX
from mediaagentd.media.rtc.video_receiver import VIDEO, VideoReceiver
from mediaagentd.media.rtc.video_sender import VideoSender
from mediaagentd.media.rtc.wire import Wire
from mediaagentd.media.types import VideoCodec
from OpenSSL import SSL


def test_the_versions_are_those_that_were_read() -> None:
    assert version("aiortc").startswith("1.16.")
    assert version("aioice").startswith("0.13.")


@pytest.fixture
async def connection() -> RTCPeerConnection:
    made = RTCPeerConnection(RTCConfiguration([], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    made.addTransceiver("audio", "sendrecv")
    made.addTransceiver("video", "sendrecv")
    return made


async def test_a_transceiver_keeps_sender_and_receiver_in_two_private_fields(
    connection: RTCPeerConnection,
) -> None:
    for transceiver in connection.getTransceivers():
        theirs, wire = transceiver.sender, Wire(transceiver.sender.transport, Gate())
        ours = AudioSender(wire, lambda _: None)
        assert isinstance(theirs, RTCRtpSender)
        assert isinstance(transceiver.receiver, RTCRtpReceiver)
        inward = AudioReceiver(wire, lambda _: None, lambda: None, lambda _size, _now: None)
        stream = theirs._stream_id
        seams.swap(transceiver, ours, inward)
        swapped: tuple[object, object] = transceiver.sender, transceiver.receiver
        assert swapped == (ours, inward)
        assert ours._stream_id == stream
        assert inward._rtcp_ssrc == ours._ssrc
    assert connection.getSenders()[0] is connection.getTransceivers()[0].sender


async def test_everything_is_bundled_from_the_start(connection: RTCPeerConnection) -> None:
    audio, video = connection.getTransceivers()
    assert audio.receiver.transport is video.receiver.transport is audio.sender.transport
    assert isinstance(seams.dtls_transport(connection), RTCDtlsTransport)
    assert (audio._bundled, video._bundled) == (False, True), "the first would lose the transport of all"
    assert audio._offerDirection is None, "no answer can be made to an offer without sound"
    assert not seams.negotiated(connection, "video")


@pytest.mark.parametrize(
    ("stock", "ours"),
    [(RTCRtpSender, VideoSender), (RTCRtpReceiver, VideoReceiver)],
)
def test_ours_has_what_the_library_calls(stock: type, ours: type) -> None:
    called = {
        "send", "receive", "stop", "setTransport", "getStats", "replaceTrack", "transport", "track",
        "_handle_disconnect", "_set_rtcp_ssrc",
        "_send_keyframe",
    }  # fmt: skip
    for name in called & set(dir(stock)):
        theirs = getattr(stock, name)
        if callable(theirs):
            mine = getattr(ours, name)
            assert list(inspect.signature(mine).parameters) == list(inspect.signature(theirs).parameters), (
                name
            )
            assert inspect.iscoroutinefunction(mine) == inspect.iscoroutinefunction(theirs), name


def test_codecs_are_named_as_the_library_names_them() -> None:
    codec = aiortc.RTCRtpCodecParameters("video/rtx", 90000, payloadType=62, parameters={"apt": 96})
    assert (codec.name.lower(), codec.parameters["apt"]) == (RTX, 96)
    assert aiortc.codecs.is_rtx(codec)
    assert [each.lower() for each in VIDEO] == list(VIDEO)
    assert {each.name.lower() for each in aiortc.codecs.CODECS["video"]} >= {*VIDEO, RTX}
    wrapped = aiortc.rtp.wrap_rtx(aiortc.rtp.RtpPacket(96, sequence_number=5, payload=b"x"), 62, 9, 8)
    assert (wrapped.ssrc, wrapped.payload) == (8, b"\0\5x")


async def test_the_library_reads_no_other_private_field_of_ours(
    connection: RTCPeerConnection,
) -> None:
    """Every `sender._x` and `receiver._x` in its glue is one that ours has, but for packets: no packet comes
    to it, see `Wire`.
    """
    import re

    from aiortc import rtcdtlstransport, rtcpeerconnection, rtcrtptransceiver

    transport = seams.dtls_transport(connection)
    wire = Wire(transport, Gate())
    out = VideoSender(wire, lambda: None, lambda _: None, lambda: 0)
    inward = VideoReceiver(wire, lambda _: None, lambda: None, lambda: None)
    packets = {"_handle_rtp_packet", "_handle_rtcp_packet"}
    pattern = re.compile(r"\b(?:__)?(sender|receiver|recipient)\.(_?[a-zA-Z]\w*)")
    for module in (rtcpeerconnection, rtcdtlstransport, rtcrtptransceiver):
        for kind, name in pattern.findall(inspect.getsource(module)):
            assert name in packets or hasattr(out if kind == "sender" else inward, name), (
                module.__name__,
                kind,
                name,
            )


async def test_gathering_and_consent_are_looked_up_on_the_instance(
    connection: RTCPeerConnection,
) -> None:
    ice = seams.ice_transport(connection)._connection
    assert "self.get_component_candidates(component=component, addresses=addresses)" in (
        inspect.getsource(aioice.ice.Connection.gather_candidates)
    )
    assert "create_task(self.query_consent())" in inspect.getsource(aioice.ice.Connection.connect)
    gathering.Gatherer(
        ice, [], Gate(), names=Names(), authority=None, allow_loopback=True, on_candidate=lambda _: None
    )
    seams.keep_consent(ice, Consent(ice, lambda: None).keep)
    await ice.gather_candidates()
    assert gathering.LOOPBACK in [candidate.host for candidate in ice.local_candidates]
    assert all(isinstance(p, GuardedProtocol) for p in ice._protocols)
    assert isinstance(ice._queue, asyncio.Queue)
    assert ice._nominated == {}
    assert ice._query_consent_task is None
    await ice.close()
    await connection.close()


def test_stun_functions_are_called_as_they_are_declared() -> None:
    def names(function: object) -> list[str]:
        assert callable(function)
        return list(inspect.signature(function).parameters)

    assert names(aioice.ice.server_reflexive_candidate) == ["protocol", "stun_server"]
    assert names(aioice.ice.relayed_candidate) == [
        "component", "hide_related_address", "protocol_factory", "turn_server", "turn_username",
        "turn_password", "turn_ssl", "turn_transport",
    ]  # fmt: skip
    assert names(aioice.ice.StunProtocol.request) == [
        "self", "request", "addr", "integrity_key", "retransmissions",
    ]  # fmt: skip
    assert names(aioice.ice.Connection.build_request) == ["self", "pair", "nominate"]
    assert names(aioice.ice.StunProtocol) == ["receiver"]
    assert aioice.stun.RETRY_RTO == 0.5


def test_the_defects_we_guard_against_are_still_there() -> None:
    """When one is gone, its guard may go."""
    receive = inspect.getsource(RTCDtlsTransport._recv_next)
    assert "data[0]" in receive
    assert "except ValueError" in inspect.getsource(RTCDtlsTransport._handle_rtcp_data)
    assert 'ip.ip != "127.0.0.1"' in inspect.getsource(aioice.ice.get_host_addresses)
    with pytest.raises(Exception, match="unpack"):
        aiortc.rtp.unpack_remb_fci(b"REMB" + bytes([9, 0, 0, 0]))


async def test_packets_are_sent_as_the_library_sends_them(connection: RTCPeerConnection) -> None:
    """Each step that we leave out does nothing but the next one."""
    transport = seams.dtls_transport(connection)
    with pytest.raises(ConnectionError):
        await transport._send_rtp(b"\x80\0")
    with pytest.raises(ConnectionError):
        seams.outgoing(transport)()
    assert "data = self._tx_srtp.protect(data)" in inspect.getsource(RTCDtlsTransport._send_rtp)
    ice = seams.ice_transport(connection)
    assert ice._send == ice._connection.send
    steps: dict[Any, str] = {
        aioice.ice.Connection.send: "await self.sendto(data, 1)",
        aioice.ice.Connection.sendto: "active_pair.protocol.send_data(data, active_pair.remote_addr)",
        aioice.ice.StunProtocol.send_data: "self.transport.sendto(data, addr)",
    }
    for step, source in steps.items():
        assert source in inspect.getsource(step)
    assert not inspect.iscoroutinefunction(aioice.turn.TurnTransport.sendto)


async def test_what_openssl_writes_leaves_by_us(connection: RTCPeerConnection) -> None:
    """Every way in which the library says something of DTLS goes through one method of the instance."""
    library = inspect.getsource(rtcdtlstransport)
    assert library.count("bio_read(") == 1
    assert "bio_read(" in inspect.getsource(RTCDtlsTransport._write_ssl)
    for says in (RTCDtlsTransport._do_handshake, RTCDtlsTransport._recv_next, RTCDtlsTransport.stop):
        assert "await self._write_ssl()" in inspect.getsource(says)
    transport, said = seams.dtls_transport(connection), list[bytes]()

    async def say(written: bytes) -> None:
        said.append(written)

    seams.take_dtls(transport, say)
    context = SSL.Context(SSL.DTLS_METHOD)
    transport._ssl = SSL.Connection(context)
    transport._ssl.set_connect_state()
    with pytest.raises(SSL.WantReadError):
        transport._ssl.do_handshake()
    await transport._write_ssl()
    await transport._write_ssl()
    (hello,) = said
    assert hello[0] == 22
    assert datagrams(hello) == [hello], "a whole record"
    assert not seams.lacks_our_flight(transport)
    for state, role, lacks in (
        (State.CONNECTING, "client", True),
        (State.CONNECTING, "server", True),
        (State.CONNECTED, "client", False),
        (State.CONNECTED, "server", True),
    ):
        transport._state, transport._role = state, role
        assert seams.lacks_our_flight(transport) is lacks
    assert not seams.say_again(transport, [hello]), "no way yet"
    transport._state, transport._ssl = State.NEW, None


async def test_packets_come_to_us_by_the_instance_fields_of_the_library(
    connection: RTCPeerConnection,
) -> None:
    """Those that its loop has taken up, and those that come when it has nothing left to take up."""
    source = inspect.getsource(RTCDtlsTransport._recv_next)
    assert "first_byte > 127 and first_byte < 192 and self._rx_srtp" in source
    assert "data = self._rx_srtp.unprotect(data)" in source
    assert "self._handle_rtcp_data(data)" in source
    assert "self._handle_rtp_data(data, arrival_time_ms=arrival_time_ms)" in source
    transport, gate = seams.dtls_transport(connection), Gate()
    Wire(transport, gate)
    await transport._handle_rtcp_data(b"\x80")
    await transport._handle_rtp_data(b"", arrival_time_ms=0)
    assert gate.tally.count == 2
    ice = seams.ice_transport(connection)._connection
    assert seams.incoming(transport) is None
    ice.data_received(b"\x80 before DTLS is up", 1)
    assert ice._queue.get_nowait() == (b"\x80 before DTLS is up", 1)
    transport._state, transport._rx_srtp = State.CONNECTED, pylibsrtp.Session()
    assert seams.incoming(transport) is transport._rx_srtp
    ice._queue.put_nowait((b"", 1))
    assert seams.incoming(transport) is None
    transport._state = State.NEW


def test_packing_is_the_librarys() -> None:
    unit = b"\x65" + b"x" * 3000
    (split,) = H264Encoder._split_bitstream(b"\0\0\0\1" + unit)
    assert split == unit
    assert len(H264Encoder._packetize([unit])) == 3
    assert H264PayloadDescriptor.parse(b"\x65x")[1] == b"\0\0\0\1\x65x"
    (payload,) = Vp8Encoder._packetize(b"abc", 5)
    parsed, data = VpxPayloadDescriptor.parse(payload)
    assert (parsed.partition_start, parsed.partition_id, parsed.picture_id) == (1, 0, 5)
    assert data == b"abc"


def test_our_preferences_are_capabilities_of_the_library() -> None:
    for kind, preferences in (
        ("audio", description.audio_preferences()),
        ("video", description.video_preferences(tuple(VideoCodec))),
    ):
        offered = aiortc.codecs.get_capabilities(kind).codecs
        assert all(preference in offered for preference in preferences)
