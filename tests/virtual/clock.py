"""Time that passes only when nothing is left to do."""

from __future__ import annotations

import asyncio
import datetime
import os
import random
import selectors
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import aiortc.clock
import pytest
from OpenSSL import SSL

from tests.virtual.network import Network

T = TypeVar("T")

BEGIN = 1_000.0
"""Seconds of the monotonic clock at the beginning."""

EPOCH = 1_800_000_000.0
"""Seconds since the epoch then."""

FOREVER = 3600.0
"""Seconds: longer than any story."""

TURN = 1e-6
"""Seconds that a turn of the loop takes: what waits for less than floats can tell apart gets somewhere."""


class Stuck(Exception):
    """Nothing will ever happen again."""


class _Clock(selectors.SelectSelector):
    """Stands where a loop waits for its sockets, which has none here."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise Stuck
        self.now += max(TURN, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is virtual and whose datagrams go over `network`."""

    def __init__(self, network: Network) -> None:
        self._virtual = _Clock()
        super().__init__(self._virtual)
        self.network = network

    def time(self) -> float:
        return self._virtual.now

    async def create_datagram_endpoint(  # type: ignore[override] # as far as ICE uses it
        self,
        protocol_factory: Callable[[], asyncio.DatagramProtocol],
        local_addr: tuple[str, int],
        **_: object,
    ) -> tuple[asyncio.DatagramTransport, asyncio.DatagramProtocol]:
        protocol = protocol_factory()
        transport = self.network.bind(self, protocol, local_addr[0])
        protocol.connection_made(transport)
        return transport, protocol

    def _write_to_self(self) -> None:
        """Nobody waits who would have to be woken."""


def play(story: Callable[[Network], Coroutine[Any, Any, T]], seed: int) -> T:
    """Runs it in virtual time; the same for the same seed, but for what keys and certificates are."""
    network = Network(seed)
    loop = VirtualLoop(network)

    def now() -> datetime.datetime:
        return datetime.datetime.fromtimestamp(time.time(), datetime.UTC)

    state, source = random.getstate(), random.Random(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", loop.time)
        patch.setattr(time, "time", lambda: EPOCH + loop.time() - BEGIN)
        patch.setattr(aiortc.clock, "current_datetime", now)
        patch.setattr(os, "urandom", source.randbytes)
        # OpenSSL's timer goes by the real clock: it says nothing again here, only we do.
        patch.setattr(SSL.Connection, "DTLSv1_get_timeout", lambda _: FOREVER)
        patch.setattr("aioice.ice.get_host_addresses", lambda **_: [network.address()])
        random.seed(seed)
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                return runner.run(story(network))
        finally:
            random.setstate(state)
