"""ViewService: named places where video is shown. The contract is in view.proto."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from mediaagent.v1 import view_pb2 as pb
from mediaagent.v1.view_pb2_grpc import ViewServiceServicer

from mediaagentd.api import clock, convert
from mediaagentd.api.house import Context, House
from mediaagentd.media.views.types import DEFAULT_JPEG_QUALITY, LOCAL, View

SNAPSHOT_TIMEOUT = 5.0
"""Seconds that a snapshot waits for a picture when the request does not say."""


class ViewService(ViewServiceServicer):
    """Views and snapshots."""

    def __init__(self, house: House) -> None:
        self._engine = house.engine

    async def StartRemoteView(
        self, request: pb.StartRemoteViewRequest, _context: Context
    ) -> pb.StartRemoteViewResponse:
        """Shows a remote user."""
        view = View(request.view_id, request.user_id, convert.view_kind(request))
        answer = await self._engine.start_view(view)
        return pb.StartRemoteViewResponse(view=convert.view(view), answer_sdp=answer)

    async def StopRemoteView(
        self, request: pb.StopRemoteViewRequest, _context: Context
    ) -> pb.StopRemoteViewResponse:
        """Removes that view."""
        self._engine.stop_view(request.view_id, request.user_id or None)
        return pb.StopRemoteViewResponse()

    async def StartLocalView(
        self, request: pb.StartLocalViewRequest, _context: Context
    ) -> pb.StartLocalViewResponse:
        """Shows the local camera."""
        view = View(request.view_id, LOCAL, convert.view_kind(request))
        answer = await self._engine.start_view(view)
        return pb.StartLocalViewResponse(view=convert.view(view), answer_sdp=answer)

    async def StopLocalView(
        self, request: pb.StopLocalViewRequest, _context: Context
    ) -> pb.StopLocalViewResponse:
        """Removes that view."""
        self._engine.stop_view(request.view_id, LOCAL)
        return pb.StopLocalViewResponse()

    async def ListViews(self, _request: pb.ListViewsRequest, _context: Context) -> pb.ListViewsResponse:
        """The present views."""
        return pb.ListViewsResponse(views=convert.views(self._engine.views()))

    async def WatchView(
        self, request: pb.WatchViewRequest, _context: Context
    ) -> AsyncIterator[pb.WatchViewResponse]:
        """Streams the pictures; the client's going releases the view's place at once."""
        pictures = self._engine.watch(request.view_id)
        try:
            async for picture in pictures:
                yield convert.picture(picture)
        finally:
            if isinstance(pictures, AsyncGenerator):
                await pictures.aclose()

    async def TakeSnapshot(
        self, request: pb.TakeSnapshotRequest, _context: Context
    ) -> pb.TakeSnapshotResponse:
        """One picture as a file."""
        jpeg = request.jpeg_quality or DEFAULT_JPEG_QUALITY
        snapshot = await self._engine.snapshot(
            request.user_id,
            jpeg if request.format == pb.IMAGE_FORMAT_JPEG else None,
            clock.seconds(request.timeout) if request.HasField("timeout") else SNAPSHOT_TIMEOUT,
        )
        return pb.TakeSnapshotResponse(
            image=snapshot.image,
            media_type=snapshot.media_type,
            width=snapshot.size.width,
            height=snapshot.size.height,
            capture_time=convert.epoch(snapshot.captured),
        )
