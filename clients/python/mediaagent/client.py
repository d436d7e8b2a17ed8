"""The asyncio client of one agent: the call API's words in Python spelling."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Any, Self

import grpc

from mediaagent import address
from mediaagent.asking import Reply, Request, duration, several
from mediaagent.errors import translated
from mediaagent.faults import Faults
from mediaagent.groups import Groups
from mediaagent.handlers import Callback, Handlers
from mediaagent.history import History
from mediaagent.places import ViewKind, set_kind
from mediaagent.subscription import Connection, Subscription
from mediaagent.v1 import (
    agent_pb2,
    agent_pb2_grpc,
    call_pb2,
    call_pb2_grpc,
    event_pb2_grpc,
    media_pb2,
    media_pb2_grpc,
    session_pb2,
    session_pb2_grpc,
    view_pb2,
    view_pb2_grpc,
)
from mediaagent.words import CallType, Event, ImageFormat, VideoProfile

DEFAULT_TIMEOUT = 15.0
"""Seconds that a call of the agent may take: more than the agent's own wait of 10 s for the hub."""

_OPTIONS = (
    # An I420 picture of 4K is 12 MB; the library's own limit is 4 MiB.
    ("grpc.max_receive_message_length", 64 << 20),
    # The library's 1 s to 120 s between attempts is made for the Internet, not for a socket beside us.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2000),
)


