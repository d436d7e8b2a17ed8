"""What systemd wants to hear (sd_notify(3)): one datagram each, nothing when nobody listens."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping

import structlog

_log = structlog.stdlib.get_logger()


class Notifier:
    """Talks to `NOTIFY_SOCKET`. Every method is a no-op outside of systemd and never raises."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self.watchdog_interval = _watchdog_interval(environ)

    def ready(self, status: str) -> None:
        """The service serves."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """The service is on its way out."""
        self._send("STOPPING=1")

    def status(self, status: str) -> None:
        """A line for `systemctl status`."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """Feeds the watchdog."""
        self._send("WATCHDOG=1")

    async def feed(self, healthy: Callable[[], Awaitable[bool]]) -> None:
        """Feeds the watchdog for ever, twice per interval, while `healthy` says so; when it does not, it is
        asked again soon, so that one answer that comes late costs no call; nor does one that fails. That it
        runs at all shows that the event loop does.
        """
        if self.watchdog_interval is None:
            return
        while True:
            why = "no progress"
            try:
                is_healthy = await healthy()
            except Exception as error:
                is_healthy, why = False, type(error).__name__
            if is_healthy:
                self.alive()
                await asyncio.sleep(self.watchdog_interval / 2)
            else:
                _log.error(f"watchdog not fed: {why}")
                await asyncio.sleep(self.watchdog_interval / 30)

    def _send(self, text: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(), self._address)
        except OSError as error:
            _log.debug("systemd does not listen", error=str(error))


def _watchdog_interval(environ: Mapping[str, str]) -> float | None:
    """Seconds after which systemd gives up on us, None when it does not watch this process."""
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not microseconds.isdecimal() or environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(microseconds) / 1e6
