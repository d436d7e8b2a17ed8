"""Media as the rest of the daemon sees it: there at once, while its libraries are still being loaded.

Loading FFmpeg, numpy and the WebRTC library takes longer than everything else of a start together, so the
daemon serves first. Until `opened`, only what a status needs is answered; whoever commands, waits for it
(`api/gate.py`).
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import Report
from mediaagentd.media.settings import LocalMedia, MediaSettings, PeerFigures, without_credentials
from mediaagentd.media.types import VideoProfile
from mediaagentd.media.views.types import Picture, Snapshot, View

if TYPE_CHECKING:
    from mediaagentd.media.engine import MediaEngine

_log = structlog.stdlib.get_logger()


class MediaDoor:
    """Loads a `MediaEngine` and passes everything on to it; see there."""

    def __init__(
        self,
        settings: MediaSettings,
        *,
        report: Callable[[Report], None],
        send_signal: Callable[[str, str, Signal], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._changed = changed
        self._report = report
        self._send_signal = send_signal
        self._engine: MediaEngine | None = None
        self._opening: asyncio.Task[None] | None = None
        self._done = asyncio.Event()
        self._waiting_servers: tuple[IceServer, ...] = ()

    def begin(self) -> None:
        """Starts to load; `opened` tells the outcome."""
        self._opening = asyncio.create_task(self._open(), name="load media")
        self._opening.add_done_callback(self._report_outcome)

    async def opened(self) -> None:
        """Waits until media works or has failed to."""
        await self._done.wait()

    @property
    def failed(self) -> bool:
        """Whether it never will."""
        return self._done.is_set() and self._engine is None

    async def stop(self) -> None:
        """Stops what runs."""
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._engine is not None:
            await self._engine.stop()

    async def _open(self) -> None:
        begun = time.monotonic()
        try:
            module = await asyncio.to_thread(importlib.import_module, "mediaagentd.media.engine")
            engine: MediaEngine = module.MediaEngine(
                self._settings, report=self._report, send_signal=self._send_signal, changed=self._changed
            )
            await engine.start()
            engine.set_ice_servers(self._waiting_servers)
            self._engine = engine
            self._changed()
            # Modules stay: a full collection that looks at them all stops everything for 50 ms.
            gc.freeze()
        finally:
            self._done.set()
        _log.debug("media_loaded", seconds=round(time.monotonic() - begun, 3))

    @staticmethod
    def _report_outcome(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("media_failed_to_load", error=repr(error))

    def _opened(self) -> MediaEngine:
        if self._engine is None:
            raise RuntimeError("media is not there")
        return self._engine

    # --- what is answered at once ---------------------------------------------------------------------

    def local(self) -> LocalMedia:
        """Profiles and devices; until `opened`, as they are configured."""
        if self._engine is not None:
            return self._engine.local()
        settings = self._settings
        camera = without_credentials(settings.camera)
        return LocalMedia(settings.profile, settings.profile, camera, settings.microphone, settings.speaker)

    def views(self) -> tuple[View, ...]:
        """The present views."""
        return self._engine.views() if self._engine is not None else ()

    def figures(self) -> tuple[PeerFigures, ...]:
        """Of each connection."""
        return self._engine.figures() if self._engine is not None else ()

    def set_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """Kept until `opened`."""
        self._waiting_servers = tuple(servers)
        if self._engine is not None:
            self._engine.set_ice_servers(servers)

    def network_changed(self, addresses: frozenset[str] | None, came: frozenset[str] = frozenset()) -> int:
        """See `MediaEngine`."""
        return self._engine.network_changed(addresses, came) if self._engine is not None else 0

    def signalling_back(self) -> None:
        """See `MediaEngine`."""
        if self._engine is not None:
            self._engine.signalling_back()

    # --- what is not ----------------------------------------------------------------------------------

    def open_peer(self, call_id: str, user_id: str, attempt: int, offers: bool) -> None:
        """See `MediaEngine`."""
        self._opened().open_peer(call_id, user_id, attempt, offers)

    def close_peer(self, call_id: str, user_id: str, attempt: int) -> None:
        """See `MediaEngine`."""
        self._opened().close_peer(call_id, user_id, attempt)

    def probe_camera(self, op: int) -> None:
        """See `MediaEngine`."""
        self._opened().probe_camera(op)

    def release_camera(self) -> None:
        """See `MediaEngine`."""
        self._opened().release_camera()

    def set_sending(self, audio: bool, video: bool) -> None:
        """See `MediaEngine`."""
        self._opened().set_sending(audio, video)

    def set_in_call(self, in_call: bool) -> None:
        """See `MediaEngine`."""
        self._opened().set_in_call(in_call)

    def receive_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        """See `MediaEngine`."""
        self._opened().receive_signal(call_id, sender, signal)

    def kill_peer(self, user_id: str) -> None:
        """See `MediaEngine`."""
        self._opened().kill_peer(user_id)

    def lose_camera(self, is_lost: Callable[[], bool]) -> None:
        """See `MediaEngine`."""
        self._opened().lose_camera(is_lost)

    def set_profile(self, profile: VideoProfile) -> bool:
        """See `MediaEngine`."""
        return self._opened().set_profile(profile)

    async def start_view(self, view: View) -> str:
        """See `MediaEngine`."""
        return await self._opened().start_view(view)

    def stop_view(self, view_id: str, user_id: str | None) -> None:
        """See `MediaEngine`."""
        self._opened().stop_view(view_id, user_id)

    def watch(self, view_id: str) -> AsyncIterator[Picture]:
        """See `MediaEngine`."""
        return self._opened().watch(view_id)

    async def snapshot(self, user_id: str, jpeg_quality: int | None, timeout: float) -> Snapshot:
        """See `MediaEngine`."""
        return await self._opened().snapshot(user_id, jpeg_quality, timeout)
