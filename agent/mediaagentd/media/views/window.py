"""`window` views: one thread draws all windows, newest picture wins; it ends with the last of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Protocol

import structlog
from av import VideoFrame

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.views.screen import DisplayLostError, ScreenProcess
from mediaagentd.media.views.types import WindowView

_log = structlog.stdlib.get_logger()

PUMP = 0.1
"""Seconds between two looks at what people do with the windows while no picture comes."""

OPEN = 5.0
"""Seconds that a display may take to be opened."""

JOIN = 1.0
"""Seconds to wait for the thread's end."""


class Surface(Protocol):
    """What is drawn on."""

    id: int

    def draw(self, frame: VideoFrame) -> None:
        """Shows a picture."""

    def close(self) -> None:
        """Ends it."""


class Screen(Protocol):
    """A display, used by one thread. All of it raises `DisplayLostError` once it has gone."""

    def window(self, title: str, fullscreen: bool) -> Surface:
        """A new window. Raises: Refused."""

    def closed(self) -> list[int]:
        """Windows that somebody has closed by hand."""

    def close(self) -> None:
        """Gives the display back."""


class Window:
    """One view. `opened` is done when it is on the screen, or Refused; `gone` is called, in the windows'
    thread, when somebody has closed it by hand or it cannot be drawn any more.
    """

    def __init__(
        self, changed: threading.Condition, view: WindowView, title: str, gone: Callable[[], None]
    ) -> None:
        self.view = view
        self.title = title
        self.gone = gone
        self.opened: Future[None] = Future()
        self.surface: Surface | None = None
        self.over = False
        self._changed = changed
        self._newest: RawPicture | None = None

    def on_picture(self, picture: RawPicture) -> None:
        """A decoded picture, in any thread; returns at once."""
        with self._changed:
            self._newest = picture
            self._changed.notify()

    def close(self) -> None:
        """Ends it, in any thread; returns at once."""
        with self._changed:
            self.over = True
            self._changed.notify()

    @property
    def due(self) -> bool:
        """Whether something is to be done for it."""
        return self.over or self.surface is None or self._newest is not None

    def take(self) -> RawPicture | None:
        """The newest picture, once."""
        picture, self._newest = self._newest, None
        return picture


class Windows:
    """All windows of this device, on one display at a time."""

    def __init__(self, make_screen: Callable[[str], Screen] = ScreenProcess) -> None:
        self._make_screen = make_screen
        self._one_display = threading.Lock()
        self._session: _Session | None = None

    def open(self, view: WindowView, title: str, gone: Callable[[], None]) -> Window:
        """Opens one in the background. Raises: Refused LIMIT_EXCEEDED for a second display."""
        session = self._session
        same = session is not None and session.display == view.display
        window = session.open(view, title, gone) if session is not None and same else None
        if window is not None:
            return window
        if session is not None and session.is_shown:
            limit = {"limit": "displays", "value": "1"}
            raise Refused(
                Reason.LIMIT_EXCEEDED, "window.display: there are windows on another display", limit
            )
        session = self._session = _Session(view.display, self._make_screen, self._one_display)
        window = session.open(view, title, gone)
        assert window is not None
        return window

    def join(self) -> None:
        """Waits a little for the thread when there are no more windows; not on the loop."""
        if self._session is not None and not self._session.is_shown:
            self._session.join()


class _Session:
    """A display from its first window to its last, and the thread that draws on it."""

    def __init__(self, display: str, make_screen: Callable[[str], Screen], turn: threading.Lock) -> None:
        self.display = display
        self._make_screen = make_screen
        self._turn_of = turn
        self._changed = threading.Condition()
        self._windows: list[Window] = []
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="windows", daemon=True)

    @property
    def is_shown(self) -> bool:
        """Whether there is a window."""
        with self._changed:
            return any(not window.over for window in self._windows)

    def open(self, view: WindowView, title: str, gone: Callable[[], None]) -> Window | None:
        """One more window; None when the session has ended."""
        window = Window(self._changed, view, title, gone)
        with self._changed:
            if self._ended:
                return None
            self._windows.append(window)
            self._changed.notify()
        if self._thread.ident is None:
            self._thread.start()
        return window

    def join(self) -> None:
        """Waits a little for the end."""
        self._thread.join(JOIN)

    def _run(self) -> None:
        with self._turn_of:  # the display of the session before is given back first
            try:
                screen = self._make_screen(self.display)
            except Exception as error:
                self._end(error)
                return
            try:
                while windows := self._next():
                    by_hand = screen.closed()
                    for window in windows:
                        closed = window.surface is not None and window.surface.id in by_hand
                        self._serve(screen, window, closed)
            except Exception as error:  # a display that goes ends its views, not the daemon
                self._end(error)
            finally:
                screen.close()

    def _end(self, error: Exception) -> None:
        """Gives up all windows, those too that are opened meanwhile."""
        while windows := self._settled():
            for window in windows:
                self._give_up(window, error)

    def _next(self) -> list[Window]:
        """The windows, those that are over for the last time; none when all have ended."""
        with self._changed:
            if not any(window.due for window in self._windows):
                self._changed.wait(PUMP)
        return self._settled()

    def _settled(self) -> list[Window]:
        with self._changed:
            windows = list(self._windows)
            self._ended = not windows
            self._windows = [window for window in windows if not window.over]
            return windows

    def _serve(self, screen: Screen, window: Window, closed: bool) -> None:
        try:
            if window.over:
                if window.surface is not None:
                    window.surface.close()
                return
            if window.surface is None:
                window.surface = screen.window(window.title, window.view.fullscreen)
                window.opened.set_result(None)
            if (picture := window.take()) is not None:
                window.surface.draw(picture.frame)
            if closed:
                window.gone()
        except DisplayLostError:
            raise
        except Exception as error:  # a picture that cannot be drawn ends the view
            self._give_up(window, error)

    def _give_up(self, window: Window, error: Exception) -> None:
        if window.over:
            return
        window.close()
        if window.opened.done():
            _log.error("window_failed", error=str(error))
            window.gone()
        else:
            window.opened.set_exception(_refusal(error))


def _refusal(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    return Refused(Reason.NOT_OFFERED, f"window: {error}", {"what": "window"})
