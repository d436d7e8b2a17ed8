"""The process that draws windows; `screen.py` starts it, and says what it is told and answers."""

from __future__ import annotations

import json
import mmap
import signal
import socket
import sys
from typing import Any

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.types import Size
from mediaagentd.media.views.sdl import Planes, SdlScreen, SdlWindow, not_offered


class Drawing:
    """Does what it is told on one display; `memory` is a file descriptor of the pictures."""

    def __init__(self, screen: SdlScreen, memory: int) -> None:
        self._screen = screen
        self._memory = memory
        self._pixels: mmap.mmap | None = None
        self._windows: dict[int, SdlWindow] = {}

    def do(self, command: dict[str, Any]) -> object:
        """One command. Raises: Refused."""
        match command["do"]:
            case "window":
                window = self._screen.window(command["title"], command["fullscreen"])
                self._windows[window.id] = window
                return window.id
            case "draw":
                self._draw(self._windows[command["window"]], Size(*command["size"]), command["lines"])
            case "close":
                self._windows.pop(command["window"]).close()
            case "closed":
                return self._screen.closed()
        return None

    def _draw(self, window: SdlWindow, size: Size, lines: list[int]) -> None:
        rows = (size.height, (size.height + 1) // 2, (size.height + 1) // 2)
        lengths = [line * count for line, count in zip(lines, rows, strict=True)]
        if self._pixels is None or len(self._pixels) < sum(lengths):
            if self._pixels is not None:
                self._pixels.close()
            self._pixels = mmap.mmap(self._memory, 0)
        offsets = (0, lengths[0], lengths[0] + lengths[1])
        window.draw(Planes(size, self._pixels, offsets, tuple(lines)))


def serve(orders: socket.socket, memory: int, display: str) -> None:
    """Until the other end of `orders` is closed."""
    try:
        screen = SdlScreen(display)
    except Exception as error:
        orders.send(_refusal(error))
        return
    orders.send(_answer(None))
    drawing = Drawing(screen, memory)
    while command := orders.recv(65536):
        try:
            answer = _answer(drawing.do(json.loads(command)))
        except Exception as error:  # of this window; what ends the display ends the process
            answer = _refusal(error)
        orders.send(answer)
    screen.close()


def _answer(value: object) -> bytes:
    return json.dumps({"ok": value}).encode()


def _refusal(error: Exception) -> bytes:
    refused = error if isinstance(error, Refused) else not_offered(f"{type(error).__name__}: {error}")
    reason: Reason = refused.reason
    return json.dumps({"refused": [reason.name, refused.message, dict(refused.metadata)]}).encode()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd sends it to all; the daemon says when it is over
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]), sys.argv[3])
