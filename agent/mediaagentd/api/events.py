"""EventService: what happens on this agent. The contract is in event.proto."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import assert_never

from mediaagent.v1 import event_pb2 as pb
from mediaagent.v1.event_pb2_grpc import EventServiceServicer

from mediaagentd.api import convert_events
from mediaagentd.api.convert import Present
from mediaagentd.api.house import Context, House
from mediaagentd.events import Beat, Happened, Message, Resumed, SnapshotTaken


class EventService(EventServiceServicer):
    """One subscription per stream."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._latest: tuple[Happened, pb.SubscribeResponse] | None = None

    async def Subscribe(
        self, request: pb.SubscribeRequest, _context: Context
    ) -> AsyncIterator[pb.SubscribeResponse]:
        """Streams messages until the client goes, falls behind, or the daemon stops."""
        types = frozenset(convert_events.CLASSES[number] for number in request.types)
        subscription = self._house.log.subscribe(types, request.cursor, self._house.present)
        try:
            async for message in subscription:
                yield self._convert(message)
        finally:
            subscription.close()

    def _convert(self, message: Message[Present]) -> pb.SubscribeResponse:
        conversion = self._house.conversion
        match message:
            case Happened():
                return self._converted(message)
            case SnapshotTaken(cursor, state):
                return pb.SubscribeResponse(snapshot=convert_events.snapshot(cursor, conversion, state))
            case Resumed(cursor):
                return pb.SubscribeResponse(resumed=pb.Resumed(cursor=cursor))
            case Beat(cursor):
                return pb.SubscribeResponse(heartbeat=pb.Heartbeat(cursor=cursor))
            case _:
                assert_never(message)

    def _converted(self, entry: Happened) -> pb.SubscribeResponse:
        """Once for all subscribers: they read an event one behind the other."""
        if self._latest is None or self._latest[0] is not entry:
            event = convert_events.happened(entry, self._house.conversion, self._house.present())
            self._latest = entry, pb.SubscribeResponse(event=event)
        return self._latest[1]
