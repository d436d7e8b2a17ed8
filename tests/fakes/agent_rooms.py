"""History and groups of the agent without hub and media."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import grpc
from mediaagent.v1 import group_pb2, group_pb2_grpc, history_pb2, history_pb2_grpc
from mediaagentd.api.faults import FaultService
from mediaagentd.api.house import House
from mediaagentd.faults import Faults, Sabotage

from tests.fakes.refusing import refuse


class FakeHistory(history_pb2_grpc.HistoryServiceServicer):
    """Records in memory, two on a page."""

    def __init__(self, note: Callable[[Any], None]) -> None:
        self._note = note
        self.records: list[history_pb2.Record] = []

    async def ListRecords(self, request: Any, context: Any) -> history_pb2.ListRecordsResponse:
        self._note(request)
        begin = int(request.page_token or 0)
        end = begin + 2
        token = str(end) if end < len(self.records) else ""
        page = self.records[begin:end]
        total = len(self.records)
        return history_pb2.ListRecordsResponse(records=page, next_page_token=token, total=total)

    async def GetRecord(self, request: Any, context: Any) -> history_pb2.GetRecordResponse:
        for record in self.records:
            if record.record_id == request.record_id:
                return history_pb2.GetRecordResponse(record=record)
        await refuse(context, grpc.StatusCode.NOT_FOUND, "RECORD_UNKNOWN", "no such record")
        raise AssertionError

    async def DeleteRecords(self, request: Any, context: Any) -> history_pb2.DeleteRecordsResponse:
        self._note(request)
        before = len(self.records)
        gone = set(request.ids.record_ids)
        self.records = [r for r in self.records if not request.all and r.record_id not in gone]
        return history_pb2.DeleteRecordsResponse(deleted=before - len(self.records))


class FakeGroups(group_pb2_grpc.GroupServiceServicer):
    """Groups in memory, one on a page."""

    def __init__(self, note: Callable[[Any], None]) -> None:
        self._note = note
        self.groups: dict[str, group_pb2.Group] = {}

    async def CreateGroup(self, request: Any, context: Any) -> group_pb2.CreateGroupResponse:
        self._note(request)
        group = group_pb2.Group(group_id=request.group_id or "g1", name=request.name, owner="alice")
        group.members.add(user_id="alice", role=group_pb2.GROUP_ROLE_OWNER)
        self.groups[group.group_id] = group
        self._add(group, request.member_ids)
        return group_pb2.CreateGroupResponse(group=group)

    async def DeleteGroup(self, request: Any, context: Any) -> group_pb2.DeleteGroupResponse:
        if self.groups.pop(request.group_id, None) is None:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "GROUP_UNKNOWN", "no such group")
        return group_pb2.DeleteGroupResponse()

    async def AddGroupMembers(self, request: Any, context: Any) -> group_pb2.AddGroupMembersResponse:
        group = self.groups[request.group_id]
        self._add(group, request.user_ids)
        return group_pb2.AddGroupMembersResponse(group=group)

    async def RemoveGroupMembers(self, request: Any, context: Any) -> group_pb2.RemoveGroupMembersResponse:
        group = self.groups[request.group_id]
        kept = [member for member in group.members if member.user_id not in request.user_ids]
        del group.members[:]
        group.members.extend(kept)
        return group_pb2.RemoveGroupMembersResponse(group=group)

    async def GetGroup(self, request: Any, context: Any) -> group_pb2.GetGroupResponse:
        return group_pb2.GetGroupResponse(group=self.groups[request.group_id])

    async def ListGroups(self, request: Any, context: Any) -> group_pb2.ListGroupsResponse:
        self._note(request)
        names = sorted(self.groups)
        place = names.index(request.page_token) if request.page_token else 0
        groups = [self.groups[name] for name in names[place : place + 1]]
        token = names[place + 1] if place + 1 < len(names) else ""
        return group_pb2.ListGroupsResponse(groups=groups, next_page_token=token)

    @staticmethod
    def _add(group: group_pb2.Group, user_ids: Any) -> None:
        for user_id in user_ids:
            group.members.add(user_id=user_id, role=group_pb2.GROUP_ROLE_MEMBER)
        group.member_count = len(group.members)


def breakable() -> FaultService:
    """The real service in a house where nothing else is."""

    async def dropped() -> None:
        pass

    sabotage = Sabotage(Faults(), dropped, lambda user_id: None, lambda: None)
    return FaultService(cast("House", SimpleNamespace(sabotage=sabotage)))
