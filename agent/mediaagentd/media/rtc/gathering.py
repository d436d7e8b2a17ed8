"""The sockets of one connection: guarded, gathered under a deadline, kept by RFC 7675 consent.

Stock aioice has no place for any of it. `install` replaces two methods of one `aioice.Connection`
instance; nothing global is changed.
"""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog
from aioice import Candidate, Connection
from aioice import ice as library
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.stun import TransactionError

LOOPBACK = "127.0.0.1"

GATHER_TIMEOUT = 1.0
"""Seconds for STUN and TURN servers together; a dead one cost every call 5 s in the library."""

CONSENT_INTERVAL = 1.0
"""Seconds between two consent checks; RFC 7675 section 5.1 allows randomly more or less by a fifth."""

CONSENT_EXPIRY = 30.0
"""Seconds since the last valid answer after which consent has expired (RFC 7675 section 5.1)."""

CONSENT_RETRANSMISSIONS = 2
"""0.5 + 1 + 2 s: an answer may take 3.5 s."""

RECEIVE_BUFFER = 1 << 20
QUEUE_BOUND = 2048
"""Datagrams that wait for the DTLS loop; more are dropped, as a full socket buffer would."""

LOG_INTERVAL = 1.0

_log = structlog.get_logger(__name__)


class Tally:
    """Counts what was dropped and says so at most once a second."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._said = float("-inf")
        self.count = 0

    def add(self, error: Exception | None = None) -> None:
        """One more; `error` is for a defect of ours, whose trace is wanted."""
        self.count += 1
        now = time.monotonic()
        if now - self._said >= LOG_INTERVAL:
            self._said = now
            _log.warning(self._what, total=self.count, exc_info=error)


class GuardedProtocol(library.StunProtocol):
    """Lets through only what the layers above survive.

    Stock: one empty datagram ends the call (`data[0]` in the DTLS loop), malformed STUN raises
    `struct.error` out of the event loop. The first byte tells who a datagram is for (RFC 7983
    section 7).
    """

    def __init__(self, receiver: Connection, tally: Tally) -> None:
        super().__init__(receiver)
        self._tally = tally

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Hands one datagram on or drops it."""
        if not data or isinstance(data, str):
            return self._tally.add()
        first = data[0]
        if first < 4:
            return self._stun(data, addr)
        if 20 <= first < 64 or 128 <= first < 192:
            return self._data(data)
        return self._tally.add()

    def _stun(self, data: bytes, addr: tuple[Any, ...]) -> None:
        try:
            super().datagram_received(data, addr)
        except Exception:  # whatever a hostile datagram provokes ends here
            self._tally.add()

    def _data(self, data: bytes) -> None:
        if self.receiver._queue.qsize() >= QUEUE_BOUND:
            return self._tally.add()
        return self.receiver.data_received(data, self.local_candidate.component)


def install(connection: Connection, *, allow_loopback: bool, on_expired: Callable[[], None]) -> Tally:
    """Makes a connection gather and keep consent our way, before it gathers; returns the count of
    dropped datagrams. `on_expired` is called when consent has expired, before the connection closes.
    """
    tally = Tally("datagrams_dropped")
    connection.__dict__["get_component_candidates"] = partial(
        gather, connection, tally=tally, allow_loopback=allow_loopback
    )
    connection.__dict__["query_consent"] = partial(keep_consent, connection, on_expired)
    return tally


async def gather(
    connection: Connection,
    component: int,
    addresses: Sequence[str],
    *,
    tally: Tally,
    allow_loopback: bool,
) -> list[Candidate]:
    """Host candidates of all addresses, then what STUN and TURN servers give within the deadline.

    The library leaves out 127.0.0.1: it is used when asked for, and on a machine without any other
    address, so that two daemons on it can call each other.
    """
    if allow_loopback or not addresses:
        addresses = [*addresses, LOOPBACK]
    protocols = [
        protocol
        for address in addresses
        if (protocol := await _bind(connection, component, address, tally)) is not None
    ]
    if _closed(connection, protocols):
        return []
    connection._protocols += protocols
    candidates = [protocol.local_candidate for protocol in protocols]
    return candidates + await _ask_servers(connection, component, protocols, tally)


