"""A real TURN server (coturn) between two who cannot reach each other."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from mediaagentd.call.signal import IceServer
from mediaagentd.call.types import PeerDown, PeerUp
from mediaagentd.hub.ice import turn_credential

from tests.integration.media.pair import settings
from tests.netlab import Host, Lab, NetPair, unavailable
from tests.netlab.ends import CALL

pytestmark = [
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="not installed: coturn"),
]

SECRET = "a test's"
PORT, TLS_PORT = 3478, 5349
COUNTED = 0.3
"""Seconds in which packets are counted; a call has at least 15 of them."""


def certified(host: Host, place: Path) -> Path:
    """A certificate of that host's address, which is its own authority."""
    certificate = place / "turn.pem"
    command: list[str | Path] = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-keyout", place / "turn.key", "-out", certificate, "-subj", "/CN=turn", "-days", "1",
        "-addext", f"subjectAltName=IP:{host.address}",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return certificate


@asynccontextmanager
async def coturn(host: Host, place: Path) -> AsyncIterator[None]:
    """A TURN server on that host, with short-lived credentials as the hub hands them out."""
    log = place / "coturn.log"
    arguments = [
        "turnserver", "-n", "--no-cli", "--no-dtls", f"--listening-ip={host.address}",
        f"--tls-listening-port={TLS_PORT}",
        f"--cert={certified(host, place)}", f"--pkey={place / 'turn.key'}",
        f"--relay-ip={host.address}", f"--listening-port={PORT}", "--use-auth-secret",
        f"--static-auth-secret={SECRET}", "--realm=test", f"--pidfile={place / 'coturn.pid'}",
        f"--userdb={place / 'coturn.db'}", "--log-file=stdout", "--simple-log", "--verbose",
        "--allow-loopback-peers",
    ]  # fmt: skip
    with log.open("wb") as stream:
        process = await asyncio.create_subprocess_exec(
            *host.prefix, *arguments, stdout=stream, stderr=stream, cwd=place
        )
    try:
        await _listening(host)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _listening(host: Host) -> None:
    """Until it takes TCP connections."""
    async with asyncio.timeout(15):
        while True:
            command = [*host.prefix, "ss", "-Hltn", f"sport = :{PORT}"]
            if await asyncio.to_thread(subprocess.check_output, command):
                return
            await asyncio.sleep(0.05)


def wall(host: Host, other: Host) -> None:
    """Nothing of the other reaches that host."""
    rules = (
        "table inet wall {\nchain arriving {\ntype filter hook prerouting priority raw; policy accept;\n"
        f"ether saddr {other.mac} counter drop\n}}\n}}\n"
    )
    subprocess.run([*host.prefix, "nft", "-f", "-"], input=rules.encode(), check=True, timeout=30)


def fallen(host: Host) -> None:
    """The wall in front of that host."""
    subprocess.run([*host.prefix, "nft", "delete", "table", "inet", "wall"], check=True, timeout=30)


def arrived(host: Host) -> int:
    """Packets that came to that host so far."""
    text = subprocess.check_output([*host.prefix, "cat", "/proc/net/dev"], text=True, timeout=30)
    return int(next(line for line in text.splitlines() if "eth0:" in line).split()[2])


async def leaves_the_relay(pair: NetPair, turn: Host) -> None:
    """The wall has fallen; nobody knows before one of the two has a new address."""
    for end in pair.ends:
        await asyncio.to_thread(fallen, end.host)
    before = pair.alice.host.address
    came = await pair.alice.host.another_address()
    assert await pair.alice.do("network_changed", frozenset({before, came}), frozenset({came})) == 1
    for end in pair.ends:
        await end.reported(PeerUp)
    async with asyncio.timeout(10):
        while True:  # the old connection lingers for two seconds
            count = await asyncio.to_thread(arrived, turn)
            await asyncio.sleep(COUNTED)
            if await asyncio.to_thread(arrived, turn) - count < 5:
                break
    shown = len(await pair.alice.seen())
    await pair.alice.until_seen(shown + 10)
    assert await pair.alice.do("network_changed", frozenset({before, came, "x"}), frozenset({"x"})) == 0
    assert not any(isinstance(report, PeerDown) for end in pair.ends for report in end.reports)


