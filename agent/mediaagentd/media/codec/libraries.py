"""The shared libraries that come with the PyAV wheel, for what PyAV itself does not offer."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
from pathlib import Path

import av


@functools.cache
def library(name: str, *, ours_only: bool = False) -> ctypes.CDLL | None:
    """`lib<name>`: the very copy that PyAV uses, else (unless `ours_only`) the system's; None without."""
    package = Path(str(av.__file__)).parent
    for path in sorted((package.parent / "av.libs").glob(f"lib{name}-*.so*")):
        return ctypes.CDLL(str(path))
    found = None if ours_only else ctypes.util.find_library(name)
    return ctypes.CDLL(found) if found else None