def _closed(connection: Connection, protocols: Sequence[library.StunProtocol]) -> bool:
    """Whether the connection has been closed meanwhile; then nobody else closes these sockets."""
    if connection._closing:
        for protocol in protocols:
            protocol.transport.close()
    return connection._closing


async def _bind(connection: Connection, component: int, address: str, tally: Tally) -> GuardedProtocol | None:
    loop = asyncio.get_running_loop()
    try:
        transport, protocol = await loop.create_datagram_endpoint(
            lambda: GuardedProtocol(connection, tally), local_addr=(address, 0)
        )
    except OSError:  # an address that has just gone
        return None
    host, port = transport.get_extra_info("sockname")[:2]
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    protocol.local_candidate = Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )
    return protocol


async def _ask_servers(
    connection: Connection, component: int, hosts: Sequence[GuardedProtocol], tally: Tally
) -> list[Candidate]:
    asked: list[Coroutine[Any, Any, Any]] = []
    if connection.stun_server is not None:
        asked += [
            library.server_reflexive_candidate(protocol, connection.stun_server)
            for protocol in hosts
            if ":" not in protocol.local_candidate.host
            and (protocol.local_candidate.host != LOOPBACK or len(hosts) == 1)
        ]
    if connection.turn_server is not None:
        asked.append(
            library.relayed_candidate(
                component=component,
                hide_related_address=False,
                protocol_factory=lambda: GuardedProtocol(connection, tally),
                turn_server=connection.turn_server,
                turn_username=connection.turn_username,
                turn_password=connection.turn_password,
                turn_ssl=connection.turn_ssl,
                turn_transport=connection.turn_transport,
            )
        )
    if not asked:
        return []
    return await _collect(connection, [asyncio.ensure_future(question) for question in asked])


async def _collect(connection: Connection, tasks: list[asyncio.Future[Any]]) -> list[Candidate]:
    try:
        done, pending = await asyncio.wait(tasks, timeout=GATHER_TIMEOUT)
    except asyncio.CancelledError:
        for task in tasks:
            task.cancel()
        raise
    for task in pending:
        task.cancel()
    candidates = []
    for task in done:
        if task.exception() is None:
            candidate, relay = task.result()
            candidates.append(candidate)
            if relay is not None and not _closed(connection, [relay]):
                connection._protocols.append(relay)
    if len(candidates) < len(tasks):
        _log.warning("ice_servers_silent", asked=len(tasks), answered=len(candidates))
    return candidates


async def keep_consent(connection: Connection, on_expired: Callable[[], None]) -> None:
    """Closes the connection when nothing valid has been heard for 30 s (RFC 7675).

    Checks overlap, so that a round trip longer than their interval is no loss: the library allows
    each 0.5 s and six in a row, and so loses every call beyond 500 ms.
    """
    loop = asyncio.get_running_loop()
    heard = loop.time()
    checks: set[asyncio.Task[None]] = set()

    async def check(pair: library.CandidatePair) -> None:
        nonlocal heard
        request = connection.build_request(pair, nominate=False)
        key = (connection.remote_password or "").encode()
        try:
            await pair.protocol.request(
                request, pair.remote_addr, key, retransmissions=CONSENT_RETRANSMISSIONS
            )
        except TransactionError:
            return
        heard = loop.time()

    try:
        while loop.time() - heard < CONSENT_EXPIRY:
            await asyncio.sleep(CONSENT_INTERVAL * random.uniform(0.8, 1.2))  # noqa: S311 - no secret
            for pair in connection._nominated.values():
                task = asyncio.create_task(check(pair))
                checks.add(task)
                task.add_done_callback(checks.discard)
    finally:
        for task in checks:
            task.cancel()
    on_expired()
    connection._query_consent_task = None  # close() would wait for this very task
    await connection.close()
