"""Names that are none, and relays that nobody needs."""

from __future__ import annotations

import asyncio
import ssl
import struct
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aioice import Candidate, Connection, stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from mediaagentd.media.rtc.gate import Gate, Tally
from mediaagentd.media.rtc.gathering import Gatherer
from mediaagentd.media.rtc.guard import GuardedProtocol
from mediaagentd.media.rtc.ice import Server
from mediaagentd.media.rtc.names import LOOKUPS, Names
from mediaagentd.media.rtc.servers import MOST_WAITING, client, in_turn, trust
from structlog.testing import capture_logs


def certificate(name: str) -> str:
    """An authority's own, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(1))
        .not_valid_after(now + timedelta(1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def renew(path: Path, content: str) -> None:
    """Replaces the file at once, as whoever renews certificates does."""
    fresh = path.with_suffix(".new")
    fresh.write_text(content)
    fresh.replace(path)


def der(pem: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pem)


async def test_what_is_no_name_has_no_address_and_blocks_no_other() -> None:
    names = Names()
    async with asyncio.timeout(10):
        for number in range(LOOKUPS + 1):
            assert await names.resolve(f"a..{number}") == ()
        assert await names.resolve("127.0.0.1") == ("127.0.0.1",)
    assert names._running == {}


async def test_of_two_that_succeed_at_once_one_is_given_back() -> None:
    ready, discarded = asyncio.Event(), list[int]()

    async def attempt(number: int) -> int:
        await ready.wait()
        return number

    asyncio.get_running_loop().call_later(0.02, ready.set)
    first = await in_turn([lambda: attempt(1), lambda: attempt(2)], 0.001, discarded.append)
    assert sorted([first, *discarded]) == [1, 2]


async def test_a_lookup_that_finds_no_thread_does_not_bar_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = Names()
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", start)
        assert await names.resolve("localhost") == ()
    assert await names.resolve("localhost")


@pytest.mark.parametrize("turns", range(8))
async def test_what_has_just_succeeded_when_nobody_wants_it_any_more_is_given_back(turns: int) -> None:
    """As a relay's answer may come in the turn in which the connection is up without it."""
    answer = asyncio.get_running_loop().create_future()
    discarded = list[int]()

    async def addresses() -> int:
        return await in_turn([lambda: asyncio.wait_for(answer, 10)], discard=discarded.append)

    asked = asyncio.ensure_future(in_turn([addresses], discard=discarded.append))
    await asyncio.sleep(0.01)
    answer.set_result(7)
    for _ in range(turns):
        await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait([asked])
    for _ in range(10):
        await asyncio.sleep(0)
    assert [*discarded, *([] if asked.cancelled() else [asked.result()])] == [7]


@pytest.mark.parametrize("turns", range(5))
async def test_a_relay_that_comes_as_gathering_is_given_up_is_given_back(turns: int) -> None:
    connection, gate = Connection(ice_controlling=True), Gate()
    gatherer = Gatherer(
        connection, (), gate, names=Names(), authority=None, allow_loopback=True, on_candidate=pytest.fail
    )
    transport, relay = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: GuardedProtocol(connection, gate), local_addr=("127.0.0.1", 0)
    )
    answer = asyncio.get_running_loop().create_future()
    asked = asyncio.ensure_future(asyncio.wait_for(answer, 10))
    gathering = asyncio.ensure_future(gatherer._await([asked]))
    await asyncio.sleep(0.01)
    answer.set_result((Candidate("1", 1, "udp", 1, "192.0.2.1", 9, "relay"), relay))
    for _ in range(turns):
        await asyncio.sleep(0)
    gathering.cancel()
    await asyncio.wait([gathering])
    for _ in range(10):
        await asyncio.sleep(0)
    assert transport.is_closing() == gathering.cancelled()
    assert (relay in connection._protocols) is not gathering.cancelled()
    transport.close()


def test_authorities_are_those_that_their_files_name_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon runs for years, certificates of authorities do not."""
    system, own = tmp_path / "system.pem", tmp_path / "own.pem"
    monkeypatch.setenv("SSL_CERT_FILE", str(system))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    first, second, third = certificate("first"), certificate("second"), certificate("third")
    renew(system, first)
    renew(own, second)
    made = trust(own)
    assert set(made.get_ca_certs(binary_form=True)) == {der(first), der(second)}
    assert trust(own) is made, "to load them takes long"
    renew(own, third)
    assert set(trust(own).get_ca_certs(binary_form=True)) == {der(first), der(third)}
    renew(system, second)
    assert set(trust(own).get_ca_certs(binary_form=True)) == {der(second), der(third)}
    assert set(trust(None).get_ca_certs(binary_form=True)) == {der(second)}


def test_an_authority_that_cannot_be_read_is_named_and_read_once_it_can(tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    for content in (None, "no certificate"):
        if content is not None:
            own.write_text(content)
        with capture_logs() as logs, pytest.raises(ssl.SSLError if content else FileNotFoundError):
            trust(own)
        assert [(line["event"], line["configure"]) for line in logs] == [
            ("turn_authority_unreadable", "turn_ca")
        ]
    renew(own, certificate("mended"))
    assert der(own.read_text()) in trust(own).get_ca_certs(binary_form=True)


async def test_what_a_relay_over_tcp_does_not_take_is_dropped_and_not_sent_later() -> None:
    """Ten seconds without a network were 1.7 MB that came first when it was there again."""
    network, heard = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await network.wait()
        heard.set_result(await reader.read(-1))
        writer.close()

    async with asyncio.timeout(30), await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        relay = client(Server(True, "127.0.0.1", port, "tcp"), "127.0.0.1", Tally("datagrams_dropped"))
        transport, _ = await asyncio.get_running_loop().create_connection(lambda: relay, "127.0.0.1", port)
        packet = struct.pack("!HH", 0x4000, 1197) + bytes(1197)
        for _ in range(20_000):
            relay._send(packet)
        assert 0 < transport.get_write_buffer_size() < MOST_WAITING + 2 * len(packet)
        relay.send_stun(stun.Message(stun.Method.REFRESH, stun.Class.REQUEST), relay.server)
        network.set()
        transport.close()
        data = await heard
    packets, request = divmod(len(data), len(packet) + 3)
    assert packets + relay.tally.count == 20_000
    assert stun.parse_message(data[-request:]).message_method is stun.Method.REFRESH
