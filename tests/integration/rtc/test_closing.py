"""Ends: ours, theirs, and those that nobody wanted."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import cast

import pytest
from aioice import stun
from mediaagentd.errors import Refused
from mediaagentd.media.rtc import gathering, peer, seams
from mediaagentd.media.rtc.ice import IceServer
from mediaagentd.media.types import VideoCodec
from structlog.testing import capture_logs

from tests.fakes.rtc import Picture, Recorder, opus, until_no_tasks_but
from tests.integration.rtc.conftest import Stage


async def test_our_close_is_seen_there_and_not_told_here(stage: Stage) -> None:
    alice, bob = await stage.pair()
    await alice.peer.close()
    await bob.seen.until(lambda: bool(bob.seen.closed))
    assert bob.seen.closed == ["closed by the far end"]
    assert alice.seen.closed == []
    alice.peer.send_audio(opus(0))
    bob.peer.send_video(Picture(VideoCodec.H264).frame())
    bob.peer.request_keyframe()
    with pytest.raises(Refused):
        await alice.peer.create_offer()


async def test_close_while_gathering_leaves_no_socket(stage: Stage) -> None:
    before = asyncio.all_tasks()
    alice = stage.end()
    offering = asyncio.create_task(alice.peer.create_offer())
    await asyncio.sleep(0)
    await alice.peer.close()
    await asyncio.gather(offering, return_exceptions=True)
    assert seams.ice_transport(alice.peer._connection)._connection._protocols == []
    await until_no_tasks_but(before)


async def test_a_stranger_with_another_certificate_is_not_taken(stage: Stage) -> None:
    alice, bob, mallory = stage.end(), stage.end(), stage.end()
    answer = await bob.peer.accept_offer(await alice.peer.create_offer())
    other = await mallory.peer.create_offer()
    prints = re.compile(r"a=fingerprint:.*")
    forged = iter(prints.findall(other) * 2)
    await alice.peer.accept_answer(prints.sub(lambda _: next(forged), answer))
    await alice.seen.until(lambda: bool(alice.seen.closed))
    assert alice.seen.closed == ["connection failed"]
    assert alice.seen.connected == 0


async def test_close_may_be_repeated_and_shared(stage: Stage) -> None:
    alice, _ = await stage.pair()
    await asyncio.gather(*(alice.peer.close() for _ in range(5)))
    await alice.peer.close()


@pytest.mark.parametrize("phase", ["new", "offered", "answered", "connecting"])
async def test_close_in_each_phase_leaves_nothing(stage: Stage, phase: str) -> None:
    before = asyncio.all_tasks()
    alice, bob = stage.end(), stage.end()
    if phase != "new":
        offer = await alice.peer.create_offer()
    if phase in ("answered", "connecting"):
        answer = await bob.peer.accept_offer(offer)
    if phase == "connecting":
        await alice.peer.accept_answer(answer)
        await asyncio.sleep(0.03)
    async with asyncio.timeout(peer.CLOSE_TIMEOUT):
        await asyncio.gather(alice.peer.close(), bob.peer.close())
    await until_no_tasks_but(before)
    assert alice.seen.closed == bob.seen.closed == []


async def test_close_has_a_deadline(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await stage.pair()
    transport = seams.ice_transport(alice.peer._connection)

    async def forever() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(transport._connection, "close", forever)
    sockets = [p.transport for p in transport._connection._protocols]
    started = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await alice.peer.close()
    assert asyncio.get_running_loop().time() - started < peer.CLOSE_TIMEOUT + 0.2
    assert "close_overdue" in [entry["event"] for entry in logs]
    assert all(sock.is_closing() for sock in sockets)
    await bob.seen.until(lambda: bool(bob.seen.closed))


async def test_a_far_end_that_vanishes_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "CONSENT_EXPIRY", 1.0)
    monkeypatch.setattr(gathering, "CONSENT_INTERVAL", 0.1)
    alice, bob = await stage.pair()
    await asyncio.sleep(1.2)  # consent is renewed: nothing may happen
    assert not alice.seen.closed
    for protocol in seams.ice_transport(bob.peer._connection)._connection._protocols:
        protocol.transport.__dict__["sendto"] = lambda *_: None
    await alice.seen.until(lambda: bool(alice.seen.closed))
    assert alice.seen.closed == ["connection lost"]


async def test_a_connection_that_never_comes_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT", 0.2)
    alice, bob = stage.end(), stage.end()
    offer = await alice.peer.create_offer()
    await bob.peer.accept_offer(offer)
    await bob.seen.until(lambda: bool(bob.seen.closed))
    assert bob.seen.closed == ["not connected in time"]
    assert bob.seen.connected == 0


async def test_dead_servers_delay_by_no_more_than_the_deadline() -> None:
    """A bound socket that never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as dead:
        dead.bind(("127.0.0.1", 0))
        port = dead.getsockname()[1]
        seen = Recorder()
        alice = peer.Peer(
            ice_servers=(
                IceServer((f"stun:127.0.0.1:{port}",)),
                IceServer((f"turn:127.0.0.1:{port}",), "u", "p"),
            ),
            video_codecs=tuple(VideoCodec),
            observer=seen,
            allow_loopback=True,
        )
        started = asyncio.get_running_loop().time()
        offer = await alice.create_offer()
        assert "127.0.0.1" in offer
        assert asyncio.get_running_loop().time() - started < gathering.GATHER_TIMEOUT + 0.5
        await alice.close()


class StunServer(asyncio.DatagramProtocol):
    """Answers each binding request with an address that it makes up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        answer = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.7", 4242)
        self.transport.sendto(bytes(answer), addr)


async def test_a_stun_server_gives_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    alice = peer.Peer(
        ice_servers=(IceServer((f"stun:127.0.0.1:{port}",)),),
        video_codecs=tuple(VideoCodec),
        observer=Recorder(),
    )
    try:
        assert "198.51.100.7 4242 typ srflx" in await alice.create_offer()
    finally:
        await alice.close()
        transport.close()


async def test_many_calls_leave_no_tasks_and_no_sockets(stage: Stage) -> None:
    before = asyncio.all_tasks()
    for _ in range(5):
        alice, bob = await stage.pair()
        await asyncio.gather(alice.peer.close(), bob.peer.close())
    await until_no_tasks_but(before)
