"""A device whose driver hangs holds a few threads, not one more for each attempt; it may answer again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from mediaagentd.errors import Refused
from mediaagentd.media.capture import abandoned, camera, microphone
from mediaagentd.media.capture.camera import ThreadedCamera
from mediaagentd.media.capture.microphone import ThreadedMicrophone
from mediaagentd.media.capture.types import Captured, RawSound
from mediaagentd.media.types import AUDIO_FRAME

PATIENCE = 10.0


class Driver:
    """Every read hangs until `answers` is set; counts the readers that were opened and are not closed."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.changed = threading.Condition()
        self.held = 0

    def open(self) -> None:
        self._count(1)

    def read(self, stopping: threading.Event) -> Any:
        assert self.answers.wait(PATIENCE)
        return RawSound(np.zeros(AUDIO_FRAME, np.int16), 0.0)

    def close(self) -> None:
        self._count(-1)

    def _count(self, more: int) -> None:
        with self.changed:
            self.held += more
            self.changed.notify_all()

    def until_held(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.held == count, PATIENCE)


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    for module in (camera, microphone):
        monkeypatch.setattr(module, "JOIN", 0.01)
    made = Driver()
    yield made
    made.answers.set()
    made.until_held(0)


def test_a_microphone_that_hangs_is_not_opened_without_end(driver: Driver) -> None:
    heard, told = threading.Event(), list[str]()

    def attempt() -> ThreadedMicrophone:
        one = ThreadedMicrophone(lambda: driver, "hanging microphone")
        one.start(lambda _sound: heard.set(), lambda refused: told.append(refused.message))
        return one

    for number in range(1, abandoned.MOST + 3):
        one = attempt()
        driver.until_held(min(number, abandoned.MOST))
        one.stop()
    assert told == ["hanging microphone: its driver does not answer"] * 2
    driver.answers.set()
    driver.until_held(0)
    for thread in threading.enumerate():
        if thread.name.endswith("hanging microphone"):
            thread.join(PATIENCE)
    one = attempt()
    assert heard.wait(PATIENCE), "it answers again"
    one.stop()


def test_a_camera_that_hangs_is_not_opened_without_end(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(camera, "REOPEN", 0.01)
    lost, told = threading.Event(), list[Refused]()

    def lose(refused: Refused) -> None:
        told.append(refused)
        lost.set()

    def take(_picture: Captured) -> None:
        raise AssertionError("there is none")

    one = ThreadedCamera(lambda: driver, "hanging camera", patience=0.5, first_picture=0.02)
    one.start(take, lose)
    assert lost.wait(PATIENCE)
    one.stop()
    driver.until_held(abandoned.MOST)
    assert [refused.message for refused in told] == ["hanging camera: its driver does not answer"]
    with pytest.raises(Refused, match="does not answer"):
        one.probe()
