"""The one door to media: implements the `Media` port of `calls.py` and what `api/` needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import CameraFailed, CameraOpened, PeerDown, PeerUp, Report
from mediaagentd.errors import Reason, Refused
from mediaagentd.media import devices, router
from mediaagentd.media.figures import figures_of
from mediaagentd.media.link import EarlySignals, Link, LinkKey, MakePeer, PeerPort
from mediaagentd.media.local import LocalStreams
from mediaagentd.media.playout.playout import Playout, Slots
from mediaagentd.media.playout.sinks import make_sink
from mediaagentd.media.remote import RemoteVideo
from mediaagentd.media.rtc import ice
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.settings import LocalMedia, MediaSettings, PeerFigures
from mediaagentd.media.types import AudioFrame, VideoFrame, VideoProfile
from mediaagentd.media.views.gallery import Gallery
from mediaagentd.media.views.types import LOCAL, Picture, Snapshot, View
from mediaagentd.media.warmup import warm_up

_log = structlog.stdlib.get_logger()

STOP = 4.0
"""Seconds that `stop` may take."""

CODEC_THREADS = 2
PICTURE_THREADS = 1
"""Threads of encoders and decoders, and of JPEG, PNG and scaling: a snapshot must not delay a stream."""


class MediaEngine:
    """See `agent/DESIGN.md`. Made and used on one event loop; between `start` and `stop`.

    Muted means that no sound leaves: no packets at all. The far end's playout takes that for silence and not
    for loss. `make_peer` is for tests.
    """

    def __init__(
        self,
        settings: MediaSettings,
        *,
        report: Callable[[Report], None],
        send_signal: Callable[[str, str, Signal], None],
        make_peer: MakePeer | None = None,
    ) -> None:
        self._settings = settings
        self._report = report
        self._send_signal = send_signal
        self._make_peer = make_peer or self._real_peer
        self._ice_servers: tuple[IceServer, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._codecs = ThreadPoolExecutor(CODEC_THREADS, thread_name_prefix="codec")
        self._pictures = ThreadPoolExecutor(PICTURE_THREADS, thread_name_prefix="picture")
        self._local = LocalStreams(
            settings,
            self._codecs,
            on_video=self._on_local_video,
            on_audio=self._on_local_audio,
            camera_lost=self._on_camera_lost,
        )
        self._gallery = Gallery(
            self._pictures, self._loop, changed=self._reroute, keyframe=self._want_keyframe
        )
        self._speaker = settings.speaker
        self._playout: Playout | None = None
        self._heard: frozenset[str] = frozenset()
        self._links: dict[str, Link] = {}
        self._remotes: dict[str, RemoteVideo] = {}
        self._early = EarlySignals()
        self._tasks: set[asyncio.Task[None]] = set()
        self._profile = self._active = settings.profile
        self._camera_open = False
        self._camera_claims = 0
        self._sending = (False, False)
        self._in_call_since: float | None = None
        self._stopping = False

    async def start(self) -> None:
        """Finds the devices that `auto` stands for. No device is opened yet."""
        await self._local.resolve()
        name = self._settings.speaker
        self._speaker = await asyncio.to_thread(devices.resolve_speaker, name)
        self._playout = Playout(make_sink(self._speaker))
        camera, microphone = self._local.names
        _log.info("media_devices", camera=devices.shown(camera), microphone=microphone, speaker=self._speaker)
        if self._make_peer == self._real_peer:
            self._spawn(warm_up(self._codecs, self._settings.video_codecs, self._settings.profile, camera))

    async def stop(self) -> None:
        """Closes every connection and device, within `STOP` seconds."""
        self._stopping = True
        self._gallery.end_all()
        for user_id in list(self._links):
            self._drop(user_id)
        waits: list[Any] = [asyncio.wrap_future(self._local.close()), *self._tasks, self._gallery.complete()]
        if self._playout is not None:
            waits.append(asyncio.create_task(asyncio.to_thread(self._playout.close)))
        _, late = await asyncio.wait([asyncio.ensure_future(each) for each in waits], timeout=STOP)
        for task in late:
            task.cancel()
        if late:
            _log.warning("media_stop_overdue", left=len(late))
        self._codecs.shutdown(wait=False, cancel_futures=True)
        self._pictures.shutdown(wait=False, cancel_futures=True)

    # --- the port of calls.py -------------------------------------------------------------------------

    def open_peer(self, call_id: str, user_id: str, attempt: int, offers: bool) -> None:
        """Connects with that user; PeerUp or PeerDown follows. A connection of an older attempt goes."""
        key = LinkKey(call_id, user_id, attempt)
        present = self._links.get(user_id)
        if self._stopping or (present is not None and present.key == key):
            return
        self._drop(user_id)
        self._links[user_id] = Link(
            key, offers=offers, profile=self._active, owner=self, make_peer=self._make_peer, send=self._send
        )
        self._remotes[user_id] = RemoteVideo(self._links[user_id], self._codecs, self._loop)
        for body in self._early.take(key):
            self._links[user_id].receive(body)

    def close_peer(self, call_id: str, user_id: str, attempt: int) -> None:
        """Ends that connection; its views end unless another attempt begins at once."""
        link = self._links.get(user_id)
        if link is not None and link.key == LinkKey(call_id, user_id, attempt):
            self._drop(user_id)
            self._loop.call_soon(self._end_views_of_absent, user_id)

    def probe_camera(self, op: int) -> None:
        """Opens the camera; CameraOpened or CameraFailed follows. From then on pictures are captured
        whenever somebody wants them.
        """
        self._camera_claims += 1
        self._spawn(self._probe(op, self._camera_claims))

    def release_camera(self) -> None:
        """Closes it."""
        self._camera_claims += 1
        self._camera_open = False
        self._reroute()

    def set_sending(self, audio: bool, video: bool) -> None:
        """What may leave for the peers."""
        self._sending = (audio, video)
        self._reroute()

    def set_in_call(self, in_call: bool) -> None:
        """Freezes the active profile; at the end of a call the remote views end."""
        if in_call == (self._in_call_since is not None):
            return
        self._in_call_since = time.monotonic() if in_call else None
        if not in_call:
            for view in self._gallery.views():
                if view.user_id != LOCAL:
                    self._gallery.end_user(view.user_id)
        self._activate()

    # --- signalling -----------------------------------------------------------------------------------

    def receive_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        """A signal of the present attempt is processed, of an older one ignored, of a later one kept."""
        link = self._links.get(sender)
        if link is None or link.key.call_id != call_id or link.key.attempt < signal.attempt:
            self._early.keep(LinkKey(call_id, sender, signal.attempt), signal.body)
        elif link.key.attempt == signal.attempt:
            link.receive(signal.body)

    def set_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """For the connections that begin from now on."""
        self._ice_servers = tuple(servers)

    # --- for api --------------------------------------------------------------------------------------

    def set_profile(self, profile: VideoProfile) -> bool:
        """Chooses the quality: True when it is in effect now, False when the next call will have it."""
        self._profile = profile
        self._activate()
        return self._active is profile

    def start_view(self, view: View) -> None:
        """Raises: Refused USER_NOT_IN_CALL, VIEW_EXISTS, NOT_OFFERED."""
        if view.user_id != LOCAL and view.user_id not in self._links:
            raise _not_in_call(view.user_id)
        self._gallery.start(view)

    def stop_view(self, view_id: str, user_id: str | None) -> None:
        """Of that user (`LOCAL`: the camera), of whichever remote user when None.

        Raises: Refused VIEW_UNKNOWN.
        """
        self._gallery.stop(view_id, user_id)

    def views(self) -> tuple[View, ...]:
        """The present views, oldest first."""
        return self._gallery.views()

    def watch(self, view_id: str) -> AsyncIterator[Picture]:
        """The pictures of a frames view: an asynchronous generator, to be closed (`aclose`) by whoever
        leaves it early. Raises: Refused VIEW_UNKNOWN, at once.
        """
        return self._gallery.watch(view_id)

    async def snapshot(self, user_id: str, jpeg_quality: int | None, timeout: float) -> Snapshot:
        """The next picture as a file: PNG without a quality.

        Raises: Refused USER_NOT_IN_CALL; NO_VIDEO when the camera is closed, or the user has sent nothing
        within the time; TIMED_OUT.
        """
        link = self._links.get(user_id)
        if user_id == LOCAL and not self._camera_open:
            raise Refused(Reason.NO_VIDEO, "user_id: the local camera is closed")
        if user_id != LOCAL and link is None:
            raise _not_in_call(user_id)
        remote = self._remotes.get(user_id)
        before = remote.arrived if remote is not None else 0
        try:
            return await self._gallery.snapshot(user_id, jpeg_quality, timeout)
        except TimeoutError:
            if remote is not None and remote.arrived == before:
                raise Refused(Reason.NO_VIDEO, f"user_id: {user_id} sends no picture") from None
            raise Refused(Reason.TIMED_OUT, f"timeout: no picture within {timeout:g} s") from None

    def figures(self) -> tuple[PeerFigures, ...]:
        """Of each connection."""
        found = []
        for user_id, link in self._links.items():
            slots = self._playout.slots(user_id) if self._playout is not None else Slots()
            figures = figures_of(link, self._remotes[user_id], slots, self._in_call_since)
            if figures is not None:
                found.append(figures)
        return tuple(found)

    def local(self) -> LocalMedia:
        """Profiles and devices."""
        camera, microphone = self._local.names
        return LocalMedia(self._profile, self._active, devices.shown(camera), microphone, self._speaker)

    # --- links ----------------------------------------------------------------------------------------

    def on_up(self, link: Link) -> None:
        """See `LinkOwner`."""
        key = link.key
        self._reroute()
        self._report(PeerUp(key.call_id, key.user_id, key.attempt))

    def on_down(self, link: Link, reason: str) -> None:
        """See `LinkOwner`."""
        key = link.key
        _log.info("link_down", user_id=key.user_id, attempt=key.attempt, reason=reason)
        self._reroute()
        self._report(PeerDown(key.call_id, key.user_id, key.attempt, final=True))

    def on_video(self, link: Link, frame: VideoFrame) -> None:
        """See `LinkOwner`."""
        if self._settings.echo and frame.codec is link.video_codec:
            link.send_video(frame)
        self._remotes[link.user_id].push(frame)
        if not self._gallery.on_encoded(link.user_id, frame):
            link.request_keyframe()

    def on_audio(self, link: Link, frame: AudioFrame) -> None:
        """See `LinkOwner`."""
        if self._settings.echo:
            link.send_audio(frame)
        elif self._playout is not None:
            self._playout.push(link.user_id, frame)
        for recorder in self._gallery.recorders(link.user_id):
            recorder.audio(frame)

    def on_keyframe_request(self, link: Link) -> None:
        """See `LinkOwner`."""
        if self._settings.echo:
            link.request_keyframe()
        else:
            self._want_keyframe(LOCAL)

    def on_feedback(self, _link: Link) -> None:
        """See `LinkOwner`."""
        self._retune()

    # --- what runs ------------------------------------------------------------------------------------

    def _reroute(self) -> None:
        """Makes what runs follow what is wanted; cheap when nothing has changed."""
        if self._stopping:
            return
        gallery, links = self._gallery, self._links
        up = {user_id: link.video_codec for user_id, link in links.items() if link.is_up}
        shown = {user_id: gallery.sinks(user_id) for user_id in links}
        local_sinks = gallery.sinks(LOCAL)
        wants = router.Wants(
            camera_open=self._camera_open,
            sending_audio=self._sending[0],
            sending_video=self._sending[1],
            echo=self._settings.echo,
            peers=up,
            local_encoded=gallery.wants_encoded(LOCAL),
            local_decoded=bool(local_sinks),
            remote_decoded=frozenset(user_id for user_id, sinks in shown.items() if sinks),
        )
        plan = router.plan(wants, self._settings.video_codecs[0])
        self._local.apply(plan, local_sinks)
        for user_id, remote in self._remotes.items():
            remote.show(shown[user_id] if user_id in plan.decoders else ())
        self._hear(plan.heard)
        self._retune()

    def _hear(self, users: frozenset[str]) -> None:
        if self._playout is None:
            return
        for user_id in users - self._heard:
            self._playout.add(user_id)
        for user_id in self._heard - users:
            self._playout.remove(user_id)
        self._heard = users

    def _retune(self) -> None:
        """Sets each encoder to what its peers can take."""
        for codec in self._local.encoders:
            rates = [link.rate for link in self._links.values() if link.is_up and link.video_codec is codec]
            self._local.set_bitrate(codec, router.encoder_bitrate(rates, self._active))

    def _activate(self) -> None:
        """Outside of a call the chosen profile is the active one."""
        if self._in_call_since is None and self._active is not self._profile:
            self._active = self._profile
            self._local.set_profile(self._active)
            self._reroute()

    def _on_local_video(self, frame: VideoFrame) -> None:
        if self._sending[1]:
            for link in self._links.values():
                if link.video_codec is frame.codec:
                    link.send_video(frame)
        if frame.codec is self._local.shown_codec and not self._gallery.on_encoded(LOCAL, frame):
            self._want_keyframe(LOCAL)

    def _on_local_audio(self, frame: AudioFrame) -> None:
        if self._sending[0]:
            for link in self._links.values():
                link.send_audio(frame)

    def _want_keyframe(self, user_id: str) -> None:
        """Of the local picture, or of a remote user's."""
        if user_id != LOCAL:
            if (link := self._links.get(user_id)) is not None:
                link.request_keyframe()
        else:
            self._local.want_keyframe()

    # --- camera ---------------------------------------------------------------------------------------

    async def _probe(self, op: int, claim: int) -> None:
        try:
            if not self._settings.echo:
                await self._local.probe()
        except Refused as refused:
            self._report(CameraFailed(op, refused))
            return
        if claim == self._camera_claims:  # not released meanwhile
            self._camera_open = True
            self._reroute()
        self._report(CameraOpened(op))

    def _on_camera_lost(self, refused: Refused) -> None:
        if self._camera_open:
            self._camera_open = False
            self._reroute()
            self._report(CameraFailed(0, refused))

    # --- connections ----------------------------------------------------------------------------------

    def _real_peer(self, link: Link) -> PeerPort:
        servers = [ice.IceServer(each.urls, each.username, each.credential) for each in self._ice_servers]
        return Peer(ice_servers=servers, video_codecs=self._settings.video_codecs, observer=link)

    def _send(self, key: LinkKey, signal: Signal) -> None:
        self._send_signal(key.call_id, key.user_id, signal)

    def _drop(self, user_id: str) -> None:
        """Forgets that user's connection and closes it in the background."""
        link = self._links.pop(user_id, None)
        if link is None:
            return
        self._remotes.pop(user_id).close()
        self._spawn(link.close())
        self._reroute()

    def _end_views_of_absent(self, user_id: str) -> None:
        if user_id not in self._links:
            self._gallery.end_user(user_id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A task that is ours until it is done; `stop` waits for it."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("media_task_failed", error=repr(error))


def _not_in_call(user_id: str) -> Refused:
    return Refused(Reason.USER_NOT_IN_CALL, f"user_id: {user_id} is not in the call")
