"""Devices, peers and views without any: records what is asked and reports what the test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from mediaagentd.call.types import CameraFailed, CameraOpened, PeerUp, Report
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.settings import LocalMedia, PeerFigures
from mediaagentd.media.types import PeerStats, Size, StreamStats, VideoProfile
from mediaagentd.media.views.types import Picture, Snapshot, View, WebrtcView


class FakeMedia:
    """The `Media` port of `calls.py` and the `Engine` of `api/`.

    Reports at once when `prompt`, else when the test says so."""

    def __init__(self) -> None:
        self.report: Callable[[Report], None] = lambda report: None
        self.peers: set[tuple[str, str, int]] = set()
        self.camera_error: Refused | None = None
        self.camera_open = False
        self.sending = (False, False)
        self.in_call: list[bool] = []
        self.prompt = True
        self.profile = self.active = VideoProfile.P720
        self.camera = "synthetic"
        self.shown: dict[str, View] = {}
        self.pictures: list[Picture] = []
        self.watchers = 0
        self.there = asyncio.Event()
        self.there.set()

    async def opened(self) -> None:
        await self.there.wait()

    def open_peer(self, call_id: str, user_id: str, attempt: int, offers: bool) -> None:
        assert (call_id, user_id, attempt) not in self.peers
        self.peers.add((call_id, user_id, attempt))
        if self.prompt:
            self.report(PeerUp(call_id, user_id, attempt))

    def close_peer(self, call_id: str, user_id: str, attempt: int) -> None:
        self.peers.remove((call_id, user_id, attempt))

    def probe_camera(self, op: int) -> None:
        if self.camera_error is not None:
            self.report(CameraFailed(op, self.camera_error))
            return
        self.camera_open = True
        self.report(CameraOpened(op))

    def release_camera(self) -> None:
        self.camera_open = False

    def set_sending(self, audio: bool, video: bool) -> None:
        self.sending = (audio, video)

    def network_changed(self, addresses: frozenset[str] | None, came: frozenset[str] = frozenset()) -> int:
        return len(self.peers)

    def set_in_call(self, in_call: bool) -> None:
        self.in_call.append(in_call)
        self.active = self.active if in_call else self.profile

    def set_profile(self, profile: VideoProfile) -> bool:
        self.profile = profile
        if now := not (self.in_call and self.in_call[-1]):
            self.active = profile
        return now

    async def start_view(self, view: View) -> str:
        if view.user_id and view.user_id not in {user for _, user, _ in self.peers}:
            raise Refused(Reason.USER_NOT_IN_CALL, f"{view.user_id} is not in a call with this agent")
        if self.shown.setdefault(view.view_id, view) != view:
            raise Refused(Reason.VIEW_EXISTS, f"view_id: {view.view_id} shows something else")
        return "answer" if isinstance(view.kind, WebrtcView) else ""

    def stop_view(self, view_id: str, user_id: str | None) -> None:
        view = self.shown.get(view_id)
        if view is None or user_id not in (None, view.user_id):
            raise Refused(Reason.VIEW_UNKNOWN, f"view_id: there is no view {view_id}")
        del self.shown[view_id]

    def views(self) -> tuple[View, ...]:
        return tuple(self.shown.values())

    async def watch(self, view_id: str) -> AsyncIterator[Picture]:
        if view_id not in self.shown:
            raise Refused(Reason.VIEW_UNKNOWN, f"view_id: there is no view {view_id}")
        self.watchers += 1
        try:
            for picture in self.pictures:
                yield picture
            await asyncio.Event().wait()
        finally:
            self.watchers -= 1

    async def snapshot(self, user_id: str, jpeg_quality: int | None, timeout: float) -> Snapshot:
        if not self.camera_open:
            raise Refused(Reason.NO_VIDEO, "the camera is closed")
        media_type = "image/png" if jpeg_quality is None else "image/jpeg"
        return Snapshot(f"{user_id} {jpeg_quality} {timeout}".encode(), media_type, Size(640, 480), 1.5)

    def figures(self) -> tuple[PeerFigures, ...]:
        none = StreamStats()
        stats = PeerStats(none, none, none, none, None, None, 0.0)
        return tuple(PeerFigures(user, stats) for _, user, _ in sorted(self.peers))

    def local(self) -> LocalMedia:
        return LocalMedia(self.profile, self.active, self.camera, "synthetic", "null")
