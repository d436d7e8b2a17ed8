"""An agent without hub and media: the contract's services over a real socket, for tests of clients.

It keeps just enough state to answer truthfully, and lets a test publish events, refuse requests and cut
streams.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
from mediaagent.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    call_pb2,
    call_pb2_grpc,
    event_pb2,
    event_pb2_grpc,
    fault_pb2_grpc,
    group_pb2_grpc,
    history_pb2_grpc,
    media_pb2,
    media_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    view_pb2,
    view_pb2_grpc,
)

from tests.fakes.agent_rooms import FakeGroups, FakeHistory, breakable
from tests.fakes.refusing import refuse

PNG = b"\x89PNG\r\n\x1a\nfake"


class FakeAgent(
    agent_pb2_grpc.AgentServiceServicer,
    call_pb2_grpc.CallServiceServicer,
    event_pb2_grpc.EventServiceServicer,
    media_pb2_grpc.MediaServiceServicer,
    session_pb2_grpc.SessionServiceServicer,
    view_pb2_grpc.ViewServiceServicer,
):
    """The whole contract; one event log with cursors "1", "2" ..."""

    def __init__(self) -> None:
        self.session = session_pb2.Session(state=session_pb2.SESSION_STATE_LOGGED_OUT, device_id="fake")
        self.current: call_pb2.Call | None = None
        self.media = media_pb2.LocalMedia(profile=media_pb2.VIDEO_PROFILE_720P, camera="synthetic")
        self._camera = asyncio.Event()
        self.views: dict[str, view_pb2.View] = {}
        self.requests: list[Any] = []
        self.history, self.groups = FakeHistory(self._record), FakeGroups(self._record)
        self.subscriptions: list[event_pb2.SubscribeRequest] = []
        self.watching = 0
        self.busy = False
        self.hang = False
        self.slow = False
        self.picture = b"jpeg"
        self.log: list[event_pb2.Event] = []
        self._heard: asyncio.Queue[Any] = asyncio.Queue()
        self._changed = asyncio.Condition()
        self._cut = 0
        self._cut_status = grpc.StatusCode.RESOURCE_EXHAUSTED
        self._server: grpc.aio.Server | None = None

    # --- the test's side ----------------------------------------------------------------------------

    async def start(self, path: str) -> None:
        """Serves on a unix socket."""
        self._server = grpc.aio.server()
        for module, name in (
            (agent_pb2_grpc, "Agent"),
            (call_pb2_grpc, "Call"),
            (event_pb2_grpc, "Event"),
            (media_pb2_grpc, "Media"),
            (session_pb2_grpc, "Session"),
            (view_pb2_grpc, "View"),
        ):
            getattr(module, f"add_{name}ServiceServicer_to_server")(self, self._server)
        history_pb2_grpc.add_HistoryServiceServicer_to_server(self.history, self._server)
        group_pb2_grpc.add_GroupServiceServicer_to_server(self.groups, self._server)
        fault_pb2_grpc.add_FaultServiceServicer_to_server(breakable(), self._server)
        self._server.add_insecure_port(f"unix:{path}")
        await self._server.start()

    async def stop(self) -> None:
        """Ends every stream at once."""
        if self._server is not None:
            await self._server.stop(None)

    async def publish(self, kind: int, **body: Any) -> event_pb2.Event:
        """Appends an event to the log."""
        event = event_pb2.Event(type=kind, cursor=str(len(self.log) + 1), **body)  # type: ignore[arg-type]
        async with self._changed:
            self.log.append(event)
            self._changed.notify_all()
        return event

    def _record(self, request: Any) -> None:
        self.requests.append(request)
        self._heard.put_nowait(request)

    async def heard(self, kind: type[Any]) -> Any:
        """Waits for a request of that kind."""
        async with asyncio.timeout(15):
            while not isinstance(request := await self._heard.get(), kind):
                pass
        return request

    async def cut(self, status: grpc.StatusCode = grpc.StatusCode.RESOURCE_EXHAUSTED) -> None:
        """Breaks every event stream, as a subscriber that reads too slowly is cut off."""
        async with self._changed:
            self._cut += 1
            self._cut_status = status
            self._changed.notify_all()

    # --- events -------------------------------------------------------------------------------------

    async def Subscribe(
        self, request: event_pb2.SubscribeRequest, context: Any
    ) -> AsyncIterator[event_pb2.SubscribeResponse]:
        self.subscriptions.append(request)
        self._heard.put_nowait(request)
        seen, cut = self._begin(request), self._cut
        if request.cursor and int(request.cursor) == seen:
            yield event_pb2.SubscribeResponse(resumed=event_pb2.Resumed(cursor=request.cursor))
        else:
            yield event_pb2.SubscribeResponse(snapshot=self._snapshot())
        while True:
            async with self._changed:
                while len(self.log) <= seen and self._cut == cut:
                    await self._changed.wait()
            if self._cut > cut:
                await refuse(context, self._cut_status, "SUBSCRIBER_TOO_SLOW", "read faster")
            event = self.log[seen]
            seen += 1
            if not request.types or event.type in request.types:
                yield event_pb2.SubscribeResponse(event=event)
            else:
                yield event_pb2.SubscribeResponse(heartbeat=event_pb2.Heartbeat(cursor=event.cursor))

    def _begin(self, request: event_pb2.SubscribeRequest) -> int:
        """Where the log goes on; a cursor beyond it is of another life."""
        number = int(request.cursor or len(self.log))
        return number if number <= len(self.log) else len(self.log)

    def _snapshot(self) -> event_pb2.Snapshot:
        return event_pb2.Snapshot(
            cursor=str(len(self.log)), session=self.session, call=self.current, media=self.media
        )

    # --- session ------------------------------------------------------------------------------------

    async def Login(self, request: session_pb2.LoginRequest, context: Any) -> session_pb2.LoginResponse:
        self._record(request)
        if request.user_sig == "expired":
            await refuse(
                context, grpc.StatusCode.UNAUTHENTICATED, "USER_SIG_EXPIRED", "it has expired", code="70001"
            )
        self.session.user_id = request.user_id
        self.session.state = session_pb2.SESSION_STATE_ONLINE
        return session_pb2.LoginResponse(session=self.session)

    async def Logout(self, request: session_pb2.LogoutRequest, context: Any) -> session_pb2.LogoutResponse:
        self.session.user_id = ""
        self.session.state = session_pb2.SESSION_STATE_LOGGED_OUT
        return session_pb2.LogoutResponse(session=self.session)

    async def GetSession(
        self, request: session_pb2.GetSessionRequest, context: Any
    ) -> session_pb2.GetSessionResponse:
        return session_pb2.GetSessionResponse(session=self.session)

    # --- calls --------------------------------------------------------------------------------------

    async def Call(self, request: call_pb2.CallRequest, context: Any) -> call_pb2.CallResponse:
        self._record(request)
        if self.hang:
            await asyncio.Event().wait()
        if request.user_id == "nobody":
            await refuse(context, grpc.StatusCode.NOT_FOUND, "USER_UNKNOWN", "nobody has never logged in")
        self.current = call_pb2.Call(
            call_id="c1", invite_id="i1", room_id=7, type=request.type, state=call_pb2.CALL_STATE_DIALLING
        )
        self.current.invitees.add(user_id=request.user_id, state=call_pb2.INVITEE_STATE_PENDING)
        if self.busy:
            await self.publish(
                event_pb2.EVENT_TYPE_LINE_BUSY, line_busy={"user_id": request.user_id, "call": self.current}
            )
            await self.end(call_pb2.END_REASON_BUSY)
            return call_pb2.CallResponse(call=self.log[-1].call_ended.call)
        if self.slow:
            await asyncio.Event().wait()
        return call_pb2.CallResponse(call=self.current)

    async def end(self, reason: Any) -> None:
        """Ends the call and publishes it."""
        assert self.current is not None
        self.current.state = call_pb2.CALL_STATE_ENDED
        self.current.end_reason = reason
        ended, self.current = self.current, None
        await self.publish(event_pb2.EVENT_TYPE_CALL_END, call_ended={"call": ended})

    async def GroupCall(self, request: call_pb2.GroupCallRequest, context: Any) -> call_pb2.GroupCallResponse:
        self._record(request)
        self.current = call_pb2.Call(call_id="c2", invite_id="i2", state=call_pb2.CALL_STATE_DIALLING)
        return call_pb2.GroupCallResponse(call=self.current)

    async def InviteUsers(self, request: Any, context: Any) -> call_pb2.InviteUsersResponse:
        self._record(request)
        if self.current is None:
            await refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "NO_CALL", "there is no call")
        assert self.current is not None
        for user_id in request.user_ids:
            self.current.invitees.add(user_id=user_id, state=call_pb2.INVITEE_STATE_PENDING)
        return call_pb2.InviteUsersResponse(call=self.current)

    async def JoinGroupCall(self, request: Any, context: Any) -> call_pb2.JoinGroupCallResponse:
        self._record(request)
        self.current = call_pb2.Call(
            call_id=request.call_id or "c3", group_id=request.group_id, state=call_pb2.CALL_STATE_CONNECTING
        )
        return call_pb2.JoinGroupCallResponse(call=self.current)

    async def Accept(self, request: call_pb2.AcceptRequest, context: Any) -> call_pb2.AcceptResponse:
        self._record(request)
        if self.current is None or self.current.invite_id != request.invite_id:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "INVITE_UNKNOWN", "that invitation is over")
        assert self.current is not None
        self.current.state = call_pb2.CALL_STATE_CONNECTING
        return call_pb2.AcceptResponse(call=self.current)

    async def Reject(self, request: call_pb2.RejectRequest, context: Any) -> call_pb2.RejectResponse:
        self._record(request)
        return call_pb2.RejectResponse(call=call_pb2.Call(state=call_pb2.CALL_STATE_ENDED))

    async def Hangup(self, request: call_pb2.HangupRequest, context: Any) -> call_pb2.HangupResponse:
        if self.current is None:
            return call_pb2.HangupResponse()
        await self.end(call_pb2.END_REASON_HANGUP)
        return call_pb2.HangupResponse(call=self.log[-1].call_ended.call)

    async def SwitchToAudioCall(self, request: Any, context: Any) -> call_pb2.SwitchToAudioCallResponse:
        if self.current is None:
            status = grpc.StatusCode.FAILED_PRECONDITION
            await refuse(context, status, "SWITCH_NOT_ALLOWED", "there is no call", code="60001")
        return call_pb2.SwitchToAudioCallResponse(call=call_pb2.Call(type=call_pb2.CALL_TYPE_AUDIO))

    async def SwitchToVideoCall(self, request: Any, context: Any) -> call_pb2.SwitchToVideoCallResponse:
        return call_pb2.SwitchToVideoCallResponse(call=call_pb2.Call(type=call_pb2.CALL_TYPE_VIDEO))

    async def GetCall(self, request: call_pb2.GetCallRequest, context: Any) -> call_pb2.GetCallResponse:
        return call_pb2.GetCallResponse(call=self.current)

    # --- camera and microphone ----------------------------------------------------------------------

    async def OpenCamera(self, request: Any, context: Any) -> media_pb2.OpenCameraResponse:
        self.media.is_camera_open = True
        self._camera.set()
        return media_pb2.OpenCameraResponse(media=self.media)

    async def CloseCamera(self, request: Any, context: Any) -> media_pb2.CloseCameraResponse:
        self.media.is_camera_open = False
        self._camera.clear()
        return media_pb2.CloseCameraResponse(media=self.media)

    async def SetMicMute(self, request: Any, context: Any) -> media_pb2.SetMicMuteResponse:
        self.media.is_mic_muted = request.is_mute
        return media_pb2.SetMicMuteResponse(media=self.media)

    async def SetVideoQuality(self, request: Any, context: Any) -> media_pb2.SetVideoQualityResponse:
        self.media.profile = request.profile
        return media_pb2.SetVideoQualityResponse(media=self.media, effect=media_pb2.QUALITY_EFFECT_NOW)

    async def GetLocalMedia(self, request: Any, context: Any) -> media_pb2.GetLocalMediaResponse:
        return media_pb2.GetLocalMediaResponse(media=self.media)

    # --- views --------------------------------------------------------------------------------------

    async def StartRemoteView(self, request: Any, context: Any) -> view_pb2.StartRemoteViewResponse:
        self._record(request)
        view = view_pb2.View(view_id=request.view_id, user_id=request.user_id, frames=request.frames)
        self.views[request.view_id] = view
        if self.slow:
            await asyncio.Event().wait()
        return view_pb2.StartRemoteViewResponse(view=view)

    async def StopRemoteView(self, request: Any, context: Any) -> view_pb2.StopRemoteViewResponse:
        self._record(request)
        self.views.pop(request.view_id, None)
        return view_pb2.StopRemoteViewResponse()

    async def StartLocalView(self, request: Any, context: Any) -> view_pb2.StartLocalViewResponse:
        view = view_pb2.View(view_id=request.view_id, frames=request.frames)
        self.views[request.view_id] = view
        return view_pb2.StartLocalViewResponse(view=view)

    async def StopLocalView(self, request: Any, context: Any) -> view_pb2.StopLocalViewResponse:
        self.views.pop(request.view_id, None)
        return view_pb2.StopLocalViewResponse()

    async def ListViews(self, request: Any, context: Any) -> view_pb2.ListViewsResponse:
        return view_pb2.ListViewsResponse(views=self.views.values())

    async def WatchView(self, request: Any, context: Any) -> AsyncIterator[view_pb2.WatchViewResponse]:
        if request.view_id not in self.views:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "VIEW_UNKNOWN", "no view of that name")
        view = self.views[request.view_id]
        self._record(request)
        self.watching += 1
        try:
            for sequence in range(1, 1_000_000):
                if not view.user_id:
                    await self._camera.wait()
                yield view_pb2.WatchViewResponse(data=self.picture, width=64, height=48, sequence=sequence)
                await asyncio.sleep(0.01)  # the pace of the pictures
        finally:
            self.watching -= 1

    async def TakeSnapshot(self, request: Any, context: Any) -> view_pb2.TakeSnapshotResponse:
        self._record(request)
        return view_pb2.TakeSnapshotResponse(image=PNG, media_type="image/png", width=64, height=48)

    # --- figures ------------------------------------------------------------------------------------

    async def GetStatus(self, request: Any, context: Any) -> agent_pb2.GetStatusResponse:
        return agent_pb2.GetStatusResponse(
            version="fake", session=self.session, call=self.current, media=self.media, hub="unix:/hub"
        )

    async def NotifyNetworkChanged(
        self, request: Any, context: Any
    ) -> agent_pb2.NotifyNetworkChangedResponse:
        self._record(request)
        return agent_pb2.NotifyNetworkChangedResponse(connections=2)

    async def GetStats(self, request: Any, context: Any) -> agent_pb2.GetStatsResponse:
        reply = agent_pb2.GetStatsResponse()
        reply.peers.add(user_id="bob", frames_decoded=3)
        return reply
