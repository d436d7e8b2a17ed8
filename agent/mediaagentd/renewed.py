"""What is made of files that somebody renews while a daemon runs: certificates, authorities."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

_log = structlog.stdlib.get_logger()

T = TypeVar("T")

_Version = tuple[int, ...]


class Renewed(Generic[T]):
    """What `make` makes of `files`, made anew when one of them has changed. While that fails (one of two
    files is renewed already, the disk does not answer) what was made before stays, and the log says so once
    for each change. `what`: the keys of the configuration. May be asked by several threads.
    """

    def __init__(self, what: str, files: Sequence[Path], make: Callable[[], T]) -> None:
        """Raises what `make` raises: OSError."""
        self._what = what
        self._files = tuple(files)
        self._make = make
        self._lock = threading.Lock()
        self._versions = self._look()
        self._failed: tuple[_Version, ...] | None = None
        self._made = make()

    def now(self) -> T:
        """As the files are now; the same object while they are the same. To look takes 10 us."""
        with self._lock:
            versions = self._look()
            if versions != self._versions:
                self._renew(versions)
            return self._made

    def _renew(self, versions: tuple[_Version, ...]) -> None:
        try:
            self._made = self._make()
        except OSError as error:
            if versions != self._failed:
                _log.warning("renewed_file_not_taken", key=self._what, error=str(error))
            self._failed = versions
        else:
            self._versions, self._failed = versions, None
            _log.info("renewed_file_taken", key=self._what)

    def _look(self) -> tuple[_Version, ...]:
        """Taken before the files are read: what is written meanwhile counts as one more change."""
        return tuple(_version(path) for path in self._files)


def _version(path: Path) -> _Version:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
