"""Asking STUN and TURN servers for candidates: several in turn, over UDP, TCP and TLS, by name or address."""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from aioice import Candidate, stun, turn
from aioice.candidate import candidate_foundation, candidate_priority

from mediaagentd.media.rtc.gate import Tally
from mediaagentd.media.rtc.guard import GuardedProtocol, mark
from mediaagentd.media.rtc.ice import Server
from mediaagentd.media.rtc.names import Names

STAGGER = 0.1
"""Seconds until the next server is asked too: a dead one costs no more."""

KEPT = 240.0
"""Seconds between two refreshes of what a relay lets through: a permission lasts 300, a channel 600 (RFC 8656
sections 9 and 12).
"""

KEPT_AGAIN = 10.0
"""Seconds after one that failed."""

MOST_WAITING = 128 << 10
"""Bytes that wait for the system to take them, from which on nothing joins them. A large keyframe at the
start of a TCP connection that is long or wide is 82 kB of them (0.1 s at 3 Mbit/s, 0.3 s at 1.5).
"""

RECEIVE_BUFFER: Final = (socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
"""The option that gives a socket room, in bytes, for what comes while the loop is at work."""

_log = structlog.stdlib.get_logger()

T = TypeVar("T")
Found = tuple[Candidate, GuardedProtocol | None]


NO_IPV4: Final = (440, 508)
"""What a server says that has no relay of the address family that was asked for (RFC 8656 section 7.2): by
itself that is IPv4.
"""


class Ipv6Allocation(stun.Message):
    """Asks for an IPv6 relay: with REQUESTED-ADDRESS-FAMILY (RFC 8656 section 18.6), which the library does
    not know, in front of what else it says.
    """

    def __init__(self, plain: stun.Message) -> None:
        wanted = {name: plain.attributes[name] for name in ("LIFETIME", "REQUESTED-TRANSPORT")}
        super().__init__(stun.Method.ALLOCATE, stun.Class.REQUEST, attributes=wanted)

    def __bytes__(self) -> bytes:
        message = super().__bytes__()
        length = int.from_bytes(message[2:4], "big") + len(_IPV6)
        return message[:2] + length.to_bytes(2, "big") + message[4:20] + _IPV6 + message[20:]


_IPV6: Final = bytes((0x00, 0x17, 0x00, 0x04, 0x02, 0x00, 0x00, 0x00))


class _Guarded(turn.TurnClientMixin):
    """Malformed messages of whoever speaks in the server's name end here.

    The library refreshes a channel after 500 s by the machine's clock, with every packet that leaves until
    the answer is there: a server that drops what has no permission any more is silent from 300 s on, and a
    clock that is set back lets the channel end.
    """

    tally: Tally

    async def refresh(self, time_to_expiry: int) -> None:
        """As long as the relay is ours; what it lets through too."""
        keeping = asyncio.create_task(self._keep_channels(), name="turn-channels")
        try:
            await super().refresh(time_to_expiry)
        finally:
            keeping.cancel()

    async def _keep_channels(self) -> None:
        pause = KEPT
        while True:
            await asyncio.sleep(pause)
            pause = KEPT
            for peer, channel in list(self.peer_to_channel.items()):
                try:
                    await self.channel_bind(channel, peer)
                except (stun.TransactionError, ConnectionError):
                    pause = KEPT_AGAIN

    async def request_with_retry(self, request: stun.Message) -> tuple[stun.Message, tuple[str, int]]:
        try:
            return await super().request_with_retry(request)
        except stun.TransactionFailed as error:
            allocates = request.message_method is stun.Method.ALLOCATE
            if not allocates or error.response.error_code not in NO_IPV4:
                raise
        return await super().request_with_retry(Ipv6Allocation(request))

    def datagram_received(self, data: bytes | str, addr: tuple[str, int]) -> None:
        try:
            super().datagram_received(data, addr)
        except Exception:  # the library's parser raises whatever it meets
            self.tally.add()


class _TurnUdp(_Guarded, turn.TurnClientUdpProtocol):
    """TURN over UDP."""


class _TurnTcp(_Guarded, turn.TurnClientTcpProtocol):
    """TURN over TCP or TLS. What the network does not take is dropped, as UDP would: after an outage nobody
    wants to hear, second for second, what was said in it.
    """

    def _send(self, data: bytes) -> None:
        if turn.is_channel_data(data) and self.transport.get_write_buffer_size() > MOST_WAITING:
            return self.tally.add()
        return super()._send(data)


async def in_turn(
    attempts: Sequence[Callable[[], Coroutine[Any, Any, T]]],
    stagger: float = STAGGER,
    discard: Callable[[T], None] = lambda _: None,
) -> T:
    """What the first success gives; each begins `stagger` seconds after the one before it, or when that has
    failed. What succeeds besides is discarded, and whatever has when this is cancelled. Raises the last
    one's error when all fail.
    """
    running: set[asyncio.Task[T]] = set()
    waiting = list(reversed(attempts))
    error: BaseException = ConnectionError("nobody to ask")
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(waiting.pop()()))
            done, running = await asyncio.wait(
                running, timeout=stagger if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            found = [task.result() for task in done if task.exception() is None]
            for late in found[1:]:
                discard(late)
            if found:
                return found[0]
            error = next(filter(None, (task.exception() for task in done)), error)
        raise error
    finally:
        for task in running:
            task.cancel()  # does nothing to one that has just succeeded
            task.add_done_callback(partial(_discard, discard))


def _discard(discard: Callable[[T], None], task: asyncio.Task[T]) -> None:
    if not task.cancelled() and task.exception() is None:
        discard(task.result())


async def reflexive(host: GuardedProtocol, server: Server, names: Names) -> Found:
    """How that socket looks from outside (RFC 8445 section 5.1.1.2)."""
    local = host.local_candidate
    family = ":" in local.host
    addresses = [each for each in await names.resolve(server.host) if (":" in each) is family]

    async def ask(address: str) -> tuple[str, int]:
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        response, _ = await host.request(request, (address, server.port))
        mapped: tuple[str, int] = response.attributes["XOR-MAPPED-ADDRESS"]
        return mapped

    mapped = await in_turn([lambda address=each: ask(address) for each in addresses])  # type: ignore[misc]
    return _candidate("srflx", local.component, mapped, (local.host, local.port)), None


async def relayed(
    make: Callable[[], GuardedProtocol],
    component: int,
    server: Server,
    names: Names,
    tally: Tally,
    authority: Path | None,
) -> Found:
    """An address at a relay (RFC 8656), and the protocol that sends and hears through it."""
    addresses = await names.resolve(server.host)

    async def ask(address: str) -> Found:
        inner = await _connect(server, address, tally, authority)
        try:
            protocol, transport = make(), turn.TurnTransport(inner)
            await transport._connect(protocol)
        except BaseException:
            inner.transport.close()
            raise
        own = transport.get_extra_info("sockname")
        related = transport.get_extra_info("related_address")
        protocol.local_candidate = _candidate("relay", component, own, related)
        return protocol.local_candidate, protocol

    attempts = [lambda address=each: ask(address) for each in addresses]
    return await in_turn(attempts, discard=give_back)


def give_back(found: Found) -> None:
    """Ends a relay that nobody needs: it would be kept for as long as the process lives."""
    _, relay = found
    if relay is not None:
        relay.transport.close()


def client(server: Server, address: str, tally: Tally) -> _TurnUdp | _TurnTcp:
    """What speaks with that TURN server, once it has a transport."""
    made = (_TurnUdp if server.over == "udp" else _TurnTcp)(
        (address, server.port),
        username=server.username,
        password=server.credential,
        lifetime=turn.DEFAULT_ALLOCATION_LIFETIME,
        channel_refresh_time=math.inf,  # type: ignore[arg-type] # we do it
    )
    made.tally = tally
    return made


async def _connect(server: Server, address: str, tally: Tally, authority: Path | None) -> _TurnUdp | _TurnTcp:
    loop = asyncio.get_running_loop()

    def make() -> Any:
        return client(server, address, tally)

    made: _TurnUdp | _TurnTcp
    transport: asyncio.BaseTransport
    if server.over == "udp":
        transport, made = await loop.create_datagram_endpoint(make, remote_addr=(address, server.port))
        transport.get_extra_info("socket").setsockopt(*RECEIVE_BUFFER)
    else:
        secure = server.over == "tls"
        try:
            transport, made = await loop.create_connection(
                make,
                address,
                server.port,
                ssl=trust(authority) if secure else None,
                server_hostname=server.host if secure else None,
            )
        except ssl.SSLCertVerificationError as error:
            _log.warning("turn_certificate_refused", error=error.verify_message, configure="turn_ca")
            raise
    mark(transport.get_extra_info("socket"))
    return made


def trust(authority: Path | None) -> ssl.SSLContext:
    """Whose certificates are taken: the system's authorities, and one of our own, as their files are now.
    Made anew when one has changed, since that takes 20 ms; to look takes 10 us.

    Raises: OSError, ssl.SSLError for a file that is none.
    """
    system = ssl.get_default_verify_paths()
    try:
        return _trust(
            authority, tuple(_version(path) for path in (authority, system.cafile, system.capath) if path)
        )
    except OSError as error:
        _log.warning("turn_authority_unreadable", error=str(error), configure="turn_ca")
        raise


@lru_cache(maxsize=2)
def _trust(authority: Path | None, _versions: tuple[tuple[int, ...], ...]) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if authority is not None:
        context.load_verify_locations(authority)
    return context


def _version(path: Path | str) -> tuple[int, ...]:
    """What changes when a file is written or replaced; of a directory when one in it is replaced."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _candidate(kind: str, component: int, own: tuple[str, int], related: tuple[str, int]) -> Candidate:
    return Candidate(
        foundation=candidate_foundation(kind, "udp", own[0]),
        component=component,
        transport="udp",
        priority=candidate_priority(component, kind),
        host=own[0],
        port=own[1],
        type=kind,
        related_address=related[0],
        related_port=related[1],
    )
