"""Gathering candidates: under a deadline of ours, with what comes later handed on (trickled).

Stock aioice has no place for it. `Gatherer` takes the place of two methods of one `aioice.Connection`
instance; nothing global is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aioice import Candidate, Connection
from aioice.candidate import candidate_foundation, candidate_priority

from mediaagentd.media.rtc.gate import Gate
from mediaagentd.media.rtc.guard import GuardedProtocol, mark
from mediaagentd.media.rtc.ice import Server
from mediaagentd.media.rtc.names import Names
from mediaagentd.media.rtc.servers import RECEIVE_BUFFER, Found, give_back, in_turn, reflexive, relayed

LOOPBACK = "127.0.0.1"

DEADLINE = 0.5
"""Seconds that a description waits for STUN and TURN servers; a dead one cost every call 5 s in the
library."""

ENOUGH = 0.05
"""Seconds that it waits for more once each kind of server has answered: other interfaces may lead
nowhere."""

_log = structlog.stdlib.get_logger()


class Gatherer:
    """Gathers for one connection. `on_candidate` gets the line of each candidate that comes after the
    deadline, and "" when no more will.
    """

    def __init__(
        self,
        connection: Connection,
        servers: Sequence[Server],
        gate: Gate,
        *,
        names: Names,
        authority: Path | None,
        allow_loopback: bool,
        on_candidate: Callable[[str], None],
    ) -> None:
        self._connection = connection
        self._servers = servers
        self._gate = gate
        self._names = names
        self._authority = authority
        self._allow_loopback = allow_loopback
        self._on_candidate = on_candidate
        self._pending: set[asyncio.Task[Found]] = set()
        self._stopped = False
        expected = connection._remote_candidates_expected
        connection.__dict__["get_component_candidates"] = self.gather
        # ICE has not failed while a relay may still come.
        connection.__dict__["_remote_candidates_expected"] = lambda: bool(self._pending) or expected()

    @property
    def complete(self) -> bool:
        """Whether no more candidates will come."""
        return not self._pending

    def stop(self) -> None:
        """No more are wanted: the connection is up, or closed."""
        self._stopped = True
        for task in self._pending:
            task.cancel()
        self._pending.clear()

    async def gather(self, component: int, addresses: Sequence[str]) -> list[Candidate]:
        """Host candidates of all addresses, then what STUN and TURN servers give within the deadline.

        The library leaves out 127.0.0.1: it is used when asked for, and on a machine without any other
        address, so that two daemons on it can call each other.
        """
        if self._allow_loopback or not addresses:
            addresses = [*addresses, LOOPBACK]
        bound = [await self._bind(component, address) for address in addresses]
        hosts = [protocol for protocol in bound if protocol is not None]
        if self._is_closed(*hosts):
            return []
        self._connection._protocols += hosts
        tasks = [asyncio.ensure_future(question) for question in self._questions(component, hosts)]
        found = await self._await(tasks) if tasks else []
        return [protocol.local_candidate for protocol in hosts] + found

    async def _bind(self, component: int, address: str) -> GuardedProtocol | None:
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: GuardedProtocol(self._connection, self._gate), local_addr=(address, 0)
            )
        except OSError:  # an address that has just gone
            return None
        host, port = transport.get_extra_info("sockname")[:2]
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(*RECEIVE_BUFFER)
            mark(sock)
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

    def _questions(
        self, component: int, hosts: Sequence[GuardedProtocol]
    ) -> list[Coroutine[Any, Any, Found]]:
        stun = [server for server in self._servers if not server.relays]
        turn = [server for server in self._servers if server.relays]
        asked: list[Coroutine[Any, Any, Found]] = []
        if stun:
            asked += [
                in_turn([partial(reflexive, host, server, self._names) for server in stun])
                for host in hosts
                if host.local_candidate.host != LOOPBACK or len(hosts) == 1
            ]
        if turn:
            make, tally = partial(GuardedProtocol, self._connection, self._gate), self._gate.tally
            relays = [
                partial(relayed, make, component, server, self._names, tally, self._authority)
                for server in turn
            ]
            asked.append(in_turn(relays, discard=give_back))
        return asked

    async def _await(self, tasks: list[asyncio.Task[Found]]) -> list[Candidate]:
        """What comes in time; the rest is left pending."""
        self._pending = set(tasks)
        loop = asyncio.get_running_loop()
        until, found, answered = loop.time() + DEADLINE, list[Candidate](), 0
        wanted = {server.relays for server in self._servers}
        try:
            while self._pending and (left := until - loop.time()) > 0:
                done, _ = await asyncio.wait(self._pending, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                found += [candidate for task in done if (candidate := self._take(task)) is not None]
                answered += len(done)
                if {candidate.type == "relay" for candidate in found} == wanted:
                    until = min(until, loop.time() + ENOUGH)
        except asyncio.CancelledError:
            self._leave()
            self.stop()
            raise
        if self._pending:
            _log.info("ice_servers_late", asked=len(tasks), late=len(self._pending))
        self._leave()
        return found

    def _leave(self) -> None:
        """What is pending is taken when it comes, or given back: also what has just come."""
        for task in self._pending:
            task.add_done_callback(self._on_late)

    def _take(self, task: asyncio.Task[Found]) -> Candidate | None:
        """The candidate of a server that has answered; a relay's socket is the connection's from now on."""
        self._pending.discard(task)
        if task.cancelled() or task.exception() is not None:
            return None
        candidate, relay = task.result()
        if relay is not None and not self._is_closed(relay):
            self._connection._protocols.append(relay)
        return candidate

    def _on_late(self, task: asyncio.Task[Found]) -> None:
        candidate, connection = self._take(task), self._connection
        if self._stopped or connection._closing:
            return
        if candidate is not None:
            connection._local_candidates.append(candidate)
            for remote in list(connection._remote_candidates):
                connection._pair_remote_candidate(remote)
            connection.sort_check_list()
            self._on_candidate(f"candidate:{candidate.to_sdp()}")
        if self.complete:
            self._on_candidate("")
            if connection._early_checks_done and not connection._check_list_maybe_complete():
                connection._check_list_maybe_fail()

    def _is_closed(self, *protocols: GuardedProtocol) -> bool:
        """Whether the connection has been closed meanwhile; then nobody else closes these sockets."""
        if self._connection._closing or self._stopped:
            for protocol in protocols:
                protocol.transport.close()
            return True
        return False
