"""Failures as the agent tells them: one canonical status, one reason of the contract, one message."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # publishes no types

DOMAIN = "mediaagent"
"""`ErrorInfo.domain` of every error of the agent."""

DETAILS = "grpc-status-details-bin"
"""Trailing metadata in which a `google.rpc.Status` travels."""


class AgentError(Exception):
    """The agent refused, and nothing changed.

    `reason` is a name of `mediaagent.v1.ErrorReason` without its prefix ("USER_UNKNOWN"), `metadata`
    names the field, the limit or the source's error code.
    """

    def __init__(
        self, reason: str, status: grpc.StatusCode, message: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status
        self.message = message
        self.metadata: Mapping[str, str] = dict(metadata or {})

    @property
    def code(self) -> int:
        """The source's error code (60004, 70001 ...), 0 when there is none."""
        text = self.metadata.get("code", "")
        return int(text) if text.isdigit() else 0

    def __str__(self) -> str:
        return f"{self.message} ({self.reason})"


class AgentUnavailable(AgentError):  # noqa: N818 - reads as what it says, beside AgentError
    """The agent itself does not answer: not running, starting, or gone; or it hangs (TIMED_OUT), and then a
    command may have come through. Worth a retry.
    """


def from_rpc(error: grpc.aio.AioRpcError, target: str = "") -> AgentError:
    """The error of a failed RPC, with the reason when the agent sent one."""
    info = _error_info(error)
    message = error.details() or error.code().name
    if info is not None:
        return AgentError(info.reason, error.code(), message, info.metadata)
    if error.code() is grpc.StatusCode.UNAVAILABLE:
        where = f" at {target}" if target else ""
        # gRPC tells the whole way down to connect(2); the last part is what a person can use.
        message = message.rsplit("error: ", 1)[-1]
        return AgentUnavailable("AGENT_UNREACHABLE", error.code(), f"no agent answers{where}: {message}")
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return AgentUnavailable("TIMED_OUT", error.code(), "the agent did not answer in time")
    return AgentError(error.code().name, error.code(), message)


@contextmanager
def translated(target: str = "") -> Iterator[None]:
    """Raises AgentError for whatever an RPC in the block raised.

    gRPC raises CancelledError when the far end cancelled the RPC, too: that must not look as if somebody
    had cancelled the task.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc(error, target) from error
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        unavailable = grpc.StatusCode.UNAVAILABLE
        raise AgentUnavailable("AGENT_UNREACHABLE", unavailable, "the agent cancelled the request") from None


def _error_info(error: grpc.aio.AioRpcError) -> Any:
    """The agent's ErrorInfo in the trailing metadata, None when there is none."""
    for key, value in error.trailing_metadata() or ():
        if key != DETAILS or not isinstance(value, bytes):
            continue
        info = error_details_pb2.ErrorInfo()
        for detail in status_pb2.Status.FromString(value).details:
            if detail.Is(info.DESCRIPTOR) and detail.Unpack(info) and info.domain == DOMAIN:
                return info
    return None
