"""Measures what a path really does, so that a figure counts only under the impairment that it names."""

from __future__ import annotations

import asyncio
import socket
import statistics
import struct
import time
from dataclasses import dataclass

from tests.netlab.lab import Host
from tests.netlab.profiles import Impairment

_HEADER = struct.Struct("!Id")
_PORT = 40_077
SIZE = 160
"""Bytes of a probe: an audio packet's."""

PAUSE = 0.004
LINGER = 0.6
"""Seconds between two probes at least, and after the last one."""

LOAD = 0.5
"""Share of a link's rate that the probes take at the most: what they measure is the link, not themselves."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One direction. Delays in seconds, `spread` from the 5th to the 95th percentile; fractions of what
    was sent.
    """

    sent: int
    loss: float
    delay: float
    spread: float
    duplicates: float
    overtaken: float


@dataclass(frozen=True, slots=True)
class Path:
    """Both directions between two hosts."""

    there: Measured
    back: Measured

    def check(self, impairment: Impairment) -> None:
        """Raises AssertionError unless both directions are what `impairment` says, within four standard
        deviations, a loaded machine's delay allowed for.
        """
        for found in (self.there, self.back):
            _near("loss", found.loss, impairment.loss, found.sent, impairment.burst)
            _near("duplicates", found.duplicates, impairment.duplicate, found.sent, 1.0)
            assert found.delay >= impairment.delay - impairment.jitter, found
            assert found.delay <= impairment.delay + impairment.jitter + 0.03, found
            assert found.spread >= impairment.jitter * 0.5, found
            if impairment.reorder:
                assert found.overtaken > 0, found


def _near(what: str, found: float, wanted: float, sent: int, burst: float) -> None:
    deviation = (wanted * (1 - wanted) * (2 * burst - 1) / sent) ** 0.5
    assert abs(found - wanted) <= 4 * deviation + 2 / sent, (what, found, wanted, sent)


async def probe(one: Host, other: Host, packets: int = 500) -> Path:
    """Sends so many small packets both ways at once, 4 ms apart, or slower on a narrow link."""
    rates = [host.impairment.rate for host in (one, other) if host.impairment.rate]
    pause = max([PAUSE, *((SIZE + 28) * 8 / (LOAD * rate) for rate in rates)])
    with one.udp(_PORT) as first, other.udp(_PORT) as second:
        there, back = await asyncio.gather(
            _measure(first, second, (other.address, _PORT), packets, pause),
            _measure(second, first, (one.address, _PORT), packets, pause),
        )
    return Path(there, back)


async def throughput(one: Host, other: Host, rate: int, seconds: float = 1.5) -> float:
    """Bits a second, with IP and UDP headers, that arrive when `rate` are sent."""
    size = 1200
    with one.udp() as sender, other.udp(_PORT) as receiver:
        listening = asyncio.ensure_future(_collect(receiver))
        began, sent = time.monotonic(), 0
        while (passed := time.monotonic() - began) < seconds:
            while sent * (size + 28) * 8 < passed * rate:
                await _send(sender, bytes(size), (other.address, _PORT))
                sent += 1
            await asyncio.sleep(0.005)
        listening.cancel()
        arrivals = await listening
    return len(arrivals) * (size + 28) * 8 / seconds


async def _measure(
    sender: socket.socket, receiver: socket.socket, address: tuple[str, int], packets: int, pause: float
) -> Measured:
    listening = asyncio.ensure_future(_collect(receiver))
    for number in range(packets):
        await _send(sender, _HEADER.pack(number, time.monotonic()).ljust(SIZE, b"\0"), address)
        await asyncio.sleep(pause)
    await asyncio.sleep(LINGER)
    listening.cancel()
    return _judge(await listening, packets)


async def _send(sender: socket.socket, data: bytes, address: tuple[str, int]) -> None:
    try:
        await asyncio.get_running_loop().sock_sendto(sender, data, address)
    except OSError:  # an interface that is down: lost
        return


async def _collect(receiver: socket.socket) -> list[tuple[int, float]]:
    """(number, delay) of what arrives, until cancelled."""
    loop = asyncio.get_running_loop()
    found: list[tuple[int, float]] = []
    try:
        while True:
            data = await loop.sock_recv(receiver, 2048)
            number, sent = _HEADER.unpack_from(data)
            found.append((number, time.monotonic() - sent))
    except asyncio.CancelledError:
        return found


def _judge(arrivals: list[tuple[int, float]], sent: int) -> Measured:
    seen: set[int] = set()
    highest, overtaken = -1, 0
    for number, _ in arrivals:
        if number not in seen:
            overtaken += number < highest
            highest = max(highest, number)
        seen.add(number)
    delays = sorted(delay for _, delay in arrivals) or [0.0]
    return Measured(
        sent=sent,
        loss=1 - len(seen) / sent,
        delay=statistics.median(delays),
        spread=delays[int(0.95 * (len(delays) - 1))] - delays[int(0.05 * (len(delays) - 1))],
        duplicates=(len(arrivals) - len(seen)) / max(1, len(seen)),
        overtaken=overtaken / sent,
    )
