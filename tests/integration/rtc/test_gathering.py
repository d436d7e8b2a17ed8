"""Candidates: from servers that answer, late ones, and servers that never do."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aioice import stun
from mediaagentd.media.rtc import peer, seams, servers
from mediaagentd.media.rtc.guard import MARK
from mediaagentd.media.rtc.ice import IceServer
from mediaagentd.media.rtc.names import Names
from mediaagentd.media.types import VideoCodec

from tests.fakes.rtc import Recorder
from tests.integration.rtc.conftest import Stage

MAPPED = "198.51.100.7 4242 typ srflx"

OBSERVED = 0.1
"""Seconds in which nothing is to happen; it used to at once."""


class StunServer(asyncio.DatagramProtocol):
    """Answers each binding request with an address that it makes up, `after` seconds."""

    def __init__(self, after: float) -> None:
        self._after = after

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        answer = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        answer.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.7", 4242)
        loop = asyncio.get_running_loop()
        loop.call_later(self._after, lambda: self.transport.sendto(bytes(answer), addr))


@asynccontextmanager
async def stun_server(after: float = 0.0, host: str = "127.0.0.1") -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: StunServer(after), local_addr=(host, 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()


@pytest.fixture
def dead() -> Iterator[int]:
    """A port that takes everything and never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: [])


@asynccontextmanager
async def caller(*urls: str, seen: Recorder | None = None) -> AsyncIterator[peer.Peer]:
    made = peer.Peer(
        ice_servers=[IceServer((url,), "u", "p") for url in urls],
        video_codecs=tuple(VideoCodec),
        observer=seen or Recorder(),
    )
    try:
        yield made
    finally:
        await made.close()


def took(since: float) -> float:
    return asyncio.get_running_loop().time() - since


async def test_a_server_gives_a_candidate_at_once() -> None:
    async with stun_server() as port, caller(f"stun:127.0.0.1:{port}") as alice:
        began = asyncio.get_running_loop().time()
        offer = await alice.create_offer()
        assert MAPPED in offer
        assert "a=end-of-candidates" in offer
        assert took(began) < 0.3


async def test_dead_servers_cost_the_deadline_and_no_more(dead: int) -> None:
    async with caller(f"stun:127.0.0.1:{dead}", f"turn:127.0.0.1:{dead}", f"stun:localhost:{dead}") as alice:
        began = asyncio.get_running_loop().time()
        offer = await alice.create_offer()
        assert 0.4 < took(began) < 0.6
        assert "127.0.0.1" in offer
        assert "a=end-of-candidates" not in offer


async def test_the_next_server_is_asked_when_the_first_is_dead(dead: int) -> None:
    async with (
        stun_server() as port,
        caller("stun:", f"stun:127.0.0.1:{dead}", f"stun:127.0.0.1:{port}") as alice,
    ):
        began = asyncio.get_running_loop().time()
        assert MAPPED in await alice.create_offer()
        assert took(began) < 0.4


async def test_a_name_is_looked_up() -> None:
    async with stun_server() as port, caller(f"stun:localhost:{port}") as alice:
        assert MAPPED in await alice.create_offer()


async def test_a_resolver_that_hangs_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: hanging.wait(5) and [])
    names = Names()
    async with caller("stun:nowhere.example.org") as alice:
        began = asyncio.get_running_loop().time()
        await alice.create_offer()
        assert took(began) < 0.6
    asked = [asyncio.ensure_future(names.resolve(f"{n % 8}.example.org")) for n in range(50)]
    await asyncio.wait([asked[7]])
    assert sum(not each.done() for each in asked) < 50, "what is too much has no answer"
    hanging.set()
    await asyncio.gather(*asked)


async def test_a_late_candidate_is_trickled_after_the_description(stage: Stage) -> None:
    seen = Recorder()
    async with stun_server(after=0.7) as port, caller(f"stun:127.0.0.1:{port}", seen=seen) as alice:
        offer = await alice.create_offer()
        assert MAPPED not in offer
        assert seen.candidates == []
        bob = stage.end()
        await bob.peer.accept_offer(offer)
        await seen.until(lambda: "" in seen.candidates, 3.0)
        (late, end) = seen.candidates
        assert MAPPED in late
        assert late.startswith("candidate:")
        await bob.peer.add_candidate(late, "0")
        await bob.peer.add_candidate(end, "0")


async def test_nothing_is_trickled_once_it_is_up(stage: Stage) -> None:
    seen = Recorder()
    async with stun_server(after=0.9) as port, caller(f"stun:127.0.0.1:{port}", seen=seen) as alice:
        bob = stage.end()
        await alice.accept_answer(await bob.peer.accept_offer(await alice.create_offer()))
        await seen.until_connected()
        assert alice._gatherer.complete
        assert seen.candidates == []


async def test_ice_waits_for_a_candidate_that_may_still_come(stage: Stage, dead: int) -> None:
    """The far end has none at all, and says so."""
    seen = Recorder()
    async with caller(f"stun:127.0.0.1:{dead}", seen=seen) as alice:
        offer = await alice.create_offer()
        bob = stage.end()
        answer = await bob.peer.accept_offer(offer)
        await bob.peer.close()
        await alice.accept_answer(re.sub(r"a=candidate:.*\r\n", "", answer))
        await asyncio.sleep(OBSERVED)
        transport = seams.ice_transport(alice._connection)
        assert transport.state == "checking"
        assert not seen.closed


async def test_in_turn_takes_the_first_success_and_ends_the_others() -> None:
    ended: list[int] = []

    async def attempt(number: int, seconds: float, error: Exception | None = None) -> int:
        try:
            await asyncio.sleep(seconds)
        finally:
            ended.append(number)
        if error is not None:
            raise error
        return number

    first = await servers.in_turn(
        [lambda: attempt(1, 0, OSError()), lambda: attempt(2, 9), lambda: attempt(3, 0.01)], 0.02
    )
    await asyncio.sleep(0)
    assert (first, sorted(ended)) == (3, [1, 2, 3])
    with pytest.raises(OSError, match="last"):
        await servers.in_turn([lambda: attempt(1, 0, OSError()), lambda: attempt(2, 0, OSError("last"))])
    with pytest.raises(ConnectionError):
        await servers.in_turn([])


async def test_the_sockets_are_marked() -> None:
    async with caller() as alice:
        await alice.create_offer()
        for protocol in seams.ice_transport(alice._connection)._connection._protocols:
            sock = protocol.transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == MARK


async def test_two_meet_over_ipv6(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["::1"])
    alice, bob = Recorder(), Recorder()
    ends = [peer.Peer(ice_servers=(), video_codecs=tuple(VideoCodec), observer=seen) for seen in (alice, bob)]
    try:
        offer = await ends[0].create_offer()
        assert " ::1 " in offer
        assert "127.0.0.1" not in offer
        await ends[0].accept_answer(await ends[1].accept_offer(offer))
        await asyncio.gather(alice.until_connected(), bob.until_connected())
        assert ends[0].local_address == "::1"
    finally:
        await asyncio.gather(*(end.close() for end in ends))


async def test_a_server_is_asked_over_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda **_: ["::1"])
    async with stun_server(host="::1") as port, caller(f"stun:[::1]:{port}") as alice:
        assert MAPPED in await alice.create_offer()
