"""Datagrams that nobody asked for, in every phase of a call, from strangers and in the far end's name:
`--hostile N` in each phase."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiortc.rtp import RtpPacket
from mediaagentd.media.rtc import guard, seams
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import VideoCodec
from structlog.testing import capture_logs

from tests.fakes.rtc import Picture, opus
from tests.integration.rtc.conftest import Stage

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


class Counter:
    """Counts what has arrived at any guarded socket."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.arrived = 0
        original = guard.GuardedProtocol.datagram_received

        def counted(protocol: guard.GuardedProtocol, data: bytes | str, addr: tuple[Any, ...]) -> None:
            self.arrived += 1
            original(protocol, data, addr)

        monkeypatch.setattr(guard.GuardedProtocol, "datagram_received", counted)


@pytest.fixture
def count(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--hostile"))


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    return Counter(monkeypatch)


@pytest.fixture
async def gun() -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        yield sock


def junk(rng: random.Random, fragment: bytes) -> bytes:
    """One hostile datagram; some know the user fragment, which is no secret to who saw the description."""
    data = rng.choice(HOSTILE) if rng.random() < 0.6 else rng.randbytes(rng.randint(0, 90))
    if rng.random() < 0.2:
        body = struct.pack("!HH", 6, len(fragment)) + fragment + bytes(-len(fragment) % 4) + rng.randbytes(8)
        data = struct.pack("!HHI12s", 1, len(body), 0x2112A442, rng.randbytes(12)) + body
    return data


async def storm(target: Peer, counter: Counter, count: int, send: Callable[[bytes, Any], object]) -> None:
    """Sends so many, and sees that each has arrived."""
    ice = seams.ice_transport(target._connection)._connection
    fragment = f"{ice.local_username}:abcd".encode()
    port = next(c.port for c in ice.local_candidates if c.host == "127.0.0.1")
    rng = random.Random(count)
    for begun in range(0, count, AT_ONCE):
        before = counter.arrived
        some = min(AT_ONCE, count - begun)
        for _ in range(some):
            send(junk(rng, fragment), ("127.0.0.1", port))
        async with asyncio.timeout(10):
            while counter.arrived < before + some:  # noqa: ASYNC110 - every datagram counts
                await asyncio.sleep(0)


@pytest.mark.timeout(1800)
async def test_a_storm_in_each_phase_loses_no_call(
    stage: Stage, gun: socket.socket, counter: Counter, count: int
) -> None:
    alice, bob = stage.end(VideoCodec.VP8), stage.end(VideoCodec.VP8)
    raised: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: raised.append(context))
    began = time.monotonic()
    with capture_logs() as logs:
        offer = await alice.peer.create_offer()
        await storm(alice.peer, counter, count, gun.sendto)  # offered
        answer = await bob.peer.accept_offer(offer)
        await storm(bob.peer, counter, count, gun.sendto)  # answered, checking
        await alice.peer.accept_answer(answer)
        await storm(alice.peer, counter, count // 2, gun.sendto)  # connecting
        await storm(bob.peer, counter, count // 2, gun.sendto)
        for end in (alice, bob):
            await end.seen.until_connected()
        picture = Picture(VideoCodec.VP8)
        for index in range(20):  # in the call
            alice.peer.send_video(picture.frame())
            alice.peer.send_audio(opus(index))
            await storm(bob.peer, counter, count // 20, gun.sendto)
        pair = next(iter(seams.ice_transport(alice.peer._connection)._connection._nominated.values()))
        for index in range(20):  # in the call, in the far end's name
            alice.peer.send_audio(opus(20 + index))
            await storm(bob.peer, counter, count // 20, pair.protocol.transport.sendto)
        await bob.seen.until(lambda: len(bob.seen.video) == 20 and len(bob.seen.audio) == 40)
    seconds = time.monotonic() - began
    assert raised == []
    told = [entry["event"] for entry in logs]
    assert len(told) < 12 + 3 * seconds, "one line a second for each kind and end"
    assert not alice.seen.closed
    assert not bob.seen.closed
    stranger = gun.getsockname()[1]
    for end in (alice, bob):
        assert stranger not in [port for _, port in end.peer._gate._trusted]
        remote = seams.ice_transport(end.peer._connection)._connection._remote_candidates
        assert stranger not in [candidate.port for candidate in remote]


async def test_floods_of_an_authentic_far_end_are_bounded(stage: Stage) -> None:
    """PLI, NACK, REMB and synchronization sources without end: little is done for them, the call goes on."""
    alice, bob = await stage.pair(VideoCodec.VP8)
    picture = Picture(VideoCodec.VP8)
    for index in range(5):
        bob.peer.send_video(picture.frame())
        bob.peer.send_audio(opus(index))
        alice.peer.send_audio(opus(index))
    await alice.seen.until_received(5)
    await bob.seen.until(lambda: len(bob.seen.audio) == 5)
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
    router = seams.dtls_transport(bob.peer._connection)._rtp_router
    assert len(router.ssrc_table) <= 80
    assert not bob.seen.closed
    bob.peer.send_video(picture.frame())
    await alice.seen.until(lambda: len(alice.seen.video) >= 6)
