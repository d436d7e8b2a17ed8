"""Datagrams that nobody asked for, in every phase of a call, from strangers and in the far end's name:
`--hostile N` in each phase."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from aiortc.rtp import RtpPacket
from mediaagentd.media.rtc import guard, peer, seams
from mediaagentd.media.rtc.gate import STREAMS, WORN
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.rtc.receiver import SILENT
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, VideoCodec
from structlog.testing import capture_logs

from tests.fakes.rtc import Picture, Recorder, opus
from tests.integration.rtc.conftest import End, Stage

Send = Callable[[bytes, tuple[str, int]], object]

AT_ONCE = 64
"""Datagrams under way: fewer than the socket's buffer holds."""

HOSTILE = [
    b"",
    b"\x00",
    b"\x16",
    b"\x80",
    bytes([22]) * 40,
    bytes([21, 254, 253]) + bytes(8) + b"\x00\x02\x02\x28",  # a fatal alert, in plain text
    bytes([20, 254, 253]) + bytes(8) + b"\x00\x01\x01",  # ChangeCipherSpec
    bytes([128, 96]) + b"x" * 40,
    bytes([128, 200]) + b"x" * 40,
    b"\xff" * 1200,
    b"GET / HTTP/1.1\r\n\r\n",
    struct.pack("!HHI12s", 1, 0, 0x2112A442, b"x" * 12),
    struct.pack("!HHI12sHH", 1, 4, 0x2112A442, b"x" * 12, 0x24, 0),
    struct.pack("!HHI12sHHI", 0x101, 8, 0x2112A442, b"x" * 12, 0x20, 1, 0),
    struct.pack("!HHI12sHHI", 1, 8, 0x2112A442, b"x" * 12, 0x09, 1, 0),
    struct.pack("!HHI12s", 0x11, 0, 0x2112A442, b"x" * 12),
    struct.pack("!HHI12s", 3, 0, 0x2112A442, b"x" * 12),
]


