"""A camera that does not answer is waited for once, and holds up nobody but who asked for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from mediaagentd.errors import Refused
from mediaagentd.media.capture.camera import ThreadedCamera
from mediaagentd.media.devices import Hardware
from mediaagentd.media.local import LocalStreams
from mediaagentd.media.router import Plan
from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import AudioFrame
from mediaagentd.media.workers import WorkerThreads

PATIENCE = 10.0


class Silent:
    """A driver that does not come back until `released`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    def open(self) -> None:
        self._room.opened += 1
        self._room.loop.call_soon_threadsafe(self._room.opening.set)
        self._room.released.wait(PATIENCE)

    def read(self, _stopping: threading.Event) -> None:
        raise OSError("it is broken")

    def close(self) -> None:
        pass


class Room:
    """Local streams with such a camera, and a microphone that works."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.opening = asyncio.Event()
        self.opened = 0
        self.released = threading.Event()
        self.told: list[str] = []
        self.heard = asyncio.Event()
        self._workers = WorkerThreads(1, "codec")
        self.streams = LocalStreams(
            MediaSettings(camera="/dev/video0", microphone="synthetic", speaker="null"),
            self._workers,
            Hardware(ThreadPoolExecutor(1), ThreadPoolExecutor(1), camera=self._camera),
            on_video=lambda _stream, _frame: None,
            on_audio=self._hear,
            camera_lost=lambda refused: self.told.append(refused.message),
            microphone_lost=lambda refused: self.told.append(refused.message),
            microphone_found=lambda: None,
        )

    def _camera(self, *_: object) -> ThreadedCamera:
        return ThreadedCamera(lambda: Silent(self), "silent", first_picture=PATIENCE)

    def _hear(self, _frame: AudioFrame) -> None:
        self.heard.set()

    async def close(self) -> None:
        self.released.set()
        await asyncio.gather(*map(asyncio.wrap_future, self.streams.close()))
        self._workers.shutdown()


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    one = Room()
    yield one
    await one.close()


async def test_the_microphone_is_heard_while_a_camera_is_probed(room: Room) -> None:
    probe = asyncio.create_task(room.streams.probe())
    async with asyncio.timeout(PATIENCE / 2):
        await room.opening.wait()
        room.streams.apply(Plan(microphone=True), ())
        await room.heard.wait()
    assert not probe.done(), "the camera is still being waited for"
    assert room.told == []
    room.released.set()
    with pytest.raises(Refused, match="broken"):
        await probe


async def test_who_asks_while_a_camera_is_probed_shares_the_answer(room: Room) -> None:
    leaves, first, second = (asyncio.create_task(room.streams.probe()) for _ in range(3))
    async with asyncio.timeout(PATIENCE):
        await room.opening.wait()
        leaves.cancel()
        room.released.set()
        for waits in (first, second):
            with pytest.raises(Refused, match="broken"):
                await waits
        assert room.opened == 1
        with pytest.raises(Refused, match="broken"):
            await room.streams.probe()
        assert room.opened == 2, "the next one asks anew"
