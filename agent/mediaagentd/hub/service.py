"""The hub's RPCs: convert, one call of the shell, convert back."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from mediaagent.hub.v1 import hub_pb2, hub_pb2_grpc

from mediaagentd.errors import Reason, Refused
from mediaagentd.hub import wire
from mediaagentd.hub.credentials import Context, bearer, token
from mediaagentd.hub.ice import ice_servers
from mediaagentd.hub.letters import HEARTBEAT, Letters
from mediaagentd.hub.outbox import Kicked, Parcel, Reader
from mediaagentd.hub.settings import HubSettings
from mediaagentd.hub.shell import Shell, digest
from mediaagentd.hub.signals import Generation, Rules
from mediaagentd.hub.types import (
    Accept,
    AcknowledgeMissed,
    Call,
    CallType,
    EndReason,
    Hangup,
    Input,
    Invite,
    InviteMore,
    JoinCall,
    Login,
    Logout,
    Reject,
    Relay,
    RenewLease,
    SetAvailability,
    SwitchCallType,
)
from mediaagentd.hub.usersig import verify

_ROOMS = 2**31 - 1
"""Numbers of rooms; the source's are positive and have 31 bits."""


class HubService(hub_pb2_grpc.HubServiceServicer):
    """`mediaagent.hub.v1.HubService`. Stands behind `interceptors.server()`, which turns Refused into a
    status and has held each request against its rules.
    """

    def __init__(self, settings: HubSettings, shell: Shell, wall: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._shell = shell
        self._letters = Letters()
        self._rules = Rules(settings.allowed_candidates)
        # Others' clocks are compared with the machine's: it may have been set since the hub began.
        self._wall = wall

    async def Login(self, request: hub_pb2.LoginRequest, context: Context) -> hub_pb2.LoginResponse:
        """Opens a session. With the token of a lost session in its metadata it is a login by a machine:
        Refused(KICKED_OUT) when another device has taken over.
        """
        if request.sdk_app_id != self._settings.sdk_app_id:
            raise Refused(
                Reason.USER_SIG_WRONG_APP, "sdk_app_id: this hub serves another one", {"code": "70014"}
            )
        verify(
            request.user_sig,
            user_id=request.user_id,
            sdk_app_id=self._settings.sdk_app_id,
            keys=self._settings.keys,
            now=self._wall(),
        )
        lost = bearer(context)
        if lost:
            self._shell.mailboxes.check_return(digest(lost), request.user_id, request.device_id)
        secret = secrets.token_urlsafe(32)
        await self._shell.perform(Login(digest(secret), request.user_id, request.device_id))
        return hub_pb2.LoginResponse(
            session_token=secret,
            lease=wire.duration(self._settings.lease),
            policy=hub_pb2.LoginPolicy.ValueType(self._settings.policy.value),
        )

    async def Logout(
        self,
        request: hub_pb2.LogoutRequest,  # noqa: ARG002 - it is empty; the signature is gRPC's
        context: Context,
    ) -> hub_pb2.LogoutResponse:
        """Ends the session."""
        await self._shell.perform(Logout(token(context)))
        return hub_pb2.LogoutResponse()

    async def RenewLease(
        self,
        request: hub_pb2.RenewLeaseRequest,  # noqa: ARG002 - as above
        context: Context,
    ) -> hub_pb2.RenewLeaseResponse:
        """Keeps the session."""
        await self._shell.perform(RenewLease(token(context)))
        return hub_pb2.RenewLeaseResponse(lease=wire.duration(self._settings.lease))

    async def Subscribe(
        self, request: hub_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[Any]:  # a welcome as message, the rest as bytes
        """Welcome, then pushes and heartbeats. Ends by itself while the TURN credentials of its welcome are
        good: the next welcome has new ones.
        """
        opened = await self._shell.subscribe(token(context), request.cursor)
        try:
            good = self._good()
            servers = ice_servers(self._settings, opened.user_id, self._wall())
            yield wire.welcome(servers, opened, self._shell.now())
            async for message in self._tail(opened.reader, good):
                yield message
        finally:
            opened.reader.close()

    async def Invite(self, request: hub_pb2.InviteRequest, context: Context) -> hub_pb2.InviteResponse:
        """Makes a call."""
        command = Invite(
            token=token(context),
            call_id=secrets.token_hex(16),
            invite_id=secrets.token_hex(16),
            room_id=secrets.randbelow(_ROOMS) + 1,
            user_ids=tuple(request.user_ids),
            type=CallType(request.type),
            timeout=wire.seconds(request.timeout),
            group=len(request.user_ids) > 1 or bool(request.group_id),
            group_id=request.group_id,
            request_id=request.request_id,
            user_data=request.user_data,
        )
        return hub_pb2.InviteResponse(call=await self._perform(command))

    async def Accept(self, request: hub_pb2.AcceptRequest, context: Context) -> hub_pb2.AcceptResponse:
        """Joins."""
        return hub_pb2.AcceptResponse(call=await self._perform(Accept(token(context), request.invite_id)))

    async def Reject(self, request: hub_pb2.RejectRequest, context: Context) -> hub_pb2.RejectResponse:
        """Declines."""
        command = Reject(token(context), request.invite_id, request.is_busy)
        return hub_pb2.RejectResponse(call=await self._perform(command))

    async def Hangup(self, request: hub_pb2.HangupRequest, context: Context) -> hub_pb2.HangupResponse:
        """Leaves or cancels."""
        reason = EndReason(request.reason) if request.reason else EndReason.HANGUP
        command = Hangup(token(context), request.call_id, reason)
        return hub_pb2.HangupResponse(call=await self._perform(command))

    async def SwitchCallType(
        self, request: hub_pb2.SwitchCallTypeRequest, context: Context
    ) -> hub_pb2.SwitchCallTypeResponse:
        """Audio or video."""
        command = SwitchCallType(token(context), request.call_id, CallType(request.type))
        return hub_pb2.SwitchCallTypeResponse(call=await self._perform(command))

    async def SetAvailability(
        self, request: hub_pb2.SetAvailabilityRequest, context: Context
    ) -> hub_pb2.SetAvailabilityResponse:
        """Microphone and camera."""
        command = SetAvailability(
            token(context), request.call_id, request.is_audio_available, request.is_video_available
        )
        return hub_pb2.SetAvailabilityResponse(call=await self._perform(command))

    async def Relay(self, request: hub_pb2.RelayRequest, context: Context) -> hub_pb2.RelayResponse:
        """Hands a signal on."""
        sender = token(context)
        outbox = self._shell.outbox(sender)
        signal = request.signal
        match signal.WhichOneof("body"):
            case "offer":
                signal.offer = self._rules.sdp(signal.offer)
            case "answer":
                signal.answer = self._rules.sdp(signal.answer)
            case "candidate":
                self._rules.candidate(signal.candidate.candidate)
                outbox.candidates.count(_generation(request))
            case _:  # a wish for a new offer
                outbox.candidates.count(_generation(request))
        parcel = Parcel(signal, signal.ByteSize())
        await self._shell.perform(Relay(sender, signal.call_id, request.to_user_id, parcel))
        return hub_pb2.RelayResponse()

    async def InviteMore(
        self, request: hub_pb2.InviteMoreRequest, context: Context
    ) -> hub_pb2.InviteMoreResponse:
        """Asks more users in."""
        command = InviteMore(
            token=token(context),
            call_id=request.call_id,
            invite_id=secrets.token_hex(16),
            user_ids=tuple(request.user_ids),
            timeout=wire.seconds(request.timeout),
            request_id=request.request_id,
        )
        return hub_pb2.InviteMoreResponse(call=await self._perform(command))

    async def JoinCall(self, request: hub_pb2.JoinCallRequest, context: Context) -> hub_pb2.JoinCallResponse:
        """Enters by itself."""
        command = JoinCall(token(context), request.call_id, request.group_id)
        return hub_pb2.JoinCallResponse(call=await self._perform(command))

    async def AcknowledgeMissed(
        self, request: hub_pb2.AcknowledgeMissedRequest, context: Context
    ) -> hub_pb2.AcknowledgeMissedResponse:
        """Forgets missed calls."""
        await self._shell.perform(AcknowledgeMissed(token(context), tuple(request.invite_ids)))
        return hub_pb2.AcknowledgeMissedResponse()

    def _good(self) -> Callable[[], bool]:
        """Asked later, whether TURN credentials made now are good for long: by a clock that runs evenly, and
        by the machine's, which is set when NTP has found its server some time after a power cut.
        """
        if not self._settings.turn_secret:
            return lambda: True
        half = self._settings.turn_ttl / 2
        until, wall = self._shell.now() + half, self._wall() + half
        return lambda: self._shell.now() < until and self._wall() < wall

    async def _tail(self, reader: Reader, good: Callable[[], bool]) -> AsyncIterator[bytes]:
        while good():
            push = await reader.next(self._settings.heartbeat)
            if push is None:
                yield HEARTBEAT
                continue
            yield self._letters.write(push, self._shell.now())
            if isinstance(push.body, Kicked):
                return

    async def _perform(self, command: Input) -> hub_pb2.Call | None:
        call = await self._shell.perform(command)
        return wire.call(call, self._shell.now()) if isinstance(call, Call) else None


def _generation(request: hub_pb2.RelayRequest) -> Generation:
    signal = request.signal
    return signal.call_id, request.to_user_id, signal.attempt, signal.generation
