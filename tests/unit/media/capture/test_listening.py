"""A microphone that is wanted is tried again until it works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.lending import LendingLoop
from mediaagentd.media import listening
from mediaagentd.media.capture.types import Lost, RawSound, SoundSink
from mediaagentd.media.listening import Listening
from mediaagentd.media.types import AUDIO_FRAME

PATIENCE = 10.0
BROKEN = Refused(Reason.DEVICE_FAILED, "broken")


class Microphone:
    """Does what the test says, in the thread that starts it."""

    def __init__(self, start: Callable[[SoundSink, Lost], None]) -> None:
        self._start = start
        self.stopped = False

    def start(self, sink: SoundSink, lost: Lost) -> None:
        self._start(sink, lost)

    def stop(self) -> None:
        self.stopped = True


def breaks(_sink: SoundSink, lost: Lost) -> None:
    lost(BROKEN)


def works(sink: SoundSink, _lost: Lost) -> None:
    sink(RawSound(np.zeros(AUDIO_FRAME, np.int16), 0.0))


def hangs(_sink: SoundSink, _lost: Lost) -> None:
    pass


class Room:
    """Listens to microphones in turn and writes down what is told."""

    def __init__(self, *behaviours: Callable[[SoundSink, Lost], None]) -> None:
        self.told: list[str] = []
        self.made: list[Microphone] = []
        self._behaviours = list(behaviours)
        self._changed = asyncio.Event()
        self.threads = ThreadPoolExecutor(1)
        self.listening = Listening(
            self.threads,
            make=self._make,
            take=lambda _sound: None,
            lost=lambda refused: self._note(refused.message),
            found=lambda: self._note("found"),
        )

    def _make(self) -> Microphone:
        self.made.append(Microphone(self._behaviours[min(len(self.made), len(self._behaviours) - 1)]))
        self._changed.set()
        return self.made[-1]

    def _note(self, what: str) -> None:
        self.told.append(what)
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
async def room(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Callable[..., Room]]:
    for name in ("FIRST_SOUND", "STALL", "REOPEN"):
        monkeypatch.setattr(listening, name, 0.02)
    rooms: list[Room] = []

    def make(*behaviours: Callable[[SoundSink, Lost], None]) -> Room:
        rooms.append(Room(*behaviours))
        return rooms[-1]

    yield make
    for each in rooms:
        each.listening.want(False)
        each.threads.shutdown()


async def test_one_that_breaks_is_told_once_and_found_again(room: Callable[..., Room]) -> None:
    one = room(breaks, breaks, works)
    one.listening.want(True)
    await one.until(lambda: "found" in one.told)
    assert one.told == ["broken", "found"]
    assert [each.stopped for each in one.made[:2]] == [True, True]


async def test_one_that_stalls_has_failed(room: Callable[..., Room]) -> None:
    one = room(hangs)
    one.listening.want(True)
    await one.until(lambda: len(one.made) >= 3)
    assert one.told == ["microphone: no sound comes"]


async def test_nobody_listens_when_it_is_not_wanted(room: Callable[..., Room]) -> None:
    one = room(breaks)
    one.listening.want(True)
    await one.until(lambda: bool(one.told))
    one.listening.want(False)
    made = len(one.made)
    one.listening.want(True)
    await one.until(lambda: len(one.told) == 2)
    assert len(one.made) > made
    assert one.told == ["broken", "broken"], "each time that it is wanted"


async def test_one_that_works_is_not_spoken_of(room: Callable[..., Room]) -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()

    def speaks(sink: SoundSink, lost: Lost) -> None:
        works(sink, lost)
        loop.call_soon_threadsafe(heard.set)

    one = room(speaks)
    one.listening.want(True)
    await asyncio.wait_for(heard.wait(), PATIENCE)
    one.listening.want(False)
    assert one.told == []


class Socket:
    """What a microphone's thread reads."""

    def __init__(self, loop: LendingLoop) -> None:
        self.awaited = False
        self._loop = loop
        loop.poll(self)

    def poll(self) -> None:
        pass

    def stop(self) -> None:
        self.awaited = True
        self._loop.leave(self)


def test_what_its_thread_reads_is_waited_for_as_soon_as_it_is_not_wanted() -> None:
    async def story() -> None:
        loop, one = asyncio.get_running_loop(), Room(works)
        assert isinstance(loop, LendingLoop)
        one.listening.want(True)
        read = Socket(loop)
        one.listening.want(False)
        assert read.awaited
        one.threads.shutdown()

    with asyncio.Runner(loop_factory=LendingLoop) as runner:
        runner.run(story())
