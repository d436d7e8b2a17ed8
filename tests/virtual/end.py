"""One end of a virtual call: a switchboard whose devices tick on the loop and whose threads are turns of
it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from mediaagentd.call.signal import Signal
from mediaagentd.call.types import PeerUp, Report
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.synthetic import SyntheticCamera, speech
from mediaagentd.media.capture.types import Captured, Lost, RawSound
from mediaagentd.media.devices import Hardware
from mediaagentd.media.early import LinkKey
from mediaagentd.media.playout.delay import SLOT
from mediaagentd.media.playout.playout import Playout
from mediaagentd.media.playout.sinks import NullSink
from mediaagentd.media.settings import MediaSettings, PeerFigures
from mediaagentd.media.switchboard import Switchboard
from mediaagentd.media.tasks import Tasks
from mediaagentd.media.types import AUDIO_FRAME, VideoProfile
from mediaagentd.media.views.types import FrameFormat, FramesView, View
from mediaagentd.media.workers import Workers

from tests.netlab.messages import Seen
from tests.virtual.network import Network

Given = TypeVar("Given")

CALL = "call-1"
SIGNALLING = 0.030
"""Seconds that a signal takes."""

CODING = 0.004
"""Seconds that a picture takes to be encoded or decoded."""


class Turns(Workers):
    """Instead of threads: each piece of work is done `after` seconds, in turn."""

    def __init__(self, after: float = 0.0) -> None:
        self._after = after

    def do(self, work: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(self._after, work)

    @property
    def crowded(self) -> bool:
        """Nobody waits for a thread."""
        return False


class _Source(Generic[Given]):
    """Gives what `make` makes of each number, from 1 on, every `interval` seconds."""

    def __init__(self, interval: float, make: Callable[[int], Given]) -> None:
        self._interval = interval
        self._make = make
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self, sink: Callable[[Given], None], _lost: Lost) -> None:
        """From now on."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_at(loop.time() + self._interval, self._take, sink)

    def stop(self) -> None:
        """No more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self, sink: Callable[[Given], None]) -> None:
        assert self._timer is not None
        when = self._timer.when() + self._interval
        self._timer = asyncio.get_running_loop().call_at(when, self._take, sink)
        self._number += 1
        sink(self._make(self._number))


class Camera(_Source[Captured]):
    """A `VideoSource` of the synthetic camera's pictures."""

    def __init__(self, profile: VideoProfile) -> None:
        super().__init__(1 / profile.fps, SyntheticCamera(profile.size, profile.fps).picture)

    def probe(self) -> None:
        """It works."""


class Microphone(_Source[RawSound]):
    """An `AudioSource` of the synthetic microphone's voice."""

    def __init__(self) -> None:
        self._blocks = speech().reshape(-1, AUDIO_FRAME)
        super().__init__(SLOT, self._block)

    def _block(self, number: int) -> RawSound:
        return RawSound(self._blocks[number % len(self._blocks)], asyncio.get_running_loop().time())


class VirtualEnd:
    """One user's media; `other` hears its signals."""

    def __init__(self, network: Network, host: str, user_id: str, settings: MediaSettings) -> None:
        self.user_id = user_id
        self.other: VirtualEnd
        self.seen: list[Seen] = []
        self.up = asyncio.Event()
        self._tasks = Tasks()
        self._watching: asyncio.Task[None] | None = None
        self._network, self._host = network, host
        hardware = Hardware(Turns(), Turns(), camera=_camera, microphone=_microphone)
        self.board = Switchboard(
            settings,
            codecs=Turns(CODING),
            pictures=Turns(),
            hardware=hardware,
            tasks=self._tasks,
            report=self._report,
            send_signal=self._send,
            camera_lost=lambda refused: None,
            make_peer=None,
        )
        self.board.playout = Playout(NullSink)

    def call(self, *, offers: bool) -> None:
        """Connects with the other, and sends sound and pictures."""
        with self._network.at(self._host):
            self.board.set_camera_open(True)
            self.board.set_sending(True, True)
            self.board.open(LinkKey(CALL, self.other.user_id, 1), offers)

    def readdressed(self, address: str) -> None:
        """This end's host has another address now, and is told."""
        self._network.readdress(self._host, address)
        self._host = address
        self.network_changed(came=frozenset({address}))

    def network_changed(self, came: frozenset[str] = frozenset()) -> None:
        """This end's host tells that something has changed."""
        with self._network.at(self._host):
            self.board.network_changed(frozenset({self._host}), came)

    async def look(self) -> None:
        """From now on the other's pictures are decoded and their numbers read."""
        await self.board.gallery.start(View("seen", self.other.user_id, FramesView(FrameFormat.I420)), ())
        self._watching = asyncio.create_task(self._watch())

    def figures(self) -> PeerFigures:
        """Of the connection with the other."""
        (figures,) = self.board.figures(None)
        return figures

    @property
    def rate(self) -> int:
        """Bits a second of video that it may send to the other."""
        return self.board._links[self.other.user_id].rate.bitrate

    @property
    def generation(self) -> int | None:
        """That the media go over."""
        return self.board._links[self.other.user_id]._state.current

    async def close(self) -> None:
        """Ends everything."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        self.board.gallery.end_all()
        self.board.close_all()
        await asyncio.gather(*map(asyncio.wrap_future, self.board.local.close()))
        await asyncio.gather(*self._tasks.running)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        async for picture in self.board.gallery.watch("seen"):
            assert picture.size is not None
            width, height = picture.size.width, picture.size.height
            luma = np.frombuffer(picture.data, np.uint8)[: width * height].reshape(height, width)
            self.seen.append(Seen(loop.time(), read_counter(luma), claps=False))

    def _report(self, report: Report) -> None:
        if isinstance(report, PeerUp):
            self.up.set()

    def _send(self, call_id: str, _user_id: str, signal: Signal) -> None:
        asyncio.get_running_loop().call_later(SIGNALLING, self.other._receive, call_id, self.user_id, signal)

    def _receive(self, call_id: str, sender: str, signal: Signal) -> None:
        with self._network.at(self._host):
            self.board.receive(call_id, sender, signal)


def _camera(_name: str, profile: VideoProfile, _label: str, _raw_wanted: Callable[[], bool]) -> Camera:
    return Camera(profile)


def _microphone(name: str, *, stereo: bool = False) -> Microphone:
    return Microphone()
