"""A display, drawn on by a process of its own.

Graphics libraries end the process that they are in: Xlib calls `exit` when the X server goes or somebody
kills a window; drivers crash, or never return. So SDL lives in a child (`drawing.py`), which such things end
alone. It gets pictures through shared memory, and answers each command before the next is given.

Commands and answers are JSON, one a datagram, over a pair of sockets. The first answer says whether the
display could be opened; afterwards:

    {"do": "window", "title": "bob", "fullscreen": false}   ->  {"ok": 1}, its number
    {"do": "draw", "window": 1, "size": [640, 480], "lines": [640, 320, 320]}   ->  {"ok": null}
    {"do": "close", "window": 1}   ->  {"ok": null}
    {"do": "closed"}   ->  {"ok": [1]}, windows that somebody has closed by hand since

or {"refused": [reason, message, metadata]}. The planes lie in the memory one after the other; `lines` are the
bytes of a line of each. The child ends when its socket does.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import socket
import subprocess
import sys
from typing import Any

from av import VideoFrame

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture.convert import converted

ANSWER = 10.0
"""Seconds until a display that does not answer is given up; the first answer takes the start of a process."""

END = 0.5
"""Seconds that the process may take to end before it is killed, and again until it is left alone."""

LONGEST = 65536
"""Bytes of a command or an answer."""


class DisplayLostError(Exception):
    """The display, and every window on it, is gone."""


class ScreenProcess:
    """One display, used by one thread. Raises: Refused NOT_OFFERED, FIELD_INVALID when it cannot be opened;
    any method raises `DisplayLostError` when it has gone meanwhile, and from then on.
    """

    def __init__(self, display: str) -> None:
        self._pixels: mmap.mmap | None = None
        self._memory = os.memfd_create("pictures")
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.settimeout(ANSWER)
        self._process: subprocess.Popen[bytes] | None = None
        try:
            with theirs:
                self._process = _start(theirs.fileno(), self._memory, display)
            self._answer()
        except BaseException:
            self.close()
            raise

    def window(self, title: str, fullscreen: bool) -> ScreenWindow:
        """A new window. Raises: Refused NOT_OFFERED."""
        return ScreenWindow(self, int(self.ask(do="window", title=title, fullscreen=fullscreen)))

    def closed(self) -> list[int]:
        """The ids of windows that somebody has closed by hand since."""
        return [int(number) for number in self.ask(do="closed")]

    def share(self, frame: VideoFrame) -> list[int]:
        """Puts a `yuv420p` picture's planes where the process finds them; the bytes of a line of each."""
        pixels = self._room(sum(plane.buffer_size for plane in frame.planes))
        at = 0
        for plane in frame.planes:
            pixels[at : at + plane.buffer_size] = memoryview(plane)
            at += plane.buffer_size
        return [plane.line_size for plane in frame.planes]

    def ask(self, **command: object) -> Any:
        """Has the process do it; what it answers. Raises: Refused, DisplayLostError."""
        try:
            self._socket.send(json.dumps(command).encode())
        except OSError as error:
            raise DisplayLostError(f"its process has ended: {error}") from None
        return self._answer()

    def close(self) -> None:
        """Gives the display back. Waits for a bounded time for the process's end."""
        self._socket.close()
        if self._process is not None:
            _end(self._process)
        if self._pixels is not None:
            self._pixels.close()
        os.close(self._memory)

    def _answer(self) -> Any:
        try:
            answer = self._socket.recv(LONGEST)
        except TimeoutError:
            self._socket.close()  # a late answer would be taken for that to the next command
            raise DisplayLostError(f"no answer within {ANSWER:g} s") from None
        except OSError as error:
            raise DisplayLostError(f"its process has ended: {error}") from None
        if not answer:
            raise DisplayLostError("its process has ended")
        said = json.loads(answer)
        if "refused" in said:
            reason, message, metadata = said["refused"]
            raise Refused(Reason[reason], message, metadata)
        return said["ok"]

    def _room(self, size: int) -> mmap.mmap:
        """Shared memory of at least so many bytes."""
        if self._pixels is None or len(self._pixels) < size:
            os.ftruncate(self._memory, size)
            if self._pixels is not None:
                self._pixels.close()
            self._pixels = mmap.mmap(self._memory, size)
        return self._pixels


class ScreenWindow:
    """One window; the picture keeps its shape in it."""

    def __init__(self, screen: ScreenProcess, number: int) -> None:
        self.id = number
        self._screen = screen

    def draw(self, frame: VideoFrame) -> None:
        """Shows a picture."""
        if frame.format.name != "yuv420p":
            frame = converted(frame, pixel_format="yuv420p")
        lines = self._screen.share(frame)
        self._screen.ask(do="draw", window=self.id, size=[frame.width, frame.height], lines=lines)

    def close(self) -> None:
        """Ends it."""
        self._screen.ask(do="close", window=self.id)


def _start(orders: int, memory: int, display: str) -> subprocess.Popen[bytes]:
    """Both are file descriptors."""
    return subprocess.Popen(  # noqa: S603 # nothing in it comes from outside but the display, no shell sees it
        [sys.executable, "-P", "-m", "mediaagentd.media.views.drawing", str(orders), str(memory), display],
        pass_fds=(orders, memory),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is the daemon's
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        try:
            process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END)
