"""One WebRTC connection: offer and answer, encoded frames in and out. See `Peer`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.rtc import description, negotiation, protection, seams, sound, transport_wide
from mediaagentd.media.rtc.audio_receiver import AudioReceiver
from mediaagentd.media.rtc.audio_sender import AudioSender
from mediaagentd.media.rtc.consent import Consent
from mediaagentd.media.rtc.gate import Gate
from mediaagentd.media.rtc.gathering import Gatherer
from mediaagentd.media.rtc.handshake import Handshake
from mediaagentd.media.rtc.ice import IceServer, servers, unusable
from mediaagentd.media.rtc.names import Names
from mediaagentd.media.rtc.polling import Polling
from mediaagentd.media.rtc.trickle import Trickle
from mediaagentd.media.rtc.video_receiver import VideoReceiver
from mediaagentd.media.rtc.video_sender import VideoSender
from mediaagentd.media.rtc.wire import Wire
from mediaagentd.media.types import (
    UNSAID,
    VOICE,
    AudioFrame,
    Feedback,
    Hearing,
    PeerStats,
    SoundStyle,
    VideoCodec,
    VideoFrame,
)

CONNECT_TIMEOUT = 30.0
"""Seconds from both descriptions to DTLS up; then the peer has failed."""

CLOSE_TIMEOUT = 2.0
"""Seconds that `Peer.close` may take; a TURN server that is gone would hold it for half a minute."""

_log = structlog.stdlib.get_logger()


class PeerObserver(Protocol):
    """What a peer tells its owner. All on the event loop; must not block."""

    def on_connected(self) -> None:
        """ICE and DTLS are up; once."""

    def on_closed(self, reason: str, *, by_far_end: bool = False) -> None:
        """The connection failed or the far end closed it; once, and not after `Peer.close`."""

    def on_candidate(self, candidate: str, mid: str) -> None:
        """A candidate of ours that came after the description, "" when no more will."""

    def on_video(self, frame: VideoFrame) -> None:
        """A whole remote picture; decodable if those before it were decoded."""

    def on_audio(self, frame: AudioFrame) -> None:
        """A remote Opus packet, in the order of arrival."""

    def on_keyframe_request(self) -> None:
        """The far end wants a keyframe of our video."""

    def on_feedback(self, feedback: Feedback) -> None:
        """What the far end says of our video."""

    def on_audio_loss(self, loss: float) -> None:
        """The fraction of our sound that the far end loses, 0 to 1; about every second."""


class Peer:
    """A hardened connection to one far end over aiortc.

    Audio and video are always negotiated both ways: an audio call just sends no video, so that it
    becomes a video call without a word of signalling. Make one with a running event loop; call either
    `create_offer` then `accept_answer`, or `accept_offer`, once; `close` it in the end.

    `allow_loopback` adds 127.0.0.1 to the addresses; without any other address it is used anyway. `names`
    is shared by those who look up the same servers; `style` is that of our sound, for the far end to know;
    `turn_ca` a file with a further authority for TURN servers over TLS.
    """

    def __init__(
        self,
        *,
        ice_servers: Sequence[IceServer],
        video_codecs: Sequence[VideoCodec],
        observer: PeerObserver,
        allow_loopback: bool = False,
        names: Names | None = None,
        style: SoundStyle = VOICE,
        turn_ca: Path | None = None,
    ) -> None:
        self._codecs, self._observer = tuple(video_codecs), observer
        self._connection = _connection(self._codecs)
        self._trickle = Trickle(self._connection, observer.on_candidate)
        self._gate = Gate()
        self._gate.on_worn = lambda: self._end("worn out")
        self._handshake = Handshake(seams.dtls_transport(self._connection))
        self._wire = Wire(seams.dtls_transport(self._connection), self._gate)
        self._audio_out, self._video_out, self._audio_in, self._video_in = _streams(
            self._connection, self._wire, observer, self._round_trip
        )
        if bad := unusable(ice_servers):
            _log.warning("ice_servers_malformed", count=bad)
        ice = seams.ice_transport(self._connection)._connection
        self._gatherer = Gatherer(
            ice,
            servers(ice_servers),
            self._gate,
            names=names or Names(),
            authority=turn_ca,
            allow_loopback=allow_loopback,
            on_candidate=self._trickle.found,
        )
        self._polling = Polling(self._wire, sent=lambda: self._audio_out.packets, signs=self._signs)
        self._consent = Consent(
            ice, on_expired=lambda: self._end("connection lost"), on_check=self._polling.look
        )
        seams.keep_consent(ice, self._consent.keep)
        seams.close_while_connecting(self._connection)
        self._connection.on("connectionstatechange", self._on_state)
        self.connected = False
        """Whether media can flow."""
        self._ended = self._remote_set = False
        self._offered = ""
        self._codec: VideoCodec | None = None
        self._style, self._hearing = style, UNSAID
        self._timer: asyncio.TimerHandle | None = None
        self._closing: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    @property
    def video_codec(self) -> VideoCodec | None:
        """What we send: the first of our preferences that the far end takes; None before there are
        both descriptions, and when the far end takes no video.
        """
        return self._codec

    @property
    def hearing(self) -> Hearing:
        """How the far end hears our sound, as far as it has said."""
        return self._hearing

    @property
    def heard(self) -> float:
        """When anything authentic last came from the far end, in the loop's time; -inf before."""
        return self._gate.heard

    @property
    def addresses(self) -> frozenset[str]:
        """Of this machine, where it may be reached; none before they are gathered."""
        return seams.addresses(self._connection)

    @property
    def local_address(self) -> str | None:
        """The address of this machine that it goes over; None before it is connected."""
        return seams.local_address(self._connection)

    @property
    def is_relayed(self) -> bool:
        """Whether it goes over a relay, of ours or the far end's."""
        return seams.is_relayed(self._connection)

    def probe(self) -> None:
        """Asks the far end for a sign of life, which shows in `heard`."""
        if self.connected:
            self._consent.ask()

    async def create_offer(self) -> str:
        """The offer, with the candidates that are known soon. Raises `Refused` when the peer is past that."""
        async with self._lock:
            self._require("stable")
            await self._connection.setLocalDescription()
            offered = sound.offer(self._connection.localDescription.sdp, self._style)
            self._offered = self._described(protection.offer(transport_wide.offer(offered)))
            return self._offered

    async def accept_offer(self, sdp: str) -> str:
        """The answer, with the candidates that are known soon. Raises `Refused` with nothing changed when
        the offer is bad or the peer is past that.
        """
        async with self._lock:
            self._require("stable")
            await self._apply(sdp, "offer")
            await self._connection.setLocalDescription()
            answered = sound.answer(self._connection.localDescription.sdp, sdp, self._style)
            answered = protection.answer(transport_wide.answer(answered, sdp), sdp)
            local = self._described(answered)
            self._negotiated(local, sdp)
            return local

    async def accept_answer(self, sdp: str) -> None:
        """Raises `Refused` with nothing changed when the answer is bad or not awaited."""
        async with self._lock:
            self._require("have-local-offer")
            await self._apply(sdp, "answer")
            self._negotiated(self._offered, sdp)

    async def add_candidate(self, candidate: str, mid: str) -> None:
        """A trickled `candidate:...` line, "" for the end of them; may come before the description.
        `mid` is not looked at: everything is bundled. Raises `Refused` when malformed or too many.
        """
        if len(mid) > negotiation.MAX_CANDIDATE_BYTES:
            raise negotiation.invalid("candidate: mid too long")
        if self._closing is not None or self._ended:
            return
        await self._trickle.add(candidate)

    def send_video(self, frame: VideoFrame) -> None:
        """Queues one picture; ignored until connected. Bounded: see `VideoOutbox`."""
        if self.connected:
            self._video_out.push(frame, self._codec)

    def send_audio(self, frame: AudioFrame) -> None:
        """Queues one Opus packet; ignored until connected. Bounded: the oldest goes."""
        if self.connected:
            self._audio_out.push(frame)

    def request_keyframe(self) -> None:
        """Asks the far end for a keyframe, at most twice a second."""
        if self.connected:
            self._video_in.request_keyframe()

    def stats(self) -> PeerStats:
        """Totals so far."""
        return PeerStats(
            audio_sent=self._audio_out.stats(),
            audio_received=self._audio_in.stats(),
            video_sent=self._video_out.stats(),
            video_received=self._video_in.stats(),
            video_codec=self._codec,
            round_trip=self._round_trip(),
            fraction_lost=max(self._audio_out.fraction_lost, self._video_out.fraction_lost),
        )

    def kill(self) -> None:
        """Loses the connection as a dead network would, and finds out at once; the far end later."""
        seams.abort(self._connection)
        self._end("connection lost")

    async def close(self) -> None:
        """Closes both ways within `CLOSE_TIMEOUT`; may be called again and from several tasks."""
        if self._closing is None:
            self._trickle.stop()
            self._closing = asyncio.create_task(self._close(), name="peer-close")
        await asyncio.shield(self._closing)

    def _round_trip(self) -> float | None:
        """By reports on what we send, else by consent checks: some far ends send and we do not."""
        known = self._video_out.round_trip
        known = self._audio_out.round_trip if known is None else known
        return self._consent.round_trip if known is None else known

    def _signs(self) -> tuple[int, ...]:
        """Counters of what should be answered at once."""
        return (
            self._video_in.packets,
            self._video_out.packets,
            self._audio_in.uneven,
            self._audio_out.unheard,
        )

    def _require(self, state: str) -> None:
        if self._closing is not None or self._ended:
            raise Refused(Reason.SIGNAL_INVALID, "peer: closed")
        if self._connection.signalingState != state or (state == "stable" and self._remote_set):
            raise negotiation.invalid(f"peer: not in state {state} but {self._connection.signalingState}")

    def _described(self, sdp: str) -> str:
        """Our description as it leaves."""
        return self._trickle.describe(sdp, complete=self._gatherer.complete)

    async def _apply(self, sdp: str, kind: str) -> None:
        description.check(sdp, kind, self._codecs)
        rest, candidates, ended = negotiation.split_candidates(sdp)
        for line in candidates:
            negotiation.parse_candidate(line)
        if kind == "answer":
            self._check_sections(rest)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(rest, kind))
        except Exception as error:
            _log.error("description_half_applied", error=type(error).__name__)
            raise negotiation.invalid("sdp: cannot be applied") from None
        self._remote_set = True
        await self._trickle.apply(candidates, ended=ended)

    def _check_sections(self, sdp: str) -> None:
        local = self._connection.localDescription.sdp
        if negotiation.sections(local) != negotiation.sections(sdp):
            raise negotiation.invalid("sdp: sections are not those of the offer")

    def _negotiated(self, local: str, remote: str) -> None:
        if (number := transport_wide.agreed(local, remote)) is not None:
            self._wire.reader.transport_sequence_number = number
        if (payload_type := protection.agreed(local, remote)) is not None:
            self._video_out.protect(payload_type)
            self._video_in.protected(payload_type)
        if (agreed := sound.agreed(local, remote)) is not None:
            self._audio_out.agree(agreed[0])
            self._audio_in.agree(agreed[1])
            self._hearing = agreed[0].hearing
        names = seams.negotiated(self._connection, "video")
        self._codec = negotiation.sending_codec(self._codecs, names)
        if not self.connected:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(CONNECT_TIMEOUT, self._end, "not connected in time")

    def _on_state(self) -> None:
        state = self._connection.connectionState
        if state == "connected" and not self.connected and not self._ended:
            self.connected = True
            self._video_out.expect(self._consent.round_trip)
            self._gate.alive(asyncio.get_running_loop().time())
            self._gatherer.stop()
            self._stop_timer()
            self._observer.on_connected()
        elif state == "failed":
            self._end("connection lost" if self.connected else "connection failed")
        elif state == "closed":
            shut = seams.shut_by_far_end(self._connection)
            self._end("closed by the far end" if shut else "connection lost", by_far_end=shut)

    def _end(self, reason: str, *, by_far_end: bool = False) -> None:
        self._stop_timer()
        if self._ended or self._closing is not None:
            return
        self._ended, self.connected = True, False
        self._trickle.stop()
        _log.info("peer_ended", reason=reason)
        self._observer.on_closed(reason, by_far_end=by_far_end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _close(self) -> None:
        self._stop_timer()
        self._polling.close()
        self._consent.stop()
        self._gatherer.stop()
        closing = asyncio.create_task(self._connection.close())
        pending = [closing, *self._trickle.stop()]
        _, late = await asyncio.wait(pending, timeout=CLOSE_TIMEOUT - 0.2)
        if late:
            _log.warning("close_overdue")
            seams.abort(self._connection)
            closing.cancel()
            await asyncio.wait(late, timeout=0.2)


def _connection(codecs: Sequence[VideoCodec]) -> RTCPeerConnection:
    """The library's, with sound and pictures both ways; asking for addresses is ours to do."""
    connection = RTCPeerConnection(
        # None would mean a public STUN server on the Internet.
        RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
    )
    audio = connection.addTransceiver("audio", "sendrecv")
    video = connection.addTransceiver("video", "sendrecv")
    audio.setCodecPreferences(description.audio_preferences())
    video.setCodecPreferences(description.video_preferences(codecs))
    return connection


def _streams(
    connection: RTCPeerConnection,
    wire: Wire,
    observer: PeerObserver,
    round_trip: Callable[[], float | None],
) -> tuple[AudioSender, VideoSender, AudioReceiver, VideoReceiver]:
    """Sound and pictures, out and in, that know of each other what they must; in the library's places."""
    audio_out = AudioSender(wire, observer.on_audio_loss)
    video_out = VideoSender(wire, observer.on_keyframe_request, observer.on_feedback, audio_out.rate)
    audio_out.overran = video_out.overran
    video_in = VideoReceiver(wire, observer.on_video, round_trip, video_out.breathe)
    audio_in = AudioReceiver(wire, observer.on_audio, round_trip, video_in.beside)
    audio, video = connection.getTransceivers()
    seams.swap(audio, audio_out, audio_in)
    seams.swap(video, video_out, video_in)
    return audio_out, video_out, audio_in, video_in
