"""The thread of the windows, over a screen that writes down what it is told."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import av
import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.views.screen import DisplayLostError, ScreenProcess
from mediaagentd.media.views.sdl import driver_of
from mediaagentd.media.views.types import WindowView
from mediaagentd.media.views.window import Window, Windows

PATIENCE = 10.0


class Surface:
    def __init__(self, screen: Screen, number: int) -> None:
        self.id = number
        self._screen = screen

    def draw(self, frame: av.VideoFrame) -> None:
        if self._screen.is_lost:
            raise DisplayLostError
        if frame.width == 13:
            raise RuntimeError("cannot be drawn")
        self._screen.note(f"draw {self.id} {frame.width}")

    def close(self) -> None:
        self._screen.note(f"close {self.id}")


class Screen:
    """Every call of it is noted, in order; `clicked` are windows that are closed by hand next. `is_lost`: the
    display has gone, which `tells` itself without a picture that is drawn.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.clicked: list[int] = []
        self.is_lost = self.tells = False
        self._windows = 0
        self._changed = threading.Condition()

    def make(self, display: str) -> Screen:
        if display == "broken":
            raise Refused(Reason.NOT_OFFERED, "there is no display")
        self.note(f"open {display}")
        return self

    def window(self, title: str, fullscreen: bool) -> Surface:
        self._windows += 1
        self.note(f"window {self._windows} {title} {fullscreen}")
        return Surface(self, self._windows)

    def closed(self) -> list[int]:
        if self.is_lost and self.tells:
            raise DisplayLostError
        clicked, self.clicked = self.clicked, []
        return clicked

    def close(self) -> None:
        self.note("end")

    def note(self, what: str) -> None:
        with self._changed:
            self.told.append(what)
            self._changed.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), self.told


class Gone:
    """Notes that a window has gone by itself."""

    def __init__(self) -> None:
        self.event = threading.Event()

    def __call__(self) -> None:
        self.event.set()


def picture(width: int) -> RawPicture:
    return RawPicture(av.VideoFrame(width, 16, "yuv420p"), 0.0)


def shown(windows: Windows, display: str = "", title: str = "bob", gone: Gone | None = None) -> Window:
    window = windows.open(WindowView(display), title, gone or Gone())
    window.opened.result(PATIENCE)
    return window


def test_one_thread_draws_all_and_ends_with_the_last() -> None:
    screen = Screen()
    windows = Windows(screen.make)
    bob, carol = shown(windows), shown(windows, title="carol")
    bob.on_picture(picture(16))
    screen.until(lambda: "draw 1 16" in screen.told)
    carol.on_picture(picture(32))
    screen.until(lambda: "draw 2 32" in screen.told)
    bob.close()
    screen.until(lambda: "close 1" in screen.told)
    carol.close()
    screen.until(lambda: screen.told[-1] == "end")
    assert screen.told[:2] == ["open ", "window 1 bob False"]
    assert screen.told.count("end") == 1
    windows.join()
    shown(windows).close()
    screen.until(lambda: screen.told.count("end") == 2)


def test_one_that_is_closed_by_hand_or_cannot_be_drawn_says_so() -> None:
    screen = Screen()
    windows = Windows(screen.make)
    by_hand, broken = Gone(), Gone()
    first, second = shown(windows, gone=by_hand), shown(windows, gone=broken)
    screen.clicked = [1]
    assert by_hand.event.wait(PATIENCE)
    first.close()
    second.on_picture(picture(13))
    assert broken.event.wait(PATIENCE)
    screen.until(lambda: screen.told[-1] == "end")


@pytest.mark.parametrize("tells", [True, False])
def test_a_display_that_goes_ends_all_its_windows_and_may_come_back(tells: bool) -> None:
    screen = Screen()
    windows = Windows(screen.make)
    gone = [Gone(), Gone()]
    first, _ = shown(windows, gone=gone[0]), shown(windows, gone=gone[1])
    screen.tells, screen.is_lost = tells, True
    if not tells:
        first.on_picture(picture(16))
    assert all(each.event.wait(PATIENCE) for each in gone)
    screen.until(lambda: screen.told[-1] == "end")
    screen.is_lost = False
    shown(windows, title="again").close()
    screen.until(lambda: screen.told.count("end") == 2)
    assert "window 3 again False" in screen.told


def test_the_process_that_draws_says_why_it_cannot() -> None:
    before = threads_and_files()
    with pytest.raises(Refused, match="neither :0") as refused:
        ScreenProcess("tv")
    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.metadata == {"field": "window.display", "rule": "neither :0, wayland-0 nor kmsdrm"}
    assert threads_and_files() == before


def threads_and_files() -> tuple[int, int]:
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


def test_one_display_at_a_time_and_none_is_refused() -> None:
    screen = Screen()
    windows = Windows(screen.make)
    first = shown(windows, ":1")
    with pytest.raises(Refused) as refused:
        windows.open(WindowView(":2"), "bob", Gone())
    assert refused.value.reason is Reason.LIMIT_EXCEEDED
    first.close()
    shown(windows, ":2").close()
    screen.until(lambda: screen.told.count("end") == 2)
    assert screen.told.index("end") < screen.told.index("open :2"), "one is given back before the next"
    with pytest.raises(Refused) as refused:
        shown(windows, "broken")
    assert refused.value.reason is Reason.NOT_OFFERED
    shown(windows, ":3").close()


@pytest.mark.parametrize(
    ("display", "environment", "driver"),
    [
        (":5", {}, "x11"),
        ("wayland-1", {}, "wayland"),
        ("kmsdrm", {"DISPLAY": ":0"}, "KMSDRM"),
        ("", {"DISPLAY": ":0"}, "x11"),
        ("", {"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0", "XDG_RUNTIME_DIR": "/run"}, "wayland"),
    ],
)
def test_which_display_is_meant(
    tmp_path: Path, display: str, environment: dict[str, str], driver: str
) -> None:
    assert driver_of(display, environment, tmp_path)[0] == driver


def test_no_display_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="DISPLAY") as refused:
        driver_of("", {}, tmp_path)
    assert refused.value.reason is Reason.NOT_OFFERED
    assert refused.value.metadata["what"] == "window"
    (tmp_path / "card0").touch()
    assert driver_of("", {}, tmp_path)[0] == "KMSDRM"


@pytest.mark.parametrize("display", ["tv", "\0", ":0\0", "wayland-0\n"])
def test_what_is_no_display_is_refused(tmp_path: Path, display: str) -> None:
    with pytest.raises(Refused) as refused:
        driver_of(display, {}, tmp_path)
    assert refused.value.reason is Reason.FIELD_INVALID
    assert refused.value.metadata["field"] == "window.display"


def test_sdl_is_found_without_starting_a_process() -> None:
    pytest.importorskip("sdl2")
    watch = "import os, sys; sys.addaudithook(lambda what, _: what == 'subprocess.Popen' and os._exit(3)); "
    load = "from mediaagentd.media.views import sdl; sdl._load()"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", watch + load], check=False).returncode == 0
