"""The one door to media: implements the `Media` port of `calls.py` and what `api/` needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import CameraFailed, CameraOpened, Report
from mediaagentd.errors import Reason, Refused
from mediaagentd.lending import attend
from mediaagentd.media import devices
from mediaagentd.media.capture import soundcard
from mediaagentd.media.codec.tuning import Choice
from mediaagentd.media.early import LinkKey
from mediaagentd.media.finding import Finding
from mediaagentd.media.leg import MakePeer
from mediaagentd.media.local import camera_lost
from mediaagentd.media.playout.playout import Playout
from mediaagentd.media.playout.processing import make_processor
from mediaagentd.media.playout.sinks import make_sink
from mediaagentd.media.priority import CODECS, give_way
from mediaagentd.media.settings import LocalMedia, MediaSettings, PeerFigures
from mediaagentd.media.switchboard import Switchboard
from mediaagentd.media.tasks import Tasks
from mediaagentd.media.tuner import suited
from mediaagentd.media.types import VideoProfile
from mediaagentd.media.views.types import LOCAL, Picture, Snapshot, View
from mediaagentd.media.voice import NOTHING, Processing
from mediaagentd.media.warmup import warm_up
from mediaagentd.media.workers import WorkerThreads

_log = structlog.stdlib.get_logger()

STOP = 1.8
"""Seconds that `stop` may take: less than a step of the daemon's stop (`lifecycle.STEP_WITHIN`), which would
cut it short before its threads are told.
"""

LOOK, LOOKS = 5.0, 6
"""Seconds from one look for devices to the next, where any is "auto", and how often it is looked after
something was plugged in.
"""

CODEC_THREADS = 2
PICTURE_THREADS = 1
"""Threads of encoders and decoders, and of JPEG, PNG and scaling: a snapshot must not delay a stream."""


class MediaEngine:
    """See `agent/DESIGN.md`. Made and used on one event loop; between `start` and `stop`.

    `make_peer` is for tests.
    """

    def __init__(
        self,
        settings: MediaSettings,
        *,
        report: Callable[[Report], None],
        send_signal: Callable[[str, str, Signal], None],
        changed: Callable[[], None] = lambda: None,
        make_peer: MakePeer | None = None,
    ) -> None:
        self._settings = settings
        self._report = report
        self._changed = changed
        self._codecs = WorkerThreads(CODEC_THREADS, "codec", partial(give_way, CODECS))
        self._pictures = WorkerThreads(PICTURE_THREADS, "picture")
        self._tasks = Tasks()
        self._board = Switchboard(
            settings,
            codecs=self._codecs,
            pictures=self._pictures,
            hardware=devices.Hardware(ThreadPoolExecutor(1, "cameras"), ThreadPoolExecutor(1, "microphones")),
            tasks=self._tasks,
            report=report,
            send_signal=send_signal,
            camera_lost=self._on_camera_lost,
            make_peer=make_peer,
        )
        self._local, self._gallery = self._board.local, self._board.gallery
        self._speaker = settings.speaker
        self._finding = Finding((settings.camera, settings.microphone, settings.speaker))
        self._profile = self._active = settings.profile
        self._camera_open = False
        self._camera_claims = 0
        self._in_call_since: float | None = None
        self._choice: Choice | None = None
        self._looking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Finds the devices that `auto` stands for. No device is opened yet."""
        seen = devices.plugged_in()
        await self._find_devices()
        if "auto" in (self._settings.camera, self._settings.microphone, self._settings.speaker):
            self._looking = asyncio.create_task(self._look_for_others(seen), name="devices")
        camera = self._local.names[0]
        if self._board.is_real:
            warming = warm_up(self._codecs, self._settings.video_codecs, self._settings.profile, camera)
            self._tasks.spawn(warming)
        if self._settings.measured is not None and not self._settings.echo:
            self._tasks.spawn(self._tune(self._settings.measured))

    async def stop(self) -> None:
        """Closes every connection and device, within `STOP` seconds."""
        if self._looking is not None:
            self._looking.cancel()
        self._gallery.end_all()
        self._board.close_all()
        waits: list[Any] = [
            *map(asyncio.wrap_future, self._local.close()),
            *self._tasks.running,
            self._gallery.complete(),
            *([] if self._looking is None else [self._looking]),
        ]
        if self._board.playout is not None:
            waits.append(asyncio.create_task(asyncio.to_thread(self._board.playout.close)))
        _, late = await asyncio.wait([asyncio.ensure_future(each) for each in waits], timeout=STOP)
        for task in late:
            task.cancel()
        if late:
            _log.warning("media_stop_overdue", left=len(late))
        self._finding.close()
        self._codecs.shutdown(wait=False, cancel_futures=True)
        self._pictures.shutdown(wait=False, cancel_futures=True)

    # --- the port of calls.py -------------------------------------------------------------------------

    def open_peer(self, call_id: str, user_id: str, attempt: int, offers: bool) -> None:
        """Connects with that user; PeerUp or PeerDown follows. A connection of an older attempt goes."""
        self._board.open(LinkKey(call_id, user_id, attempt), offers)

    def close_peer(self, call_id: str, user_id: str, attempt: int) -> None:
        """Ends that connection; its views end unless another attempt begins at once."""
        self._board.close(LinkKey(call_id, user_id, attempt))

    def probe_camera(self, op: int) -> None:
        """Opens the camera; CameraOpened or CameraFailed follows. From then on pictures are captured
        whenever somebody wants them.
        """
        self._camera_claims += 1
        self._tasks.spawn(self._probe(op, self._camera_claims))

    def release_camera(self) -> None:
        """Closes it."""
        self._camera_claims += 1
        self._set_camera_open(False)

    def set_sending(self, audio: bool, video: bool) -> None:
        """What may leave for the peers."""
        self._board.set_sending(audio, video)

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

    # --- faults ---------------------------------------------------------------------------------------

    def kill_peer(self, user_id: str) -> None:
        """Loses the connection with that user. Refused(USER_NOT_IN_CALL)."""
        if not self._board.kill(user_id):
            raise _not_in_call(user_id)

    def lose_camera(self, is_lost: Callable[[], bool]) -> None:
        """Loses the camera, as if it had been pulled out; there is none for as long as `is_lost` says."""
        self._local.is_camera_lost = is_lost
        self._on_camera_lost(camera_lost())

    # --- signalling -----------------------------------------------------------------------------------

    def receive_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        """A signal of the present attempt is processed, of an older one ignored, of a later one kept."""
        self._board.receive(call_id, sender, signal)

    def set_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """For the connections that begin from now on."""
        self._board.set_ice_servers(servers)

    def network_changed(self, addresses: frozenset[str] | None, came: frozenset[str] = frozenset()) -> int:
        """The machine has these addresses now, `came` are new; None: somebody says that its network has
        changed, and every connection is made anew. Says how many are.
        """
        return self._board.network_changed(addresses, came)

    def signalling_back(self) -> None:
        """The hub is there again."""
        self._board.signalling_back()

    # --- for api --------------------------------------------------------------------------------------

    def set_profile(self, profile: VideoProfile) -> bool:
        """Chooses the quality: True when it is in effect now, False when the next call will have it."""
        self._profile = profile
        self._activate()
        return self._active is profile

    async def start_view(self, view: View) -> str:
        """Returns the answer to the page of a `webrtc` view, "" for other kinds.

        Raises: Refused USER_NOT_IN_CALL, VIEW_EXISTS, NOT_OFFERED, SIGNAL_INVALID, CODEC_MISMATCH.
        """
        if view.user_id != LOCAL and not self._board.has(view.user_id):
            raise _not_in_call(view.user_id)
        return await self._gallery.start(view, self._board.offered(view.user_id))

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
        if user_id == LOCAL and not self._camera_open:
            raise Refused(Reason.NO_VIDEO, "user_id: the local camera is closed")
        if user_id != LOCAL and not self._board.has(user_id):
            raise _not_in_call(user_id)
        before = self._board.arrived(user_id)
        try:
            return await self._gallery.snapshot(user_id, jpeg_quality, timeout)
        except TimeoutError:
            if user_id != LOCAL and self._board.arrived(user_id) == before:
                raise Refused(Reason.NO_VIDEO, f"user_id: {user_id} sends no picture") from None
            raise Refused(Reason.TIMED_OUT, f"timeout: no picture within {timeout:g} s") from None

    def figures(self) -> tuple[PeerFigures, ...]:
        """Of each connection."""
        return self._board.figures(self._in_call_since)

    def local(self) -> LocalMedia:
        """Profiles and devices."""
        camera, microphone = self._local.names
        codec, tuning = self._local.shown.codec, self._local.tuning
        return LocalMedia(
            self._profile,
            self._active,
            devices.shown(camera),
            microphone,
            self._speaker,
            f"{tuning.encoder(codec)} {tuning.effort}",
            self._choice.highest if self._choice is not None else None,
            self._local.processing,
        )

    async def _find_devices(self) -> bool:
        """What `auto` stands for, where it stands for nothing real yet. All of it comes into use together,
        and not in a call: whoever is heard goes on with what there is. False when it is to be tried again.
        """
        now = (*self._local.names, self._speaker)
        camera, microphone, speaker = names = await self._finding.find(now)
        before = self._board.playout
        if before is not None and names == now:
            return not self._finding.is_waiting
        processor = await asyncio.to_thread(make_processor, self._processing(microphone, speaker))
        if self._in_call_since is not None:
            return False  # one began meanwhile
        self._local.use((camera, microphone), processor)
        self._speaker = speaker
        make = partial(make_sink, speaker, stereo=self._settings.sound.stereo)
        read = partial(attend, asyncio.get_running_loop())
        self._board.playout = Playout(make, processor, f"speaker {speaker}", read=read)
        _log.info("media_devices", camera=devices.shown(camera), microphone=microphone, speaker=speaker)
        if before is not None:
            self._board.reroute()
            await asyncio.to_thread(before.close)
        self._changed()
        return not self._finding.is_waiting

    async def _look_for_others(self, seen: tuple[str, ...]) -> None:
        """A device that starts with the power may find its camera and sound card some seconds later, and udev
        and a sound server take some more; `seen` is what was there when it was looked for first.
        """
        left = LOOKS if any(seen) or self._finding.is_waiting else 0
        while True:
            await asyncio.sleep(LOOK)
            try:
                present = devices.plugged_in()
                seen, left = present, left if present == seen else LOOKS
                if left and self._in_call_since is None:
                    left -= 1
                    soundcard.CARDS.expect_others()
                    if not await self._find_devices():
                        left = max(left, 1)
            except Exception as error:  # of udev, of a driver: there is another look
                _log.warning("devices_not_found", error=f"{type(error).__name__}: {error}")

    def _processing(self, microphone: str, speaker: str) -> Processing:
        """What is done to our voice; there is none where all is an echo."""
        if self._settings.echo:
            return NOTHING
        from_card, to_card = devices.is_sound_card(microphone), devices.is_sound_card(speaker)
        return self._settings.processing.suited(self._settings.sound, from_card=from_card, to_card=to_card)

    # --- camera and quality ---------------------------------------------------------------------------

    def _activate(self) -> None:
        """Outside of a call the chosen profile is the active one."""
        if self._in_call_since is None and self._active is not self._profile:
            self._active = self._profile
            self._board.set_profile(self._active)
            self._changed()

    async def _tune(self, directory: Path) -> None:
        """Follows what this machine was measured to hold, where nothing else was asked for."""
        choice = self._choice = await suited(directory)
        self._local.tuning = choice.tuning
        if not self._settings.fixed_codecs:
            self._local.codecs = choice.codecs
        if not self._settings.fixed_profile and self._profile is self._settings.profile:
            self.set_profile(min(self._profile, choice.highest, key=lambda each: each.bitrate))
        self._changed()
        _log.info("codecs_chosen", encoder=self.local().encoder, highest_profile=choice.highest.name)

    def _set_camera_open(self, is_open: bool) -> None:
        self._camera_open = is_open
        self._board.set_camera_open(is_open)

    async def _probe(self, op: int, claim: int) -> None:
        try:
            if not self._settings.echo:
                await self._local.probe()
        except Refused as refused:
            self._report(CameraFailed(op, refused))
            return
        if claim == self._camera_claims:  # not released meanwhile
            self._set_camera_open(True)
        self._report(CameraOpened(op))

    def _on_camera_lost(self, refused: Refused) -> None:
        if self._camera_open:
            self._set_camera_open(False)
            self._report(CameraFailed(0, refused))


def _not_in_call(user_id: str) -> Refused:
    return Refused(Reason.USER_NOT_IN_CALL, f"user_id: {user_id} is not in the call", {"user_id": user_id})
