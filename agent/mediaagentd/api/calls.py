"""CallService: making, taking and ending calls. The contract is in call.proto."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from google.protobuf.duration_pb2 import Duration
from mediaagent.v1 import call_pb2 as pb
from mediaagent.v1.call_pb2_grpc import CallServiceServicer

from mediaagentd.api import clock, words
from mediaagentd.api.house import Context, House
from mediaagentd.call.types import (
    Answer,
    CallType,
    Command,
    Decline,
    Dial,
    Hangup,
    InviteUsers,
    Join,
    Switch,
)
from mediaagentd.errors import Reason, Refused


class CallService(CallServiceServicer):
    """Each RPC is one command of the call machine."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def Call(self, request: pb.CallRequest, _context: Context) -> pb.CallResponse:
        """Invites one user."""
        if request.user_id == self._house.calls.state.user_id:
            # The machine's word for it is of several users, a field that this request has not.
            raise Refused(Reason.INVITEES_INVALID, "user_id: that is oneself", {"field": "user_id"})
        kind, timeout = CallType(request.type), _timeout(request.timeout)
        request_id = request.request_id or _fresh_id()
        users, data = (request.user_id,), request.user_data
        call = await self._run(lambda op: Dial(op, users, kind, timeout, "", request_id, data))
        return pb.CallResponse(call=call)

    async def GroupCall(self, request: pb.GroupCallRequest, _context: Context) -> pb.GroupCallResponse:
        """Invites several users."""
        kind, timeout = CallType(request.type), _timeout(request.timeout)
        users, request_id = tuple(request.user_ids), request.request_id or _fresh_id()
        group_id, data = request.group_id, request.user_data
        call = await self._run(lambda op: Dial(op, users, kind, timeout, group_id, request_id, data))
        return pb.GroupCallResponse(call=call)

    async def InviteUsers(self, request: pb.InviteUsersRequest, _context: Context) -> pb.InviteUsersResponse:
        """Invites more users into the call."""
        users, timeout = tuple(request.user_ids), _timeout(request.timeout)
        request_id = request.request_id or _fresh_id()
        call = await self._run(lambda op: InviteUsers(op, users, timeout, request_id))
        return pb.InviteUsersResponse(call=call)

    async def JoinGroupCall(
        self, request: pb.JoinGroupCallRequest, _context: Context
    ) -> pb.JoinGroupCallResponse:
        """Enters a running group call."""
        call = await self._run(lambda op: Join(op, request.call_id, request.group_id))
        return pb.JoinGroupCallResponse(call=call)

    async def Accept(self, request: pb.AcceptRequest, _context: Context) -> pb.AcceptResponse:
        """Accepts an invitation."""
        kind = words.call_type_from(request.call_type)
        call = await self._run(lambda op: Answer(op, request.invite_id, request.room_id, kind))
        return pb.AcceptResponse(call=call)

    async def Reject(self, request: pb.RejectRequest, _context: Context) -> pb.RejectResponse:
        """Rejects an invitation."""
        kind = words.call_type_from(request.call_type)
        call = await self._run(lambda op: Decline(op, request.invite_id, request.is_busy, kind))
        return pb.RejectResponse(call=call)

    async def Hangup(self, _request: pb.HangupRequest, _context: Context) -> pb.HangupResponse:
        """Ends the call. What it left ringing, which came behind a dial, is not what it ended."""
        call = await self._run(Hangup)
        over = call is not None and call.state == pb.CALL_STATE_ENDED
        return pb.HangupResponse(call=call if over else None)

    async def SwitchToAudioCall(
        self, _request: pb.SwitchToAudioCallRequest, _context: Context
    ) -> pb.SwitchToAudioCallResponse:
        """Makes it an audio call."""
        call = await self._run(lambda op: Switch(op, CallType.AUDIO))
        return pb.SwitchToAudioCallResponse(call=call)

    async def SwitchToVideoCall(
        self, _request: pb.SwitchToVideoCallRequest, _context: Context
    ) -> pb.SwitchToVideoCallResponse:
        """Makes it a video call."""
        call = await self._run(lambda op: Switch(op, CallType.VIDEO))
        return pb.SwitchToVideoCallResponse(call=call)

    async def GetCall(self, _request: pb.GetCallRequest, _context: Context) -> pb.GetCallResponse:
        """The present call."""
        return pb.GetCallResponse(call=self._house.conversion.call(self._house.calls.state.call))

    async def _run(self, make: Callable[[int], Command]) -> pb.Call | None:
        return self._house.conversion.call(await self._house.calls.perform(make))


def _fresh_id() -> str:
    """For a client that chose none: the hub wants one, to know our own repetitions."""
    return secrets.token_hex(16)


def _timeout(value: Duration) -> float | None:
    """Seconds to ring, None for no limit (zero or absent)."""
    return clock.seconds(value) or None
