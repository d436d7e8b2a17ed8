"""Commands wait until media is there: the socket answers before that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc

AT_ONCE = frozenset(
    {
        "/mediaagent.v1.AgentService/GetStatus",
        "/mediaagent.v1.AgentService/GetStats",
        "/mediaagent.v1.EventService/Subscribe",
        "/mediaagent.v1.HistoryService/DeleteRecords",
        "/mediaagent.v1.HistoryService/GetRecord",
        "/mediaagent.v1.HistoryService/ListRecords",
        "/mediaagent.v1.MediaService/GetLocalMedia",
        "/mediaagent.v1.SessionService/GetSession",
    }
)
"""What is answered meanwhile; with health and reflection, which are not ours."""


class Gate(grpc.aio.ServerInterceptor):
    """Holds RPCs back until `opened` returns; their own deadlines bound it."""

    def __init__(self, opened: Callable[[], Awaitable[None]]) -> None:
        self._opened = opened

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """See gRPC."""
        method = handler_call_details.method
        if method.startswith("/mediaagent.") and method not in AT_ONCE:
            await self._opened()
        return await continuation(handler_call_details)
