"""HistoryService: the calls of this device. The contract is in history.proto."""

from __future__ import annotations

from mediaagent.v1 import history_pb2 as pb
from mediaagent.v1.history_pb2_grpc import HistoryServiceServicer

from mediaagentd.api import convert_history as convert
from mediaagentd.api.house import Context, House
from mediaagentd.errors import Reason, Refused

PAGE_SIZE = 50
"""Records on a page when the request does not say."""


class HistoryService(HistoryServiceServicer):
    """Lists and deletes records."""

    def __init__(self, house: House) -> None:
        self._records = house.records

    async def ListRecords(self, request: pb.ListRecordsRequest, _context: Context) -> pb.ListRecordsResponse:
        """A page."""
        chosen, size = convert.chosen(request.filter), request.page_size or PAGE_SIZE
        page = await self._records.page(chosen, size, request.page_token)
        records = [convert.record(record) for record in page.records]
        return pb.ListRecordsResponse(records=records, next_page_token=page.token, total=page.total)

    async def GetRecord(self, request: pb.GetRecordRequest, _context: Context) -> pb.GetRecordResponse:
        """One record."""
        number = convert.record_number(request.record_id)
        if not number:
            where = {"record_id": request.record_id}
            raise Refused(Reason.RECORD_UNKNOWN, f"no record {request.record_id}", where)
        return pb.GetRecordResponse(record=convert.record(await self._records.get(number)))

    async def DeleteRecords(
        self, request: pb.DeleteRecordsRequest, _context: Context
    ) -> pb.DeleteRecordsResponse:
        """Those that are named, or all."""
        if request.WhichOneof("which") == "ids":
            numbers = tuple(convert.record_number(name) for name in request.ids.record_ids)
            return pb.DeleteRecordsResponse(deleted=await self._records.delete(numbers))
        deleted = await self._records.delete_all(request.owner_id) if request.all else 0
        return pb.DeleteRecordsResponse(deleted=deleted)
