"""DTLS flights are said again, byte by byte the same, until the next one shows that they came."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from mediaagentd.media.rtc import handshake, seams
from mediaagentd.media.rtc.handshake import LONGEST, PAUSES, datagrams
from OpenSSL import SSL

from tests.fakes.rtc import connect
from tests.integration.rtc.conftest import End, Stage

COPIES = len(PAUSES)
FEW = PAUSES[:4]
LOST = 2


class Losing:
    """The way out of a socket that loses the first `lost` copies of each DTLS datagram."""

    def __init__(self, inner: Any, lost: int, all_said: asyncio.Event) -> None:
        self._inner, self._lost, self._all_said = inner, lost, all_said
        self.said: Counter[bytes] = Counter()

    def sendto(self, data: bytes, addr: tuple[str, int]) -> None:
        if 20 <= data[0] < 64:
            self.said[bytes(data)] += 1
            if self.said[bytes(data)] > len(handshake.PAUSES):
                self._all_said.set()
            if self.said[bytes(data)] <= self._lost:
                return
        self._inner.sendto(data, addr)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


@pytest.fixture
def patient_openssl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody asks OpenSSL to say anything again."""
    monkeypatch.setattr(SSL.Connection, "DTLSv1_get_timeout", lambda _: 60.0)


def losing(
    end: End, monkeypatch: pytest.MonkeyPatch, lost: int, all_said: asyncio.Event | None = None
) -> list[Losing]:
    """Each way out that this end will have loses so much; `all_said` when one said its last."""
    ice = seams.ice_transport(end.peer._connection)._connection
    gather, ways = ice.get_component_candidates, list[Losing]()

    async def gathered(*args: Any, **kwargs: Any) -> Any:
        found = await gather(*args, **kwargs)
        for protocol in ice._protocols:
            ways.append(Losing(protocol.transport, lost, all_said or asyncio.Event()))
            protocol.__dict__["transport"] = ways[-1]
        return found

    monkeypatch.setitem(ice.__dict__, "get_component_candidates", gathered)
    return ways


@pytest.mark.usefixtures("patient_openssl")
@pytest.mark.parametrize("lost", [0, LOST])
async def test_flights_that_were_lost_are_said_again(
    lost: int, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but we says one again here, so without our copies two lost ones would be the end."""
    ends = stage.end(), stage.end()
    alice, bob = ends
    ways = [losing(end, monkeypatch, lost) for end in ends]
    await connect(alice.peer, bob.peer, alice.seen, bob.seen)
    for way in ways:
        said = sum((each.said for each in way), Counter[bytes]())
        assert len(said) >= 2, "client and server have two flights each"
        assert lost < max(said.values()) <= COPIES + 1


@pytest.mark.usefixtures("patient_openssl")
async def test_who_gets_no_answer_stops_saying_it(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handshake, "PAUSES", FEW)
    alice, bob = stage.end(), stage.end()
    all_said = asyncio.Event()
    losing(alice, monkeypatch, 99)
    ways = losing(bob, monkeypatch, 99, all_said)
    offer = await alice.peer.create_offer()
    await alice.peer.accept_answer(await bob.peer.accept_offer(offer))
    async with asyncio.timeout(10):
        await all_said.wait()  # the client's first flight
    assert max(count for way in ways for count in way.said.values()) == len(FEW) + 1
    assert bob.peer._handshake._timer is None
    assert not bob.seen.connected


def record(number: int, size: int) -> bytes:
    """A record of DTLS 1.2 with that much in it."""
    return bytes([22, 254, 253]) + number.to_bytes(8, "big") + size.to_bytes(2, "big") + bytes(size)


def test_a_flight_is_cut_between_records() -> None:
    records = [record(number, size) for number, size in enumerate((700, 400, 1150, 20, 1000, 1500, 5))]
    parts = datagrams(b"".join(records))
    assert b"".join(parts) == b"".join(records)
    assert parts == [
        records[0] + records[1],
        records[2] + records[3],
        records[4],
        records[5],
        records[6],
    ]
    assert [len(part) <= LONGEST for part in parts] == [True, True, True, False, True], (
        "one record stays whole"
    )
    assert datagrams(records[0]) == [records[0]]


@pytest.mark.parametrize("junk", [b"\x16", b"\x16" * 13, b"x" * 3000])
def test_what_is_no_record_leaves_as_it_is(junk: bytes) -> None:
    assert b"".join(datagrams(junk)) == junk
