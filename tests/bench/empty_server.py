"""The floor under commands and events: a server of the same gRPC library with nothing behind it.

python -m tests.bench.empty_server ADDRESS
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
from mediaagent.v1 import agent_pb2, event_pb2, media_pb2

from tests.bench.peers import line, say


class Empty:
    """Answers GetStatus, and SetMicMute with an event to every subscriber."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[event_pb2.SubscribeResponse]] = set()

    async def status(self, _request: Any, _context: Any) -> agent_pb2.GetStatusResponse:
        return agent_pb2.GetStatusResponse(version="empty")

    async def mute(self, request: media_pb2.SetMicMuteRequest, _context: Any) -> media_pb2.SetMicMuteResponse:
        media = media_pb2.LocalMedia(is_mic_muted=request.is_mute)
        event = event_pb2.SubscribeResponse(
            event=event_pb2.Event(local_media_changed=event_pb2.LocalMediaChanged(media=media))
        )
        for queue in self._queues:
            queue.put_nowait(event)
        return media_pb2.SetMicMuteResponse(media=media)

    async def subscribe(self, _request: Any, _context: Any) -> AsyncIterator[event_pb2.SubscribeResponse]:
        queue: asyncio.Queue[event_pb2.SubscribeResponse] = asyncio.Queue()
        self._queues.add(queue)
        yield event_pb2.SubscribeResponse()
        try:
            while True:
                yield await queue.get()
        finally:
            self._queues.discard(queue)

    def add_to(self, server: grpc.aio.Server) -> None:
        def unary(inner: Any, request: Any, response: Any) -> Any:
            return grpc.unary_unary_rpc_method_handler(inner, request.FromString, response.SerializeToString)

        rows: dict[str, dict[str, Any]] = {
            "AgentService": {
                "GetStatus": unary(self.status, agent_pb2.GetStatusRequest, agent_pb2.GetStatusResponse)
            },
            "MediaService": {
                "SetMicMute": unary(self.mute, media_pb2.SetMicMuteRequest, media_pb2.SetMicMuteResponse)
            },
            "EventService": {
                "Subscribe": grpc.unary_stream_rpc_method_handler(
                    self.subscribe,
                    event_pb2.SubscribeRequest.FromString,
                    event_pb2.SubscribeResponse.SerializeToString,
                )
            },
        }
        for service, handlers in rows.items():
            server.add_registered_method_handlers(f"mediaagent.v1.{service}", handlers)


async def main(address: str) -> None:
    server = grpc.aio.server()
    Empty().add_to(server)
    server.add_insecure_port(address)
    await server.start()
    say({"ready": True})
    while await line() is not None:
        say({"ready": True})
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
