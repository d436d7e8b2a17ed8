"""Addresses of host names, looked up where a resolver that does not answer delays nobody."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

LOOKUPS = 4
"""Lookups at once; a dead resolver holds each for ten seconds and more."""


class Names:
    """One lookup of a name at a time serves all who ask. Threads of its own, which the end of the process
    does not wait for: the event loop's would be.
    """

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Future[tuple[str, ...]]] = {}

    async def resolve(self, host: str) -> tuple[str, ...]:
        """IP addresses, best first; empty when there are none. An address is its own."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        running = self._running.get(host)
        if running is None:
            if len(self._running) >= LOOKUPS:
                return ()
            running = asyncio.get_running_loop().create_future()
            thread = threading.Thread(target=self._look_up, args=(host, running), daemon=True, name="names")
            try:
                thread.start()
            except RuntimeError:  # no more threads
                return ()
            self._running[host] = running
        return await asyncio.shield(running)

    def _look_up(self, host: str, asked: asyncio.Future[tuple[str, ...]]) -> None:
        """In its thread."""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        except (OSError, UnicodeError):  # the second for what is no name: "a..b"
            found = []
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        try:
            asked.get_loop().call_soon_threadsafe(self._answer, host, asked, addresses)
        except RuntimeError:  # the loop has ended meanwhile
            return

    def _answer(self, host: str, asked: asyncio.Future[tuple[str, ...]], addresses: tuple[str, ...]) -> None:
        self._running.pop(host, None)
        if not asked.done():
            asked.set_result(addresses)
