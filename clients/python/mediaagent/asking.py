"""How this client asks the agent: one unary RPC under a deadline, its failure as `AgentError`."""

from __future__ import annotations

import datetime
import math
from collections.abc import Awaitable, Iterable
from typing import Protocol, TypeVar

import grpc
from google.protobuf import duration_pb2
from google.protobuf.message import Message

Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply", bound=Message)


class Ask(Protocol):
    """Asks; raises AgentError. `timeout` in seconds, None for the client's own."""

    def __call__(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        timeout: float | None = None,
    ) -> Awaitable[Reply]:
        """The reply."""


_LONGEST = 1e9
"""Seconds; a Duration holds more, but no rule of the contract allows it."""


def duration(seconds: float) -> duration_pb2.Duration | None:
    """A Duration; None for nothing, which leaves the field absent. ValueError for what is no time."""
    if not seconds:
        return None
    if not math.isfinite(seconds) or abs(seconds) > _LONGEST:
        raise ValueError(f"{seconds} is no time in seconds")
    made = duration_pb2.Duration()
    made.FromTimedelta(datetime.timedelta(seconds=seconds))
    return made


def several(names: Iterable[str]) -> list[str]:
    """The names as a list. A string alone is one name, not its letters: "12" would delete two records."""
    return [names] if isinstance(names, str) else list(names)