class Storm:
    """Sends `count` hostile datagrams in a phase, and sees each of them arrive."""

    def __init__(self, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self._count = count
        self.seconds = 0.0
        """How long it has stormed, each target for itself."""
        self._under_way: Counter[bytes] = Counter()
        received = guard.GuardedProtocol.datagram_received

        def seen(protocol: guard.GuardedProtocol, data: bytes, addr: tuple[str, int]) -> None:
            if (left := self._under_way.pop(data, 0) - 1) > 0:
                self._under_way[data] = left
            received(protocol, data, addr)

        monkeypatch.setattr(guard.GuardedProtocol, "datagram_received", seen)

    async def __call__(
        self, phase: str, *targets: Peer, send: Send, meanwhile: Callable[[], object] = lambda: None
    ) -> None:
        """To all targets together; `meanwhile` is called between two bursts."""
        aims = list(map(aim, targets))
        rng = random.Random(phase)
        began = time.monotonic()
        for begun in range(0, self._count, AT_ONCE):
            burst = range(begun, min(begun + AT_ONCE, self._count))
            shots = [(junk(rng, aims[n % len(aims)][0]), aims[n % len(aims)][1]) for n in burst]
            self._under_way.update(data for data, _ in shots)
            for shot in shots:
                send(*shot)
            meanwhile()
            async with asyncio.timeout(10):
                while self._under_way:  # noqa: ASYNC110 - every datagram counts
                    await asyncio.sleep(0)
        took = time.monotonic() - began
        self.seconds += took * len(targets)
        print(f"{phase}: {self._count} datagrams in {took:.1f} s")


class Talk:
    """Sound and pictures both ways for as long as it is asked to go on."""

    def __init__(self, *ends: End) -> None:
        self._ends = ends
        self._cameras = [Picture(VideoCodec.VP8) for _ in ends]
        self._ticks = self._pictures = 0
        self._began = time.monotonic()

    def go_on(self) -> None:
        """What is due by now: 50 packets of sound a second and 10 pictures, each of which has a second."""
        while self._ticks * AUDIO_FRAME / AUDIO_CLOCK < time.monotonic() - self._began:
            self._say()
            for end in self._ends:
                assert len(end.seen.audio) > self._ticks - 50
                assert len(end.seen.video) > self._pictures - 10

    def _say(self) -> None:
        for end, camera in zip(self._ends, self._cameras, strict=True):
            end.peer.send_audio(opus(self._ticks))
            if self._ticks % 5 == 0:
                end.peer.send_video(camera.frame())
        self._pictures += self._ticks % 5 == 0
        self._ticks += 1

    @property
    def said(self) -> str:
        return f"{self._ticks} packets of sound and {self._pictures} pictures"

    async def until_all_arrived(self) -> None:
        for end in self._ends:
            await end.seen.until(partial(self._is_complete, end.seen))

    def _is_complete(self, seen: Recorder) -> bool:
        return len(seen.audio) == self._ticks and len(seen.video) == self._pictures


@pytest.fixture
def storm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Storm:
    return Storm(request.config.getoption("--hostile"), monkeypatch)


@pytest.fixture
def gun() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        yield sock


def aim(target: Peer) -> tuple[bytes, tuple[str, int]]:
    """Its user fragment with one of a far end, and its address."""
    ice = seams.ice_transport(target._connection)._connection
    port = next(c.port for c in ice.local_candidates if c.host == "127.0.0.1")
    return f"{ice.local_username}:abcd".encode(), ("127.0.0.1", port)


def junk(rng: random.Random, fragment: bytes) -> bytes:
    """One hostile datagram; some know the user fragment, which is no secret to who saw the description, and
    claim to know the password.
    """
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(HOSTILE)
    if kind < 0.8:
        return rng.randbytes(rng.randint(0, 90))
    body = struct.pack("!HH", 6, len(fragment)) + fragment + bytes(-len(fragment) % 4)
    body += struct.pack("!HH", 8, 20) + rng.randbytes(20) if kind < 0.9 else rng.randbytes(8)
    return struct.pack("!HHI12s", 1, len(body), 0x2112A442, rng.randbytes(12)) + body


@contextmanager
def voice_of(end: Peer) -> Iterator[Send]:
    """Sends as that end does, and to where it does, which may be an address of IPv6; empty datagrams too:
    asyncio's transports leave these out.
    """
    pair = next(iter(seams.ice_transport(end._connection)._connection._nominated.values()))
    with pair.protocol.transport.get_extra_info("socket").dup() as sock:
        yield lambda data, _: sock.sendto(data, pair.remote_addr)


@pytest.mark.timeout(1800)
async def test_a_storm_in_each_phase_loses_no_call(
    stage: Stage, gun: socket.socket, storm: Storm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        peer, "CONNECT_TIMEOUT", 600.0
    )  # a million take longer than one may wait for the answer
    alice, bob = stage.end(VideoCodec.VP8), stage.end(VideoCodec.VP8)
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    with capture_logs() as logs:
        offer = await alice.peer.create_offer()
        await storm("offered", alice.peer, send=gun.sendto)
        answer = await bob.peer.accept_offer(offer)
        await storm("checking", bob.peer, send=gun.sendto)
        await alice.peer.accept_answer(answer)
        await storm("connecting", alice.peer, bob.peer, send=gun.sendto)
        for end in (alice, bob):
            await end.seen.until_connected()
        talk = Talk(alice, bob)
        await storm("in the call", bob.peer, send=gun.sendto, meanwhile=talk.go_on)
        with voice_of(alice.peer) as send:
            await storm("in the far end's name", bob.peer, send=send, meanwhile=talk.go_on)
        await talk.until_all_arrived()
    dropped = [end.peer._gate.tally.count for end in (alice, bob)]
    print(f"dropped {dropped}, {talk.said} went both ways, {len(logs)} log lines")
    assert raised == []
    assert len(logs) < 12 + storm.seconds, "one line a second of each end"
    assert not alice.seen.closed
    assert not bob.seen.closed
    stranger = gun.getsockname()[1]
    for end in (alice, bob):
        assert stranger not in [port for _, port in end.peer._gate.trusted]
        remote = seams.ice_transport(end.peer._connection)._connection._remote_candidates
        assert stranger not in [candidate.port for candidate in remote]


async def test_floods_of_an_authentic_far_end_are_bounded(stage: Stage) -> None:
    """PLI, NACK, REMB and synchronization sources without end: little is done for them, the call goes on."""
    alice, bob = await stage.pair(VideoCodec.VP8)
    picture = Picture(VideoCodec.VP8)
    await _talk_begins(alice, bob, picture)
    out = seams.dtls_transport(alice.peer._connection)
    ssrc, ours = bob.peer._video_out._ssrc, 7
    asked, sent = bob.seen.keyframe_requests, bob.peer.stats().video_sent.repaired
    pli = struct.pack("!BBHLL", 0x81, 206, 2, ours, ssrc)
    nack = struct.pack("!BBHLL", 0x81, 205, 302, ours, ssrc) + struct.pack("!HH", 1, 0xFFFF) * 300
    remb = struct.pack("!BBHLL4sBBHL", 0x8F, 206, 5, ours, 0, b"REMB", 1, 0x0B, 0xFFFF, ssrc)
    began = time.monotonic()
    for _ in range(300):
        for packet in (pli, nack, remb):
            await out._send_rtp(packet)
            await asyncio.sleep(0)
    audio = bob.peer._audio_in
    payload_type = next(iter(audio._codecs))
    for number in range(2000):
        flood = RtpPacket(payload_type, 0, number & 0xFFFF, 0, 1000 + number, b"x")
        await out._send_rtp(flood.serialize())
        await asyncio.sleep(0)
    async with asyncio.timeout(10):
        for index in itertools.count(9):  # the first ones meet a full socket buffer
            alice.peer.send_audio(opus(index))
            await asyncio.sleep(0.02)
            if any(frame.data >= opus(9).data for frame in bob.seen.audio):
                break
    seconds = time.monotonic() - began
    assert bob.seen.keyframe_requests - asked <= 2 + seconds / 0.2
    assert bob.peer.stats().video_sent.repaired - sent <= 600 * (1 + seconds)
    assert len(audio._sources) <= 8
    assert bob.peer._gate.tally.count >= 1_000, "SRTP keeps a context for each that it opens: most were not"
    router = seams.dtls_transport(bob.peer._connection)._rtp_router
    assert len(router.ssrc_table) <= 80
    assert not bob.seen.closed
    bob.peer.send_video(picture.frame())
    await alice.seen.until(lambda: len(alice.seen.video) >= 6)


async def test_a_far_end_that_has_begun_anew_too_often_is_connected_with_anew(stage: Stage) -> None:
    """Each time with another synchronization source, in an hour: with one more nothing would be heard."""
    alice, bob = await stage.pair(VideoCodec.VP8)
    bob.peer._gate._begun -= WORN
    for number in range(STREAMS + 1):
        alice.peer._audio_out._ssrc = 1000 + number
        alice.peer.send_audio(opus(number))
        await bob.seen.until(partial(_has_heard, bob, number + 1))
        for source in bob.peer._audio_in._sources.values():
            source.arrived -= SILENT
        assert bool(bob.seen.closed) == (number == STREAMS)
    assert bob.seen.closed == ["worn out"]


def _has_heard(end: End, count: int) -> bool:
    return len(end.seen.audio) >= count


async def _talk_begins(alice: End, bob: End, picture: Picture) -> None:
    for index in range(5):
        bob.peer.send_video(picture.frame())
        bob.peer.send_audio(opus(index))
        alice.peer.send_audio(opus(index))
    await alice.seen.until_received(5)
    await bob.seen.until(lambda: len(bob.seen.audio) == 5)
