"""`window` views on a display of the test's own, whose frame buffer is read back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.views import screen
from mediaagentd.media.views.types import LOCAL, View, WindowView

from tests.integration.media.display import HEIGHT, WIDTH, Display
from tests.integration.media.pair import Pair, settings, until, within

SCREENS = list(Path("/dev/dri").glob("card*"))
"""Real ones; on a machine with one "" is no refusal."""


async def test_a_window_shows_a_remote_user_and_the_camera(display: Display) -> None:
    async with Pair(settings("alice"), settings("bob")) as pair:
        await pair.bob.open_camera()
        await pair.connect()
        engine = pair.alice.engine
        assert await within(engine.start_view(View("main", "bob", WindowView(display.name)))) == ""
        await until(lambda: read_counter(display.window()) is not None)
        first = read_counter(display.window())
        assert first is not None
        await until(lambda: (read_counter(display.window()) or 0) > first + 20)
        assert display.window().shape == (480, 640)
        keep(display)
        engine.stop_view("main", "bob")
        await until(lambda: display.window().size == 0)
        await until(lambda: "windows" not in threads())
        decoded = pair.alice.figures().frames_decoded
        await pair.alice.open_camera()
        full = View("self", LOCAL, WindowView(display.name, fullscreen=True))
        await within(engine.start_view(full))
        await until(lambda: read_counter(display.window()) is not None)
        assert display.window().shape == (720, 960), "the shape is kept"
        assert pair.alice.figures().frames_decoded <= decoded + 1


async def test_no_display_is_refused_with_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    async with Pair(settings("alice"), settings("bob")) as pair:
        for display in (":4711", "") if not SCREENS else (":4711",):
            with pytest.raises(Refused) as refused:
                await within(pair.alice.engine.start_view(View("v", LOCAL, WindowView(display))))
            assert refused.value.reason is Reason.NOT_OFFERED
            assert refused.value.metadata == {"what": "window"}
            assert "display" in refused.value.message
            assert display in refused.value.message
        assert pair.alice.engine.views() == ()


KILL_ALL = """
import ctypes, sys
x = ctypes.CDLL("libX11.so.6")
x.XOpenDisplay.restype = ctypes.c_void_p
x.XDefaultRootWindow.restype = ctypes.c_ulong
display = ctypes.c_void_p(x.XOpenDisplay(sys.argv[1].encode()))
number, found = ctypes.c_ulong, ctypes.POINTER(ctypes.c_ulong)()
root, parent, count = number(), number(), ctypes.c_uint()
answers = map(ctypes.byref, (root, parent, found, count))
x.XQueryTree(display, number(x.XDefaultRootWindow(display)), *answers)
for window in found[:count.value]:
    getattr(x, sys.argv[2])(display, number(window))
x.XSync(display, 0)
"""
"""What `xkill` does, or somebody who destroys windows that are not his."""


def server_dies(display: Display) -> None:
    display.server.kill()
    display.server.wait(10)


def server_hangs(display: Display) -> None:
    display.server.send_signal(signal.SIGSTOP)


def client_is_killed(display: Display) -> None:
    subprocess.run([sys.executable, "-c", KILL_ALL, display.name, "XKillClient"], check=False)


def window_is_destroyed(display: Display) -> None:
    subprocess.run([sys.executable, "-c", KILL_ALL, display.name, "XDestroyWindow"], check=False)


@pytest.mark.parametrize("fault", [server_dies, server_hangs, client_is_killed, window_is_destroyed])
async def test_a_display_that_goes_ends_the_views_and_nothing_else(
    display: Display, fault: Callable[[Display], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screen, "ANSWER", 3.0)
    before = children()  # of other tests
    async with Pair(settings("alice"), settings("bob")) as pair:
        engine = pair.alice.engine
        await pair.alice.open_camera()
        for name in ("one", "two"):
            await within(engine.start_view(View(name, LOCAL, WindowView(display.name))))
        await until(lambda: read_counter(display.window()) is not None)
        fault(display)
        await until(lambda: engine.views() == ())
        await until(lambda: "windows" not in threads())
        assert children() <= before, "the process that drew has ended and is waited for"
        if fault in (client_is_killed, window_is_destroyed):
            await within(engine.start_view(View("again", LOCAL, WindowView(display.name))))
            await until(lambda: read_counter(display.window()) is not None)
            engine.stop_view("again", LOCAL)


def children() -> set[str]:
    """Processes of ours, also those that nobody has waited for; no display."""
    mine = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if Path(f"/proc/{pid}/comm").read_text().strip() != "Xvfb":
                mine.add(pid)
    return mine


def threads() -> set[str]:
    import threading

    return {thread.name for thread in threading.enumerate()}


def keep(display: Display) -> None:
    """A screenshot for people, where somebody wants one."""
    if folder := os.environ.get("MEDIAAGENT_TEST_SHOTS"):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(display.pixels()), format="bgr24")
        with av.open(str(Path(folder) / "window.png"), "w", format="image2") as container:
            stream = container.add_stream("png")
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
            container.mux(stream.encode(frame.reformat(format="rgb24")))
            container.mux(stream.encode(None))
