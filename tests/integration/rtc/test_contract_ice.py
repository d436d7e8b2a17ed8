"""The internals of aioice 0.13 that gathering, guard and consent lean on."""

from __future__ import annotations

import asyncio
import inspect
import re

import aioice.ice
import pytest
from aioice import Candidate, Connection, stun, turn
from aiortc import RTCPeerConnection
from mediaagentd.media.rtc import guard, negotiation, seams
from mediaagentd.media.rtc.gate import Gate
from mediaagentd.network import addresses

from tests.fakes.rtc import Recorder, peer


def names(function: object) -> list[str]:
    assert callable(function)
    return list(inspect.signature(function).parameters)


def test_the_checks_ask_the_instance_whether_more_candidates_may_come() -> None:
    for method in ("_check_list_maybe_fail", "_check_periodic"):
        source = inspect.getsource(getattr(Connection, method))
        assert "self._remote_candidates_expected()" in source, method
    assert "self._check_periodic()" in inspect.getsource(Connection.connect)


async def test_a_late_relay_is_paired_once_with_what_is_known() -> None:
    connection = Connection(ice_controlling=True)
    remote = Candidate("1", 1, "udp", 1, "192.0.2.1", 9, "host")
    await connection.add_remote_candidate(remote)
    protocol = guard.GuardedProtocol(connection, Gate())
    protocol.local_candidate = Candidate("2", 1, "udp", 1, "192.0.2.2", 9, "relay")
    connection._protocols.append(protocol)
    for _ in range(2):
        for known in list(connection._remote_candidates):
            connection._pair_remote_candidate(known)
        connection.sort_check_list()
    assert len(connection._check_list) == 1
    assert connection._early_checks_done is False
    assert connection._closing is False
    assert connection._check_list_maybe_complete() is False
    assert f"candidate:{protocol.local_candidate.to_sdp()}".startswith(
        "candidate:2 1 udp 1 192.0.2.2 9 typ relay"
    )


def test_a_success_says_that_the_request_was_authentic() -> None:
    source = inspect.getsource(Connection.request_received)
    checked = source.index("check_message_integrity")
    assert checked < source.index("stun.Class.RESPONSE") < source.index("protocol.send_stun(response, addr)")
    assert "message_class=stun.Class.ERROR" in inspect.getsource(Connection.respond_error)


def test_answers_are_handed_to_whatever_waits_under_their_number() -> None:
    source = inspect.getsource(aioice.ice.StunProtocol.datagram_received)
    assert "self.transactions[message.transaction_id]" in source
    assert "transaction.response_received(message, addr)" in source
    assert names(aioice.ice.StunProtocol.send_stun) == ["self", "message", "addr"]
    assert names(stun.Message.check_message_integrity) == ["self", "key"]
    assert issubclass(stun.TransactionTimeout, stun.TransactionError)
    assert issubclass(stun.TransactionFailed, stun.TransactionError)


def test_data_is_still_taken_from_anybody() -> None:
    """When that is no longer so, the guard may forget whom it trusts."""
    assert "addr" not in names(Connection.data_received)
    assert "_valid_username" in inspect.getsource(Connection.request_received)


def test_relays_are_made_as_they_are_declared() -> None:
    made = ["self", "server", "username", "password", "lifetime", "channel_refresh_time"]
    for kind in (turn.TurnClientUdpProtocol, turn.TurnClientTcpProtocol):
        assert names(kind.__init__) == made
    assert names(turn.TurnTransport._connect) == ["self", "protocol"]
    inner = turn.TurnClientUdpProtocol(
        ("192.0.2.1", 1), username="", password="", lifetime=1, channel_refresh_time=1
    )
    transport = turn.TurnTransport(inner)
    assert transport.__dict__["_TurnTransport__inner_protocol"] is inner
    assert transport.get_extra_info("sockname") is None


async def test_who_we_are_over_is_known_from_the_nominated_pair() -> None:
    connection = RTCPeerConnection()
    connection.addTransceiver("audio")
    assert seams.local_address(connection) is None
    assert not seams.is_relayed(connection)
    assert seams.first_mid(connection) == "0"
    await connection.close()


async def test_where_we_may_be_reached_is_known_once_it_is_gathered() -> None:
    one = peer(Recorder())
    assert one.addresses == frozenset()
    await one.create_offer()
    assert "127.0.0.1" in one.addresses
    assert one.addresses <= addresses()
    ice = seams.ice_transport(one._connection)._connection
    relay = guard.GuardedProtocol(ice, Gate())
    relay.local_candidate = Candidate("2", 1, "udp", 1, "203.0.113.9", 9, "relay")
    ice._protocols.append(relay)
    assert "203.0.113.9" not in one.addresses, "a relay's address is not this machine's"
    ice._protocols.remove(relay)
    await one.close()


async def test_the_library_ends_the_candidates_in_its_description() -> None:
    one = peer(Recorder())
    offer = await one.create_offer()
    assert "a=end-of-candidates\r\n" in offer
    assert "end-of-candidates" not in negotiation.without_end(offer)
    assert re.search(r"a=candidate:.* typ host", offer)
    await one.close()


@pytest.mark.parametrize("first", [0, 3])
async def test_what_is_stun_is_told_by_the_first_byte(first: int) -> None:
    sink = guard.GuardedProtocol(Connection(ice_controlling=False), Gate())
    sink.datagram_received(bytes([first]) + b"x" * 30, ("192.0.2.1", 1))
    assert sink._gate.tally.count == 1
    await asyncio.sleep(0)
