"""A network between two hosts that is nothing but arithmetic: `tests.netlab.wire` says what arrives when."""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from tests.netlab.profiles import CLEAN, Impairment
from tests.netlab.wire import Wire

HEADERS = 28
"""Bytes of IPv4 and UDP in front of each datagram."""

PROVES = 300
"""Packets from which the share of those lost says something."""

HOSTS = ("10.0.0.1", "10.0.0.2")

_host: ContextVar[str] = ContextVar("host")


@dataclass(slots=True)
class Direction:
    """From one host to the other. The wire's loss comes in runs; what is lost independently is lost here, as
    the laboratory leaves it to nftables.
    """

    impairment: Impairment
    wire: Wire
    chance: random.Random
    sent: int = 0
    arrived: int = 0

    def carry(self, size: int, now: float) -> tuple[float, ...]:
        """When it arrives."""
        self.sent += 1
        if self.chance.random() < self.impairment.filtered_loss:
            return ()
        times = self.wire.carry(size, now)
        self.arrived += bool(times)
        return times

    def check(self) -> None:
        """Raises: AssertionError when another share was lost than should be; a full queue loses more."""
        what = self.impairment
        if self.sent < PROVES or what.rate:
            return
        lost = 1 - self.arrived / self.sent
        spread = math.sqrt(what.loss * (1 - what.loss) * (2 * what.burst - 1) / self.sent)
        assert abs(lost - what.loss) <= 5 * spread, f"{lost:.3f} lost, not {what.loss}"


class Network:
    """Two hosts. Code that runs `at` a host binds its address."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ports: dict[tuple[str, int], Datagrams] = {}
        self._next_port = 40_000
        self.directions: dict[str, Direction] = {}
        self.impair(CLEAN)

    def impair(self, impairment: Impairment) -> None:
        """From now on, both ways. Raises: AssertionError when what was did not do what it says."""
        self.check()
        self.directions = {
            host: Direction(
                impairment,
                Wire(impairment, 2 * self._seed + way),
                random.Random(f"{self._seed} {host}"),
            )
            for way, host in enumerate(HOSTS)
        }

    def check(self) -> None:
        """See `Direction`."""
        for direction in self.directions.values():
            direction.check()

    @contextlib.contextmanager
    def at(self, host: str) -> Iterator[None]:
        """What is begun in it runs on that host, with all that it begins."""
        token = _host.set(host)
        try:
            yield
        finally:
            _host.reset(token)

    def readdress(self, host: str, address: str) -> None:
        """That host has another address from now on, over the same wire; the one before leads nowhere."""
        self.directions[address] = self.directions.pop(host)

    def address(self) -> str:
        """Of the host on which this is asked."""
        return _host.get()

    def bind(
        self, loop: asyncio.AbstractEventLoop, protocol: asyncio.DatagramProtocol, host: str
    ) -> Datagrams:
        """A socket of that host."""
        self._next_port += 1
        socket = Datagrams(self, loop, protocol, (host, self._next_port))
        self._ports[socket.address] = socket
        return socket

    def send(self, data: bytes, source: Datagrams, target: tuple[str, int]) -> None:
        """On its way."""
        direction = self.directions.get(source.address[0])
        if direction is None:  # an address that has gone
            return
        for due in direction.carry(len(data) + HEADERS, source.loop.time()):
            source.loop.call_at(due, self._arrive, data, source.address, target)

    def close(self, socket: Datagrams) -> None:
        """Nothing reaches it any more."""
        self._ports.pop(socket.address, None)

    def _arrive(self, data: bytes, source: tuple[str, int], target: tuple[str, int]) -> None:
        if target[0] in self.directions and (socket := self._ports.get(target)) is not None:
            socket.protocol.datagram_received(data, source)


class Datagrams(asyncio.DatagramTransport):
    """A UDP socket of that network."""

    def __init__(
        self,
        network: Network,
        loop: asyncio.AbstractEventLoop,
        protocol: asyncio.DatagramProtocol,
        address: tuple[str, int],
    ) -> None:
        super().__init__({"sockname": address})
        self.loop = loop
        self.protocol = protocol
        self.address = address
        self._network = network
        self._closing = False

    def sendto(self, data: Any, addr: Any = None) -> None:
        if not self._closing:
            self._network.send(bytes(data), self, addr[:2])

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            self._network.close(self)
            self.loop.call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def get_write_buffer_size(self) -> int:
        return 0
