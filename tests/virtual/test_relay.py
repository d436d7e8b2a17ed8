"""A relay (TURN, RFC 8656) that is used for longer than anything at it lasts, in virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aioice import stun, turn
from mediaagentd.media.rtc.gate import Tally
from mediaagentd.media.rtc.ice import Server
from mediaagentd.media.rtc.servers import client

from tests.virtual import clock
from tests.virtual.clock import play
from tests.virtual.network import Network

SERVER = ("192.0.2.1", 3478)
PEER = ("198.51.100.7", 5000)

PERMISSION, CHANNEL = 300.0, 600.0
"""Seconds that they last (RFC 8656 sections 9 and 12)."""


class Relay(asyncio.DatagramTransport):
    """A TURN server by the letter of the RFC, as the transport of its one client; it answers after 20 ms, and
    a nonce of its is good for 600 s.
    """

    def __init__(self) -> None:
        super().__init__()
        self.client: Any = None
        self.passed = self.binds = 0
        """Datagrams that went on to the peer, and refreshes of what lets them."""
        self._loop = asyncio.get_running_loop()
        self._until: dict[str, float] = {}
        self._closing = False

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def sendto(self, data: bytes, addr: object = None) -> None:  # type: ignore[override]
        now = self._loop.time()
        if data[0] & 0xC0 == 0x40:
            if now < min(self._until.get("permission", 0.0), self._until.get("channel", 0.0)):
                self.passed += 1
            return
        self._loop.call_later(0.02, self._answer, stun.parse_message(data))

    def _answer(self, request: stun.Message) -> None:
        now = self._loop.time()
        nonce = b"%d" % (now // 600)
        response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
        if (request.attributes.get("NONCE")) != nonce:
            response = stun.Message(request.message_method, stun.Class.ERROR, request.transaction_id)
            stale = "NONCE" in request.attributes
            response.attributes["ERROR-CODE"] = (438, "Stale Nonce") if stale else (401, "Unauthorized")
            response.attributes |= {"NONCE": nonce, "REALM": "test"}
        elif request.message_method is stun.Method.CHANNEL_BIND:
            self.binds += 1
            self._until = {"permission": now + PERMISSION, "channel": now + CHANNEL}
        else:
            response.attributes |= {
                "LIFETIME": 600,
                "XOR-MAPPED-ADDRESS": ("203.0.113.1", 1),
                "XOR-RELAYED-ADDRESS": ("192.0.2.1", 2),
            }
        response.add_message_integrity(turn.make_integrity_key("ann", "test", "secret"))
        self.client.datagram_received(bytes(response), SERVER)


@pytest.mark.parametrize("step", [0.0, -3600.0], ids=["steady", "the clock is set back"])
def test_a_relay_lets_everything_through_for_hours(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    async def story(_network: Network) -> None:
        relay = Relay()
        relay.client = client(
            Server(True, *SERVER, "udp", "ann", "secret"), SERVER[0], Tally("datagrams_dropped")
        )
        relay.client.connection_made(relay)
        transport = turn.TurnTransport(relay.client)
        await transport._connect(asyncio.DatagramProtocol())
        monkeypatch.setattr(clock, "EPOCH", clock.EPOCH + step)
        for _ in range(10_000):
            transport.sendto(b"a packet", PEER)
            await asyncio.sleep(1.0)
        assert relay.passed == 10_000
        assert relay.binds < 50
        transport.close()
        await asyncio.sleep(1.0)
        assert len(asyncio.all_tasks()) == 1

    play(story, 1)
