"""A real TURN server (coturn) between two who cannot reach each other."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mediaagentd.call.signal import IceServer
from mediaagentd.hub.ice import turn_credential

from tests.integration.media.pair import settings
from tests.netlab import Host, Lab, NetPair, unavailable

pytestmark = [
    pytest.mark.skipif(unavailable() is not None, reason=str(unavailable())),
    pytest.mark.skipif(shutil.which("turnserver") is None, reason="not installed: coturn"),
]

SECRET = "a test's"
PORT = 3478


@asynccontextmanager
async def coturn(host: Host, place: Path) -> AsyncIterator[None]:
    """A TURN server on that host, with short-lived credentials as the hub hands them out."""
    log = place / "coturn.log"
    arguments = [
        "turnserver", "-n", "--no-cli", "--no-tls", "--no-dtls", f"--listening-ip={host.address}",
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


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_call_goes_over_a_relay_when_there_is_no_direct_path(transport: str, tmp_path: Path) -> None:
    async with Lab("ann", "bob", "turn") as lab:
        ann, bob, turn = lab.hosts
        wall(ann, bob)
        wall(bob, ann)
        dead = IceServer((f"turn:{turn.address}:9", f"stun:{turn.address}:9"), "nobody", "x")
        urls = (f"turn:{turn.address}:{PORT}?transport={transport}",)
        async with (
            coturn(turn, tmp_path),
            NetPair(lab, settings("alice"), settings("bob", microphone="synthetic")) as pair,
        ):
            for end in pair.ends:
                server = turn_credential(SECRET, end.user_id, time.time() + 600, urls)
                relay = IceServer(server.urls, server.username, server.credential)
                await end.do("set_ice_servers", (dead, relay))
            began = time.monotonic()
            await pair.connect()
            assert time.monotonic() - began < 6.0
            await pair.alice.look()
            seen = await pair.alice.until_seen(10)
            assert all(each.number is not None for each in seen)
            figures = await pair.alice.figures()
            assert figures.stats.audio_received.packets > 0
        log = (tmp_path / "coturn.log").read_text()
        assert "ALLOCATE processed, success" in log
        assert "CHANNEL_BIND processed, success" in log
        command = [*ann.prefix, "nft", "list", "table", "inet", "wall"]
        counted = await asyncio.to_thread(subprocess.check_output, command, text=True)
        assert "packets 0 " not in counted, "they tried the direct path, and there was none"
