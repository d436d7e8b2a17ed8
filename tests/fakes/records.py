"""Where calls are remembered, for tests that do not look there."""

from __future__ import annotations

from collections.abc import Sequence

from mediaagentd.call.types import Call
from mediaagentd.errors import Reason, Refused
from mediaagentd.history.types import Filter, Page, Record

EVERYTHING = Filter()


class FakeRecords:
    """The `Records` ports of `calls.py` and of `api/`: notes calls; records are what a test puts there."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, Call]] = []
        self.records: list[Record] = []
        self.asked: list[tuple[object, ...]] = []

    def note(self, owner_id: str, call: Call) -> None:
        self.noted.append((owner_id, call))

    async def page(self, chosen: Filter, size: int, token: str) -> Page:
        self.asked.append((chosen, size, token))
        return Page(tuple(self.records[:size]), "more" if len(self.records) > size else "", len(self.records))

    async def get(self, record_id: int) -> Record:
        for record in self.records:
            if record.record_id == record_id:
                return record
        raise Refused(Reason.RECORD_UNKNOWN, f"no record {record_id}")

    async def delete(self, record_ids: Sequence[int]) -> int:
        before = len(self.records)
        self.records = [record for record in self.records if record.record_id not in record_ids]
        return before - len(self.records)

    async def delete_all(self, owner_id: str = "") -> int:
        gone = [record for record in self.records if owner_id in ("", record.owner_id)]
        return await self.delete([record.record_id for record in gone])
