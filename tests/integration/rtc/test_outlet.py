"""Packets out of a real socket: one by one or together, they arrive as if each had been sent by itself."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

import pylibsrtp
import pytest
from aioice.turn import TurnTransport
from mediaagentd.media.rtc import seams
from mediaagentd.media.rtc.outlet import Outlet, cutting

KEY = os.urandom(44)


def session(kind: int) -> pylibsrtp.Session:
    profile = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM
    return pylibsrtp.Session(pylibsrtp.Policy(key=KEY, ssrc_type=kind, srtp_profile=profile))


def packets(sizes: list[int]) -> list[bytes]:
    return [
        struct.pack("!BBHLL", 0x80, 96, number, 7, 8) + os.urandom(size) for number, size in enumerate(sizes)
    ]


class Path:
    """An outlet, and the socket that it sends to."""

    def __init__(self, transport: asyncio.DatagramTransport, far: socket.socket) -> None:
        self.transport, self.far = transport, far
        self.open: list[socket.socket] = []
        self._opens = session(pylibsrtp.Policy.SSRC_ANY_INBOUND)
        self._seals = session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        self.outlet = Outlet(lambda: (seams.Way(self.transport, far.getsockname()), self._seals))

    async def arrived(self, count: int) -> list[bytes]:
        """So many packets, opened."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(5):
            return [self._opens.unprotect(await loop.sock_recv(self.far, 65536)) for _ in range(count)]


@pytest.fixture
async def path() -> AsyncIterator[Path]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.setblocking(False)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
        )
        made = Path(transport, far)
        yield made
        transport.close()
        for each in made.open:
            each.close()


def calls(path: Path, patch: pytest.MonkeyPatch, failing: int = 0) -> list[int]:
    """How many packets each sendmsg of the outlet takes; it fails with an errno."""
    taken: list[int] = []

    class Counting(socket.socket):
        def sendmsg(self, buffers: Any, *rest: Any) -> int:
            taken.append(len(buffers))
            if failing:
                raise OSError(failing, os.strerror(failing))
            return super().sendmsg(buffers, *rest)

    real = path.transport.get_extra_info("socket").dup()
    counting = Counting(fileno=real.detach())
    path.open.append(counting)
    patch.setattr(seams, "udp_socket", lambda _: counting)
    return taken


async def test_a_picture_goes_in_one_call_and_arrives_in_its_packets(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = calls(path, monkeypatch)
    sent = packets([100, *[1200] * 20, 700])
    path.outlet.send(sent)
    assert await path.arrived(len(sent)) == sent
    assert taken in ([15, 6], []), "this system cuts, or it does not"


@pytest.mark.parametrize(("number", "asked"), [(errno.EIO, 1), (errno.EINVAL, 1), (errno.EAGAIN, 2)])
async def test_what_cannot_go_together_goes_one_by_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int, asked: int
) -> None:
    taken = calls(path, monkeypatch, failing=number)
    sent = packets([1200, 1200, 900, 1200, 800])
    path.outlet.send(sent)
    assert await path.arrived(len(sent)) == sent
    assert len(taken) in (asked, 0), "a system that cannot is not asked again"


async def test_behind_what_waits_for_a_full_socket_all_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = calls(path, monkeypatch)
    sent = packets([1200, 1200])
    path.transport._buffer.append((b"", path.far.getsockname()))  # type: ignore[attr-defined]
    path.outlet.send(sent)
    assert not taken
    path.transport._buffer.popleft()  # type: ignore[attr-defined]
    path.transport._sendto_ready()  # type: ignore[attr-defined]
    assert await path.arrived(len(sent)) == sent


class Relay(asyncio.DatagramTransport):
    """Sends in tasks of its own, as the library's does: long after it was handed a packet."""

    def __init__(self, socket: asyncio.DatagramTransport) -> None:
        self._socket = socket
        self._kept: list[tuple[Any, Any]] = []

    def sendto(self, data: Any, addr: Any = None) -> None:
        self._kept.append((data, addr))

    def relay(self) -> None:
        """Sends what it has."""
        for data, addr in self._kept:
            self._socket.sendto(bytes(data), addr)


async def test_a_relay_may_keep_packets_for_later(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    relay = Relay(path.transport)
    path.transport = relay
    sent = packets([900, 1200, 1200, 700])
    path.outlet.send(sent[:2])
    path.outlet.send(sent[2:])
    relay.relay()
    assert await path.arrived(len(sent)) == sent


async def test_sealing_is_that_of_the_library(path: Path) -> None:
    slots = seams.Slots(4, 1536)
    ours, theirs = (session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND) for _ in range(2))
    sent = packets([0, 1, 1200, 1300])
    assert [bytes(each) for each in slots.seal(ours, sent)] == [theirs.protect(each) for each in sent]
    with pytest.raises(ValueError, match="too long"):
        slots.seal(ours, packets([1500]))
    with pytest.raises(pylibsrtp.Error):
        slots.seal(ours, [b"short"])


async def test_opening_is_that_of_the_library(path: Path) -> None:
    slots, sealing = seams.Slots(1, 1536), session(pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    opening = session(pylibsrtp.Policy.SSRC_ANY_INBOUND)
    sent = packets([0, 1, 1200, 1300])
    sealed = [sealing.protect(each) for each in sent]
    assert [slots.open(opening, each) for each in sealed] == sent
    twice, forged = sealed[0], sealed[1][:-1] + bytes([sealed[1][-1] ^ 1])
    for bad in (twice, forged, b"short"):
        with pytest.raises(pylibsrtp.Error):
            slots.open(opening, bad)
    with pytest.raises(ValueError, match="too long"):
        slots.open(opening, bytes(1537))


async def test_a_system_that_cuts_says_so_and_a_relay_has_no_socket_of_its_own(path: Path) -> None:
    assert cutting(None) is None
    found = seams.udp_socket(path.transport)
    assert isinstance(found, socket.socket)
    assert not seams.backlog(path.transport)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream:
        assert cutting(stream) is None
    assert seams.udp_socket(TurnTransport(None)) is None  # type: ignore[arg-type] # asked nothing
