"""Watches the machine's addresses: the kernel tells of changes over rtnetlink (`man 7 rtnetlink`).

A socket of our own: what changed matters little, that something did is enough. Then the addresses are
read, once things have been quiet for a moment, for a change comes as many messages.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator

import ifaddr
import structlog

_log = structlog.stdlib.get_logger()

SETTLE = 0.1
"""Seconds without a further message until the change is told."""

SETTLE_MOST = 0.5
"""Seconds after which it is told although messages go on."""

_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV6_ADDRESS, _IPV6_ROUTE = 0x1, 0x10, 0x40, 0x100, 0x400
_GROUPS = _LINK | _IPV4_ADDRESS | _IPV4_ROUTE | _IPV6_ADDRESS | _IPV6_ROUTE

_INTERESTING = frozenset({16, 17, 20, 21, 24, 25})
"""RTM_NEWLINK, RTM_DELLINK, RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE."""

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port


def addresses() -> frozenset[str]:
    """Those that the machine has now, all interfaces, loopback too."""
    return frozenset(
        each.ip if isinstance(each.ip, str) else each.ip[0]
        for adapter in ifaddr.get_adapters()
        for each in adapter.ips
    )


def message_types(data: bytes) -> Iterator[int]:
    """The types of the messages in one datagram; ends at what is malformed."""
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        if length < _HEADER.size:
            return
        yield kind
        data = data[(length + 3) & ~3 :]


class NetworkWatch:
    """Calls `changed(addresses now, addresses before)` on the event loop, between `start` and `stop`."""

    def __init__(self, changed: Callable[[frozenset[str], frozenset[str]], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._socket: socket.socket | None = None
        self._known: frozenset[str] = frozenset()
        self._timer: asyncio.TimerHandle | None = None
        self._first = 0.0

    def start(self) -> None:
        """Begins to watch; where the kernel does not let us, a client must tell (NotifyNetworkChanged)."""
        try:
            watching = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        except OSError as error:
            _log.warning("network_not_watched", error=error.strerror)
            return
        try:
            watching.setblocking(False)
            watching.bind((0, _GROUPS))
        except OSError as error:
            watching.close()
            _log.warning("network_not_watched", error=error.strerror)
            return
        self._socket, self._known = watching, addresses()
        self._loop.add_reader(watching.fileno(), self._readable)

    def stop(self) -> None:
        """Ends it."""
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        assert self._socket is not None
        try:
            kinds = frozenset(message_types(self._socket.recv(65536)))
        except BlockingIOError:
            return
        except OSError:  # ENOBUFS: messages were lost, so something changed
            kinds = _INTERESTING
        if kinds & _INTERESTING:
            self._settle()

    def _settle(self) -> None:
        now = self._loop.time()
        if self._timer is None:
            self._first = now
        else:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(now + SETTLE, self._first + SETTLE_MOST), self._tell)

    def _tell(self) -> None:
        self._timer = None
        before, self._known = self._known, addresses()
        _log.info("network_changed", came=len(self._known - before), went=len(before - self._known))
        self._changed(self._known, before)
