"""How this client asks the agent: one unary RPC under a deadline, its failure as `AgentError`."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable
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


def duration(seconds: float) -> duration_pb2.Duration | None:
    """A Duration; None for nothing, which leaves the field absent."""
    if not seconds:
        return None
    made = duration_pb2.Duration()
    made.FromTimedelta(datetime.timedelta(seconds=seconds))
    return made
