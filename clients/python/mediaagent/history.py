"""The calls of this device, as the agent keeps them."""

from __future__ import annotations

import datetime
from collections.abc import AsyncGenerator, Iterable
from typing import Literal

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from mediaagent.asking import Ask, several
from mediaagent.v1 import call_pb2, history_pb2, history_pb2_grpc
from mediaagent.words import CallType

_PAGE = 200


def records_where(
    *,
    user_id: str = "",
    owner_id: str = "",
    direction: Literal["", "incoming", "outgoing"] = "",
    type: CallType | str | None = None,  # noqa: A002 - the source's word
    missed: bool | None = None,
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
) -> history_pb2.RecordFilter:
    """Which records; what is left out does not restrict. Times without a zone are local."""
    chosen = history_pb2.RecordFilter(user_id=user_id, owner_id=owner_id, is_missed=missed)
    if direction:
        chosen.direction = call_pb2.CallDirection.Value(f"CALL_DIRECTION_{direction.upper()}")
    if type is not None:
        chosen.type = CallType.of(type).proto
    if since is not None:
        chosen.from_time.CopyFrom(_timestamp(since))
    if until is not None:
        chosen.to_time.CopyFrom(_timestamp(until))
    return chosen


class History:
    """The records of calls: `agent.history`. Every method raises AgentError."""

    def __init__(self, channel: grpc.aio.Channel, ask: Ask) -> None:
        self._stub: history_pb2_grpc.HistoryServiceAsyncStub = history_pb2_grpc.HistoryServiceStub(channel)
        self._ask = ask

    async def page(
        self, chosen: history_pb2.RecordFilter | None = None, *, size: int = 50, token: str = ""
    ) -> history_pb2.ListRecordsResponse:
        """A page, the newest first; `next_page_token` asks for the next one."""
        request = history_pb2.ListRecordsRequest(filter=chosen, page_size=size, page_token=token)
        return await self._ask(self._stub.ListRecords, request)

    async def list(
        self, chosen: history_pb2.RecordFilter | None = None
    ) -> AsyncGenerator[history_pb2.Record, None]:
        """All records that the filter lets through, the newest first."""
        token = ""
        while True:
            page = await self.page(chosen, size=_PAGE, token=token)
            for record in page.records:
                yield record
            token = page.next_page_token
            if not token:
                return

    async def get(self, record_id: str) -> history_pb2.Record:
        """One record."""
        request = history_pb2.GetRecordRequest(record_id=record_id)
        return (await self._ask(self._stub.GetRecord, request)).record

    async def delete(self, record_ids: Iterable[str]) -> int:
        """Deletes those records; how many of them were there."""
        ids = history_pb2.RecordIds(record_ids=several(record_ids))
        request = history_pb2.DeleteRecordsRequest(ids=ids)
        return (await self._ask(self._stub.DeleteRecords, request)).deleted

    async def delete_all(self, owner_id: str = "") -> int:
        """Deletes all records, or those of that user of the agent; how many there were."""
        request = history_pb2.DeleteRecordsRequest(all=True, owner_id=owner_id)
        return (await self._ask(self._stub.DeleteRecords, request)).deleted


def _timestamp(moment: datetime.datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(datetime.UTC))
    return stamp
