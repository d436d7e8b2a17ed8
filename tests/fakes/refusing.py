"""Ends an RPC as the daemon does."""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped] # publishes no types


async def refuse(context: Any, status: grpc.StatusCode, reason: str, message: str, **metadata: str) -> None:
    """Ends an RPC as the daemon does: a status with one ErrorInfo."""
    info = error_details_pb2.ErrorInfo(reason=reason, domain="mediaagent", metadata=metadata)
    detail = any_pb2.Any()
    detail.Pack(info)
    rich = status_pb2.Status(code=status.value[0], message=message, details=[detail])
    trailing = (("grpc-status-details-bin", rich.SerializeToString()),)
    await context.abort(status, message, trailing_metadata=trailing)
