"""Processes of ours that we start ourselves: when one is ready, and how one is ended. The other side of
`systemd.Notifier`.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Iterator


@contextlib.contextmanager
def ears() -> Iterator[tuple[socket.socket, str]]:
    """A datagram socket for a child's sd_notify, and the NOTIFY_SOCKET that says so; in the abstract
    namespace: no path that could be too long.
    """
    name = f"mediaagent-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(f"\0{name}")
        sock.setblocking(False)
        yield sock, f"@{name}"


async def until_ready(process: Process, ears: socket.socket, within: float) -> str:
    """Waits until the child says READY=1, for `within` seconds at most. "" when it did, else what it did
    instead.
    """
    ended = asyncio.ensure_future(process.wait())
    heard = asyncio.ensure_future(_hear(ears))
    done, pending = await asyncio.wait({ended, heard}, timeout=within, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    if heard in done:
        return ""
    return f"ended with {process.returncode}" if ended in done else "did not get ready"


async def end(process: Process, within: float) -> int:
    """SIGTERM, and SIGKILL for one that does not listen within so many seconds. Its exit code."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(within):
                return await process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
    return await process.wait()


def free_port() -> int:
    """A TCP port of the loop-back interface that nobody uses at present."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _hear(ears: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while b"READY=1" not in await loop.sock_recv(ears, 4096):
        pass