class Agent:
    """One agent, spoken to over its unix socket (or any gRPC target).

    Every method raises `AgentError` when the agent refuses, which changes nothing, and
    `AgentUnavailable` when no agent answers. Close it, or use it as a context manager.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        on_connection: Callable[[Connection], None] | None = None,
    ) -> None:
        self.target = address.resolve(target)
        self._timeout = timeout
        self._on_connection = on_connection
        self._channel = grpc.aio.insecure_channel(self.target, options=_OPTIONS)
        self._agent: agent_pb2_grpc.AgentServiceAsyncStub = agent_pb2_grpc.AgentServiceStub(self._channel)
        self._calls: call_pb2_grpc.CallServiceAsyncStub = call_pb2_grpc.CallServiceStub(self._channel)
        self._media: media_pb2_grpc.MediaServiceAsyncStub = media_pb2_grpc.MediaServiceStub(self._channel)
        self._session: session_pb2_grpc.SessionServiceAsyncStub = session_pb2_grpc.SessionServiceStub(
            self._channel
        )
        self._views: view_pb2_grpc.ViewServiceAsyncStub = view_pb2_grpc.ViewServiceStub(self._channel)
        self._events: event_pb2_grpc.EventServiceAsyncStub = event_pb2_grpc.EventServiceStub(self._channel)
        self.faults = Faults(self._channel, self._ask)
        self.groups = Groups(self._channel, self._ask)
        self.history = History(self._channel, self._ask)
        self._subscriptions: set[Subscription] = set()
        self._handlers = Handlers(lambda: self._subscribe(wait_for_agent=True, on_connection=on_connection))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends every stream of this client; the agent and its call go on. May be awaited in a callback."""
        async with contextlib.AsyncExitStack() as stack:
            # In reverse, and each also when one before it was cancelled.
            stack.push_async_callback(self._channel.close)
            for subscription in tuple(self._subscriptions):
                stack.push_async_callback(subscription.aclose)
            stack.push_async_callback(self._handlers.close)

    # --- events -----------------------------------------------------------------------------------

    def on(self, event: Event | str, callback: Callback) -> None:
        """Calls back with the payload of every such event; "INVITED" and "onInvited" are the same.

        A call that rings already when the first callback is added is INVITED, too. After a gap (the agent was
        restarted) SESSION_CHANGED, LOCAL_MEDIA_CHANGED and CALL_CHANGED tell how everything is, CALL_CHANGED
        and CALL_END without an `end_reason` that the call is no more. One that raises is logged.
        """
        self._handlers.on(Event.of(event), callback)

    def off(self, event: Event | str, callback: Callback) -> None:
        """Stops calling back; an unknown function is none of our business."""
        self._handlers.off(Event.of(event), callback)

    def once(self, event: Event | str, where: Callable[[Any], bool] = lambda _: True) -> asyncio.Future[Any]:
        """The payload of the next such event, as a future that listens from now on: take it before the
        command that causes the event, await it afterwards.
        """
        return self._handlers.once(Event.of(event), where)

    def events(
        self,
        types: Iterable[Event | str] = (),
        cursor: str = "",
        *,
        wait_for_agent: bool = False,
        patience: float = math.inf,
    ) -> Subscription:
        """Snapshot, then events without gaps; reconnects by itself. `cursor` resumes after a message;
        `patience`: seconds without an agent after which the reader gets AgentUnavailable.
        """
        wanted = [Event.of(name) for name in types]
        return self._subscribe(wanted, cursor, wait_for_agent=wait_for_agent, patience=patience)

    def _subscribe(
        self,
        types: Iterable[Event] = (),
        cursor: str = "",
        *,
        wait_for_agent: bool = False,
        patience: float = math.inf,
        on_connection: Callable[[Connection], None] | None = None,
    ) -> Subscription:
        """A subscription that ends with this client at the latest."""

        def changed(connection: Connection) -> None:
            if connection is Connection.CLOSED:
                self._subscriptions.discard(subscription)
            if on_connection is not None:
                on_connection(connection)

        subscription = Subscription(
            self._events,
            tuple(types),
            cursor,
            target=self.target,
            wait_for_agent=wait_for_agent,
            patience=patience,
            on_connection=changed,
        )
        self._subscriptions.add(subscription)
        return subscription

    # --- session ----------------------------------------------------------------------------------

    async def login(self, user_id: str, user_sig: str) -> session_pb2.Session:
        """Logs the user in at the hub."""
        request = session_pb2.LoginRequest(user_id=user_id, user_sig=user_sig)
        return (await self._ask(self._session.Login, request)).session

    async def logout(self) -> session_pb2.Session:
        """Leaves the hub; hangs up first."""
        return (await self._ask(self._session.Logout, session_pb2.LogoutRequest())).session

    async def session(self) -> session_pb2.Session:
        """The present session."""
        return (await self._ask(self._session.GetSession, session_pb2.GetSessionRequest())).session

    # --- calls ------------------------------------------------------------------------------------

    async def call(
        self,
        user_id: str,
        type: CallType | str = CallType.VIDEO,  # noqa: A002 - the source's word
        timeout: float = 0,
        *,
        request_id: str = "",
        user_data: bytes = b"",
    ) -> call_pb2.Call:
        """Invites one user; `timeout` in seconds of ringing, 0 for none. What becomes of it: events."""
        request = call_pb2.CallRequest(
            user_id=user_id,
            type=CallType.of(type).proto,
            timeout=duration(timeout),
            # Without one a retry by the transport could make a second call.
            request_id=request_id or uuid.uuid4().hex,
            user_data=user_data,
        )
        return (await self._ask(self._calls.Call, request)).call

    async def group_call(
        self,
        user_ids: Iterable[str] = (),
        type: CallType | str = CallType.VIDEO,  # noqa: A002 - the source's word
        group_id: str = "",
        timeout: float = 0,
        *,
        request_id: str = "",
        user_data: bytes = b"",
    ) -> call_pb2.Call:
        """Invites several users, through the group's channel when `group_id` is given: nobody named is
        everyone in it.
        """
        request = call_pb2.GroupCallRequest(
            user_ids=several(user_ids),
            type=CallType.of(type).proto,
            group_id=group_id,
            timeout=duration(timeout),
            request_id=request_id or uuid.uuid4().hex,
            user_data=user_data,
        )
        return (await self._ask(self._calls.GroupCall, request)).call

    async def invite_users(
        self, user_ids: Iterable[str], timeout: float = 0, *, request_id: str = ""
    ) -> call_pb2.Call:
        """Invites more users into the call that this agent is in."""
        request = call_pb2.InviteUsersRequest(
            user_ids=several(user_ids), timeout=duration(timeout), request_id=request_id or uuid.uuid4().hex
        )
        return (await self._ask(self._calls.InviteUsers, request)).call

    async def join_group_call(self, *, call_id: str = "", group_id: str = "") -> call_pb2.Call:
        """Enters a running group call: the one of that id, or the one of that group."""
        if bool(call_id) == bool(group_id):
            raise ValueError("call_id or group_id: one of them names the call")
        which = {"call_id": call_id} if call_id else {"group_id": group_id}
        request = call_pb2.JoinGroupCallRequest(**which)
        return (await self._ask(self._calls.JoinGroupCall, request)).call

    async def accept(
        self,
        invite_id: str,
        room_id: int = 0,
        call_type: CallType | str | None = None,
    ) -> call_pb2.Call:
        """Accepts the invitation that rings; room and type may be left to the agent."""
        kind = CallType.or_unsaid(call_type)
        request = call_pb2.AcceptRequest(invite_id=invite_id, room_id=room_id, call_type=kind)
        return (await self._ask(self._calls.Accept, request)).call

    async def reject(
        self, invite_id: str, is_busy: bool = False, call_type: CallType | str | None = None
    ) -> call_pb2.Call:
        """Rejects the invitation that rings; `is_busy` reaches the inviter as LINE_BUSY."""
        request = call_pb2.RejectRequest(
            invite_id=invite_id, is_busy=is_busy, call_type=CallType.or_unsaid(call_type)
        )
        return (await self._ask(self._calls.Reject, request)).call

    async def hangup(self) -> call_pb2.Call | None:
        """Ends or cancels the call; the call that ended, None when there was none."""
        reply = await self._ask(self._calls.Hangup, call_pb2.HangupRequest())
        return reply.call if reply.HasField("call") else None

    async def switch_to_audio_call(self) -> call_pb2.Call:
        """Makes the 1:1 video call an audio call."""
        request = call_pb2.SwitchToAudioCallRequest()
        return (await self._ask(self._calls.SwitchToAudioCall, request)).call

    async def switch_to_video_call(self) -> call_pb2.Call:
        """Makes the 1:1 audio call a video call."""
        request = call_pb2.SwitchToVideoCallRequest()
        return (await self._ask(self._calls.SwitchToVideoCall, request)).call

    async def current_call(self) -> call_pb2.Call | None:
        """The present call, None when there is none."""
        reply = await self._ask(self._calls.GetCall, call_pb2.GetCallRequest())
        return reply.call if reply.HasField("call") else None

    # --- camera and microphone --------------------------------------------------------------------

    async def open_camera(self) -> media_pb2.LocalMedia:
        """Turns the camera on."""
        return (await self._ask(self._media.OpenCamera, media_pb2.OpenCameraRequest())).media

    async def close_camera(self) -> media_pb2.LocalMedia:
        """Turns the camera off."""
        return (await self._ask(self._media.CloseCamera, media_pb2.CloseCameraRequest())).media

    async def set_mic_mute(self, is_mute: bool) -> media_pb2.LocalMedia:
        """Turns the microphone off (True) or on (False)."""
        return (await self._ask(self._media.SetMicMute, media_pb2.SetMicMuteRequest(is_mute=is_mute))).media

    async def set_video_quality(self, profile: VideoProfile | str) -> media_pb2.SetVideoQualityResponse:
        """Chooses "480p", "720p" or "1080p"; the reply's `effect` says whether now or for the next call."""
        request = media_pb2.SetVideoQualityRequest(profile=VideoProfile(profile).proto)
        return await self._ask(self._media.SetVideoQuality, request)

    async def local_media(self) -> media_pb2.LocalMedia:
        """Camera, microphone and quality as they are."""
        return (await self._ask(self._media.GetLocalMedia, media_pb2.GetLocalMediaRequest())).media

    # --- views ------------------------------------------------------------------------------------

    async def start_remote_view(
        self, user_id: str, view_id: str, kind: ViewKind | None = None
    ) -> view_pb2.StartRemoteViewResponse:
        """Shows a remote user's video in a place; JPEG frames for the client unless `kind` says else."""
        request = view_pb2.StartRemoteViewRequest(user_id=user_id, view_id=view_id)
        set_kind(request, kind)
        return await self._ask(self._views.StartRemoteView, request)

    async def stop_remote_view(self, view_id: str, user_id: str = "") -> None:
        """Removes it."""
        request = view_pb2.StopRemoteViewRequest(view_id=view_id, user_id=user_id)
        await self._ask(self._views.StopRemoteView, request)

    async def start_local_view(
        self, view_id: str, kind: ViewKind | None = None
    ) -> view_pb2.StartLocalViewResponse:
        """Shows the local camera in a place, as `start_remote_view` does."""
        request = view_pb2.StartLocalViewRequest(view_id=view_id)
        set_kind(request, kind)
        return await self._ask(self._views.StartLocalView, request)

    async def stop_local_view(self, view_id: str) -> None:
        """Removes it."""
        await self._ask(self._views.StopLocalView, view_pb2.StopLocalViewRequest(view_id=view_id))

    async def views(self) -> list[view_pb2.View]:
        """The present views, oldest first."""
        return list((await self._ask(self._views.ListViews, view_pb2.ListViewsRequest())).views)

    async def watch_view(self, view_id: str) -> AsyncGenerator[view_pb2.WatchViewResponse, None]:
        """The pictures of a `frames` view until the view ends; a slow reader loses pictures."""
        call = self._views.WatchView(view_pb2.WatchViewRequest(view_id=view_id))
        try:
            while True:
                # Not around the yield: what the reader raises is the reader's.
                with translated(self.target):
                    picture = await call.read()
                if not isinstance(picture, view_pb2.WatchViewResponse):
                    return
                yield picture
        finally:
            # An abandoned call is never collected, and the agent would go on decoding for it.
            call.cancel()

    async def take_snapshot(
        self,
        user_id: str = "",
        format: ImageFormat | str = ImageFormat.PNG,  # noqa: A002 - the contract's word
        *,
        jpeg_quality: int = 0,
        timeout: float = 5.0,
    ) -> view_pb2.TakeSnapshotResponse:
        """One picture of a remote user, or of the local camera for "". Waits `timeout` seconds for it."""
        request = view_pb2.TakeSnapshotRequest(
            user_id=user_id,
            format=ImageFormat(format).proto,
            jpeg_quality=jpeg_quality,
            timeout=duration(timeout),
        )
        # The agent keeps the deadline and says so; ours only catches an agent that hangs.
        return await self._ask(self._views.TakeSnapshot, request, timeout + self._timeout)

    # --- figures ----------------------------------------------------------------------------------

    async def status(self) -> agent_pb2.GetStatusResponse:
        """Everything at a glance."""
        return await self._ask(self._agent.GetStatus, agent_pb2.GetStatusRequest())

    async def stats(self) -> agent_pb2.GetStatsResponse:
        """Totals of the present call, per remote user."""
        return await self._ask(self._agent.GetStats, agent_pb2.GetStatsRequest())

    async def notify_network_changed(self) -> int:
        """Tells the agent that its network has changed; returns how many connections it makes anew."""
        request = agent_pb2.NotifyNetworkChangedRequest()
        return (await self._ask(self._agent.NotifyNetworkChanged, request)).connections

    # --- asking -----------------------------------------------------------------------------------

    async def _ask(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Reply],
        request: Request,
        timeout: float | None = None,
    ) -> Reply:
        """One unary RPC under a deadline, its failure as `AgentError`."""
        until = asyncio.get_running_loop().time() + (self._timeout if timeout is None else timeout)
        with contextlib.suppress(TimeoutError):
            # Callbacks first: what this command causes must find their stream standing.
            async with asyncio.timeout_at(until):
                await self._handlers.ready()
        call = method(request, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        try:
            with translated(self.target):
                return await call
        finally:
            call.cancel()
