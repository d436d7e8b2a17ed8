"""What becomes of a camera that works, stalls, ends, or is not there."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.camera import ThreadedCamera
from mediaagentd.media.capture.container import FileCamera, fit
from mediaagentd.media.capture.errors import failed, from_os_error
from mediaagentd.media.capture.live import V4l2Camera
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.capture.types import Captured, RawPicture
from mediaagentd.media.types import Size, VideoProfile

PATIENCE = 10.0
SIZE = Size(64, 48)


class Scripted:
    """A reader that gives `pictures` and then does what `then` says."""

    def __init__(self, pictures: int, then: Callable[[threading.Event], None]) -> None:
        self._camera = SyntheticCamera(SIZE, 100)
        self._left = pictures
        self._then = then
        self.closed = threading.Event()

    def open(self) -> None:
        self._camera.open()

    def read(self, stopping: threading.Event) -> RawPicture | None:
        if self._left == 0:
            self._then(stopping)
            return None
        self._left -= 1
        return self._camera.read(stopping)

    def close(self) -> None:
        self.closed.set()


class Late(Scripted):
    """One whose driver is in the middle of the next picture until it is `released`."""

    def __init__(self, pictures: int) -> None:
        super().__init__(pictures + 1, end)
        self._prompt = pictures
        self.given = 0
        self.inside, self.released = threading.Event(), threading.Event()

    def read(self, stopping: threading.Event) -> RawPicture | None:
        if self.given == self._prompt:
            self.inside.set()
            self.released.wait(PATIENCE)
        self.given += 1
        return super().read(threading.Event())


class Watcher:
    """Counts pictures and waits for what happens."""

    def __init__(self) -> None:
        self.pictures = 0
        self.errors: list[Refused] = []
        self.lost = threading.Event()
        self._arrived = threading.Condition()

    def take(self, _picture: Captured) -> None:
        with self._arrived:
            self.pictures += 1
            self._arrived.notify_all()

    def lose(self, refused: Refused) -> None:
        self.errors.append(refused)
        self.lost.set()

    def wait(self, count: int) -> None:
        with self._arrived:
            assert self._arrived.wait_for(lambda: self.pictures >= count, PATIENCE)


def end(_stopping: threading.Event) -> None:
    raise failed("scripted", "it ended")


def test_a_camera_delivers_until_it_is_stopped() -> None:
    """What it still gives afterwards, since its driver was in the middle of it, goes nowhere."""
    watcher, late = Watcher(), Late(3)
    camera = ThreadedCamera(lambda: late, "scripted")
    camera.start(watcher.take, watcher.lose)
    watcher.wait(3)
    camera.probe()
    assert late.inside.wait(PATIENCE)
    camera.stop()
    assert not late.closed.is_set()
    late.released.set()
    assert late.closed.wait(PATIENCE)
    assert late.given == 4
    assert watcher.pictures == 3
    assert not watcher.errors


def test_a_camera_that_blocks_is_abandoned_and_opened_anew() -> None:
    release = threading.Event()
    readers = [Scripted(2, lambda _: _blocked(release)), Scripted(1_000, end)]
    watcher = Watcher()
    left = iter(readers)
    camera = ThreadedCamera(lambda: next(left), "scripted", stall=0.1)
    camera.start(watcher.take, watcher.lose)
    watcher.wait(5)
    assert not readers[0].closed.is_set(), "the blocked thread is still where it was"
    camera.stop()
    release.set()
    assert readers[0].closed.wait(PATIENCE)


def _blocked(release: threading.Event) -> None:
    release.wait(PATIENCE)


def test_a_camera_that_stays_away_is_told_lost_once() -> None:
    watcher = Watcher()
    camera = ThreadedCamera(lambda: Scripted(0, end), "scripted", patience=0.6)
    camera.start(watcher.take, watcher.lose)
    assert watcher.lost.wait(PATIENCE)
    camera.stop()
    assert [error.reason for error in watcher.errors] == [Reason.DEVICE_FAILED]


def test_probing_takes_one_picture_and_closes() -> None:
    reader = Scripted(10, end)
    ThreadedCamera(lambda: reader, "scripted").probe()
    assert reader.closed.is_set()


def test_probing_has_a_deadline() -> None:
    release = threading.Event()
    reader = Scripted(0, lambda _: _blocked(release))
    began = time.monotonic()
    with pytest.raises(Refused) as refused:
        ThreadedCamera(lambda: reader, "scripted", first_picture=0.2).probe()
    assert refused.value.reason is Reason.DEVICE_FAILED
    assert time.monotonic() - began < 3
    release.set()


def test_a_driver_that_raises_anything_is_a_failed_camera() -> None:
    def explode(_: threading.Event) -> None:
        raise ZeroDivisionError

    with pytest.raises(Refused) as refused:
        ThreadedCamera(lambda: Scripted(0, explode), "scripted").probe()
    assert "ZeroDivisionError" in refused.value.message


def probe_v4l2(path: Path) -> Refused:
    with pytest.raises(Refused) as refused:
        ThreadedCamera(lambda: V4l2Camera(path, VideoProfile.P480), str(path)).probe()
    return refused.value


def test_a_node_that_is_not_there(tmp_path: Path) -> None:
    refused = probe_v4l2(tmp_path / "video9")
    assert (refused.reason, refused.metadata["code"]) == (Reason.DEVICE_NOT_FOUND, "60004")


def test_a_file_and_a_device_that_are_no_cameras(tmp_path: Path) -> None:
    (tmp_path / "video9").write_bytes(b"not a camera")
    assert probe_v4l2(tmp_path / "video9").reason is Reason.DEVICE_NOT_FOUND
    refused = probe_v4l2(Path("/dev/zero"))
    assert (refused.reason, refused.metadata["code"]) == (Reason.DEVICE_FAILED, "60004")


def test_no_permission() -> None:
    refused = from_os_error("/dev/video0", PermissionError(13, "Permission denied"))
    assert (refused.reason, refused.metadata["code"]) == (Reason.DEVICE_PERMISSION, "60005")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_a_node_without_permission(tmp_path: Path) -> None:
    node = tmp_path / "video9"
    node.touch()
    node.chmod(stat.S_IWUSR)
    assert probe_v4l2(node).reason is Reason.DEVICE_PERMISSION


def test_a_file_that_is_no_film(tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(b"nonsense" * 100)
    for path, reason in (("film.mkv", Reason.DEVICE_FAILED), ("none.mkv", Reason.DEVICE_NOT_FOUND)):
        with pytest.raises(Refused) as refused:
            FileCamera(tmp_path / path, VideoProfile.P480).open()
        assert refused.value.reason is reason


def test_pictures_fit_and_keep_their_shape() -> None:
    assert fit(Size(1920, 1080), Size(1280, 720)) == Size(1280, 720)
    assert fit(Size(1920, 1080), Size(640, 480)) == Size(640, 360)
    assert fit(Size(320, 240), Size(1280, 720)) == Size(320, 240)
    assert fit(Size(721, 481), Size(1280, 720)) == Size(720, 480)