async def grant(pair: NetPair, urls: tuple[str, ...], *others: IceServer) -> None:
    """Both may use that relay, after the others."""
    for end in pair.ends:
        granted = turn_credential(SECRET, end.user_id, time.time() + 600, urls)
        relay = IceServer(granted.urls, granted.username, granted.credential)
        await end.do("set_ice_servers", (*others, relay))


async def calls_over_tcp(pair: NetPair, turn: Host) -> None:
    """The next call, with servers that are reached over plain TCP only."""
    for end in pair.ends:
        await end.do("close_peer", CALL, end.other.user_id, 2)
    for end in pair.ends:
        await end.dial(offers=end is pair.bob, attempt=3)
    for end in pair.ends:
        await end.reported(PeerUp)
    shown = len(await pair.alice.seen())
    await pair.alice.look()
    await pair.alice.until_seen(shown + 10)
    command = [*turn.prefix, "ss", "-Htn", "state", "established", f"sport = :{PORT}"]
    connected = await asyncio.to_thread(subprocess.check_output, command, text=True)
    assert {end.host.address in connected for end in pair.ends} == {True}


@pytest.mark.parametrize(("transport", "family"), [("udp", 4), ("tls", 6)])
async def test_a_call_goes_over_a_relay_when_there_is_no_direct_path(
    transport: str, family: int, tmp_path: Path
) -> None:
    """The relay of a world with nothing but IPv6 is asked for an address of that."""
    async with Lab("ann", "bob", "turn", family=family) as lab:
        ann, bob, turn = lab.hosts
        wall(ann, bob)
        wall(bob, ann)
        server = turn.address if family == 4 else f"[{turn.address}]"
        dead = IceServer((f"turn:{server}:9", f"stun:{server}:9"), "nobody", "x")
        urls = (f"turn:{server}:{PORT}?transport={transport}",)
        if transport == "tls":
            urls = (f"turns:{server}:{TLS_PORT}?transport=tcp",)
        alice, bobs = settings("alice"), settings("bob", microphone="synthetic")
        alice, bobs = (replace(each, turn_ca=tmp_path / "turn.pem") for each in (alice, bobs))
        async with coturn(turn, tmp_path), NetPair(lab, alice, bobs) as pair:
            await grant(pair, urls, dead)
            began = time.monotonic()
            await pair.connect()
            assert time.monotonic() - began < 6.0
            await pair.alice.look()
            seen = await pair.alice.until_seen(10)
            assert all(each.number is not None for each in seen)
            figures = await pair.alice.figures()
            assert figures.stats.audio_received.packets > 0
            command = [*ann.prefix, "nft", "list", "table", "inet", "wall"]
            counted = await asyncio.to_thread(subprocess.check_output, command, text=True)
            assert "packets 0 " not in counted, "they tried the direct path, and there was none"
            if transport == "tls":
                await leaves_the_relay(pair, turn)
            else:
                await grant(pair, (f"turn:{server}:{PORT}?transport=tcp",))
                await calls_over_tcp(pair, turn)
        log = (tmp_path / "coturn.log").read_text()
        assert "ALLOCATE processed, success" in log
        assert "CHANNEL_BIND processed, success" in log


async def test_a_relay_that_nobody_vouches_for_is_not_used(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It costs a description no more than a dead one, and the log says what to configure."""
    async with (
        Lab("ann", "bob", "turn") as lab,
        coturn(lab["turn"], tmp_path),
        NetPair(lab, settings("alice"), settings("bob")) as pair,
    ):
        server = IceServer((f"turns:{lab['turn'].address}:{TLS_PORT}",), "nobody", "x")
        for end in pair.ends:
            await end.do("set_ice_servers", (server,))
        await pair.connect(audio=False)
    assert "configure=turn_ca" in capfd.readouterr().out
