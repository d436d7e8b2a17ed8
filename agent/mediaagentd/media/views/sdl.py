"""Windows by SDL 2: X11, Wayland, or the bare display through KMS. In a process of its own
(`screen.py`): most devices show no window, and SDL may end the process that it is in.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mediaagentd.errors import Reason, Refused, field_invalid
from mediaagentd.media.types import Size

EMPTY = Size(640, 480)
"""Of a window that has not shown a picture yet."""

LIBRARY = "libSDL2-2.0.so.0"
"""SDL 2, as its makers name it on Linux."""

BARE = "kmsdrm"
"""The display's name that stands for the device's own screen, without a window system."""


@dataclass(frozen=True, slots=True)
class Planes:
    """A picture in 4:2:0: where each plane begins in `pixels`, and the bytes of a line of each."""

    size: Size
    pixels: mmap.mmap
    offsets: tuple[int, ...]
    lines: tuple[int, ...]


def not_offered(why: str) -> Refused:
    """No window can be shown here."""
    return Refused(Reason.NOT_OFFERED, f"window: {why}", {"what": "window"})


def driver_of(
    display: str, environment: Mapping[str, str], dri: Path = Path("/dev/dri")
) -> tuple[str, dict[str, str]]:
    """SDL's driver for a display, and the environment that it wants. A display is `:0` or `host:0` (X11),
    `wayland-0` (Wayland), `kmsdrm`, or "" for the first of these that there is.

    Raises: Refused NOT_OFFERED when there is none, FIELD_INVALID for a name that is none of them.
    """
    if not display.isprintable():
        raise field_invalid("window.display", "holds a control character")
    if display == BARE:
        return "KMSDRM", {}
    if display.startswith("wayland"):
        return "wayland", {"WAYLAND_DISPLAY": display}
    if ":" in display:
        return "x11", {"DISPLAY": display}
    if display:
        raise field_invalid("window.display", f"neither :0, wayland-0 nor {BARE}")
    if environment.get("WAYLAND_DISPLAY") and environment.get("XDG_RUNTIME_DIR"):
        return "wayland", {}
    if environment.get("DISPLAY"):
        return "x11", {}
    if any(dri.glob("card*")):
        return "KMSDRM", {}
    raise not_offered(
        "there is no display: neither DISPLAY nor WAYLAND_DISPLAY is set, and no /dev/dri/card*"
    )


def _load() -> Any:
    try:
        with _found_without_a_process():
            import sdl2
    except ModuleNotFoundError:
        raise not_offered("PySDL2 is missing: pip install pysdl2") from None
    except ImportError:
        raise not_offered("SDL 2 is missing: apt install libsdl2-2.0-0") from None
    return sdl2


@contextlib.contextmanager
def _found_without_a_process() -> Iterator[None]:
    """PySDL2 looks for SDL by starting `ldconfig`, which takes time and is not everywhere. The dynamic loader
    knows where SDL is.
    """
    search = ctypes.util.find_library

    def find(name: str) -> str | None:
        if not name.startswith("SDL2"):
            return search(name)
        return LIBRARY if name == "SDL2-2.0" else None

    ctypes.util.find_library = find
    try:
        yield
    finally:
        ctypes.util.find_library = search


@contextlib.contextmanager
def _environment(wanted: Mapping[str, str]) -> Iterator[None]:
    """SDL reads the display's name from the process's environment."""
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class SdlScreen:
    """One display. Raises: Refused NOT_OFFERED, FIELD_INVALID when it cannot be opened."""

    def __init__(self, display: str) -> None:
        driver, environment = driver_of(display, os.environ)
        self._sdl = sdl = _load()
        # SIGTERM is the daemon's; and a screen that shows a call is to stay bright.
        sdl.SDL_SetHint(b"SDL_NO_SIGNAL_HANDLERS", b"1")
        sdl.SDL_SetHint(b"SDL_VIDEO_ALLOW_SCREENSAVER", b"0")
        with _environment(environment):
            if sdl.SDL_VideoInit(driver.encode()) != 0:
                raise not_offered(f"the display {display or driver} cannot be opened: {_error(sdl)}")

    def window(self, title: str, fullscreen: bool) -> SdlWindow:
        """A new window. Raises: Refused NOT_OFFERED."""
        return SdlWindow(self._sdl, title, fullscreen)

    def closed(self) -> list[int]:
        """The ids of windows that somebody has closed by hand since."""
        sdl, event, found = self._sdl, self._sdl.SDL_Event(), []
        while sdl.SDL_PollEvent(ctypes.byref(event)):
            if event.type == sdl.SDL_WINDOWEVENT and event.window.event == sdl.SDL_WINDOWEVENT_CLOSE:
                found.append(int(event.window.windowID))
        return found

    def close(self) -> None:
        """Gives the display back."""
        self._sdl.SDL_VideoQuit()


class SdlWindow:
    """One window; the picture keeps its shape in it."""

    def __init__(self, sdl: Any, title: str, fullscreen: bool) -> None:
        self._sdl = sdl
        self._fullscreen = fullscreen
        self._size: Size | None = None
        self._texture: Any = None
        place = sdl.SDL_Rect(
            sdl.SDL_WINDOWPOS_UNDEFINED, sdl.SDL_WINDOWPOS_UNDEFINED, EMPTY.width, EMPTY.height
        )
        flags = sdl.SDL_WINDOW_RESIZABLE
        if (
            fullscreen
        ):  # of the display's size from the start: a display without window manager enlarges nothing
            sdl.SDL_GetDisplayBounds(0, ctypes.byref(place))
            flags = sdl.SDL_WINDOW_FULLSCREEN_DESKTOP | sdl.SDL_WINDOW_BORDERLESS
        self._window = sdl.SDL_CreateWindow(title.encode(), place.x, place.y, place.w, place.h, flags)
        self._renderer = sdl.SDL_CreateRenderer(self._window, -1, 0) if self._window else None
        if not self._renderer:
            why = _error(sdl)
            self.close()
            raise not_offered(why)
        self.id = int(sdl.SDL_GetWindowID(self._window))
        if fullscreen:
            sdl.SDL_ShowCursor(sdl.SDL_DISABLE)
        self._present()

    def draw(self, picture: Planes) -> None:
        """Shows a picture."""
        if picture.size != self._size:
            self._resize(picture.size)
        start = ctypes.c_ubyte.from_buffer(picture.pixels)
        planes: list[Any] = []
        for offset, line in zip(picture.offsets, picture.lines, strict=True):
            address = ctypes.addressof(start) + offset
            planes += [ctypes.cast(address, ctypes.POINTER(ctypes.c_ubyte)), line]
        self._sdl.SDL_UpdateYUVTexture(self._texture, None, *planes)
        self._present()

    def close(self) -> None:
        """Ends it."""
        if self._texture:
            self._sdl.SDL_DestroyTexture(self._texture)
        if self._renderer:
            self._sdl.SDL_DestroyRenderer(self._renderer)
        if self._window:
            self._sdl.SDL_DestroyWindow(self._window)

    def _present(self) -> None:
        self._sdl.SDL_RenderClear(self._renderer)
        if self._texture:
            self._sdl.SDL_RenderCopy(self._renderer, self._texture, None, None)
        self._sdl.SDL_RenderPresent(self._renderer)

    def _resize(self, size: Size) -> None:
        sdl, first = self._sdl, self._size is None
        if self._texture:
            sdl.SDL_DestroyTexture(self._texture)
        self._texture = sdl.SDL_CreateTexture(
            self._renderer,
            sdl.SDL_PIXELFORMAT_IYUV,
            sdl.SDL_TEXTUREACCESS_STREAMING,
            size.width,
            size.height,
        )
        if first and not self._fullscreen:
            sdl.SDL_SetWindowSize(self._window, size.width, size.height)
        sdl.SDL_RenderSetLogicalSize(self._renderer, size.width, size.height)
        self._size = size


def _error(sdl: Any) -> str:
    return str(sdl.SDL_GetError().decode(errors="replace")) or "no reason given"
