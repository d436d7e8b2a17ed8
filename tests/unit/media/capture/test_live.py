"""Cameras that give damaged pictures, too many, or their driver's own memory; and files as cameras."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture import live
from mediaagentd.media.capture.container import FileCamera
from mediaagentd.media.capture.live import DAMAGED, LiveCamera
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.types import Size, VideoProfile

PROFILE = VideoProfile.P480
SIZE = PROFILE.size
Damage = Callable[[int, bytes], bytes]


def film(path: Path, codec: str, pictures: int, hz: int = 30, size: Size = SIZE) -> Path:
    """Writes one."""
    options = {"update": "1"} if path.suffix == ".png" else {}
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=hz)
        stream.options = {"tune": "zerolatency", "preset": "ultrafast"} if codec == "libx264" else {}
        stream.width, stream.height = size.width, size.height
        stream.pix_fmt = {"mjpeg": "yuvj420p", "png": "rgb24"}.get(codec, "yuv420p")
        camera = SyntheticCamera(size, hz)
        for number in range(pictures):
            frame = camera.picture(number).frame.reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, hz)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


class Driver:
    """An opened film whose packets are `damaged` on their way; notes where each one lies in the memory."""

    def __init__(self, path: Path, damaged: Damage) -> None:
        self._container = av.open(str(path))
        self._damaged = damaged
        self.streams = self._container.streams
        self.lies: list[range] = []

    def demux(self, stream: Any) -> Iterator[Any]:
        for number, packet in enumerate(self._container.demux(stream)):
            if packet.size == 0:
                return
            data = bytes(packet)
            if (changed := self._damaged(number, data)) != data:
                packet = av.Packet(changed)
                packet.stream = stream
            self.lies.append(range(packet.buffer_ptr, packet.buffer_ptr + packet.buffer_size))
            yield packet

    def close(self) -> None:
        self._container.close()


class Camera(LiveCamera):
    """One that the film plays."""

    def __init__(self, path: Path, damaged: Damage = lambda _, data: data) -> None:
        super().__init__("film", PROFILE)
        self.driver = Driver(path, damaged)

    def open_device(self) -> Any:
        return self.driver


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets pictures come so many a second, however fast they are read."""

    def at(hz: float) -> None:
        ticks = itertools.count()
        monkeypatch.setattr(live, "time", SimpleNamespace(monotonic=lambda: next(ticks) / hz))

    return at


def pictures(camera: LiveCamera) -> tuple[list[RawPicture], Refused]:
    """What it gives, and how it ends."""
    given = []
    camera.open()
    try:
        while True:
            picture = camera.read(threading.Event())
            assert isinstance(picture, RawPicture)
            given.append(picture)
    except Refused as refused:
        return given, refused
    finally:
        camera.close()


@pytest.mark.parametrize("codec", ["mjpeg", "libx264"])
@pytest.mark.parametrize("left", [0, 1, 5], ids=["empty", "a byte", "cut"])
def test_a_damaged_picture_is_left_out_and_the_camera_stays_open(
    tmp_path: Path, clock: Callable[[float], None], codec: str, left: int
) -> None:
    clock(30)
    path = film(tmp_path / "film.mkv", codec, 30)
    given, end = pictures(Camera(path, lambda number, data: data[:left] if number in (10, 20) else data))
    assert len(given) == 28
    assert "it ended" in end.message


def test_a_camera_that_gives_nothing_but_damage_has_failed(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    clock(30)
    path = film(tmp_path / "film.mkv", "mjpeg", 2 * DAMAGED + 10, size=Size(64, 48))
    good = (0, DAMAGED)  # the second one comes just in time
    given, end = pictures(Camera(path, lambda number, data: data if number in good else data[:5]))
    assert len(given) == 2
    assert end.reason is Reason.DEVICE_FAILED
    assert "Invalid data" in end.message


@pytest.mark.parametrize("hz", [15, 25, 30, 45, 50, 60, 75, 90, 120])
def test_no_more_pictures_than_the_profile_has(
    tmp_path: Path, clock: Callable[[float], None], hz: int
) -> None:
    clock(hz)
    given, _ = pictures(Camera(film(tmp_path / "film.mkv", "mjpeg", 4 * hz, size=Size(64, 48))))
    assert len(given) / 4 == pytest.approx(min(hz, PROFILE.fps), abs=1)


def test_a_picture_that_is_not_compressed_is_no_memory_of_the_driver(
    tmp_path: Path, clock: Callable[[float], None]
) -> None:
    clock(30)
    path = film(tmp_path / "film.avi", "rawvideo", 3)
    camera = Camera(path)
    given, _ = pictures(camera)
    with av.open(str(path)) as container:
        expected = [frame.to_ndarray() for frame in container.decode(video=0)]
    for picture, original, packet in zip(given, expected, camera.driver.lies, strict=True):
        assert all(plane.buffer_ptr not in packet for plane in picture.frame.planes)
        assert (picture.frame.to_ndarray() == original).all()


@pytest.mark.parametrize(
    ("name", "codec", "count", "hz"),
    [
        ("still.png", "png", 1, 30),
        ("one.mkv", "libx264", 1, 30),
        ("fast.mkv", "libx264", 240, 120),
    ],
)
def test_a_file_gives_as_many_pictures_as_the_profile_has(
    tmp_path: Path, name: str, codec: str, count: int, hz: int
) -> None:
    camera = FileCamera(film(tmp_path / name, codec, count, hz), PROFILE)
    camera.open()
    stopping = threading.Event()
    assert camera.read(stopping) is not None
    began = time.monotonic()
    for _ in range(12):
        assert camera.read(stopping) is not None
    took = time.monotonic() - began
    camera.close()
    assert 11 / PROFILE.fps < took < 1.5
