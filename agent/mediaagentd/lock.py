"""The single-instance locks, of the socket and of the state directory: two gRPC servers on one unix socket
would both start and share the clients.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class LockedError(Exception):
    """Another process holds the lock; `holder` is its process id, 0 when it could not be read."""

    def __init__(self, path: Path, holder: int) -> None:
        super().__init__(f"another daemon{f' (process {holder})' if holder else ''} holds {path}")
        self.path = path
        self.holder = holder


@contextmanager
def hold(path: Path) -> Iterator[None]:
    """Holds an exclusive flock on `path` (made when missing, 0600) with our process id in it.

    The file stays: removing it would let a third process lock a new file while a second still waits for
    the old one. The kernel lets go of the lock however we end. Raises LockedError, OSError.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            digits = os.pread(fd, 20, 0).strip()
            raise LockedError(path, int(digits) if digits.isdigit() else 0) from None
        with suppress(OSError):  # a full disk: it holds all the same, without our name
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(fd)
