"""What the test and an engine's process say to each other, and how it is framed."""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any, Final

_LENGTH: Final = struct.Struct("!I")


@dataclass(frozen=True, slots=True)
class Seen:
    """One decoded picture of the far end: `time.monotonic()` seconds (one clock for all processes), the
    number in it, None when it cannot be read, and whether it is white where the clapperboard is.
    """

    time: float
    number: int | None
    claps: bool = False


def packed(value: object) -> bytes:
    data = pickle.dumps(value)
    return _LENGTH.pack(len(data)) + data


async def unpacked(reader: asyncio.StreamReader) -> Any:
    """The next message; None at the end."""
    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
        return pickle.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
