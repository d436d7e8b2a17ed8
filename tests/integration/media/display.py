"""A display of a test's own, whose frame buffer is read back."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

WIDTH, HEIGHT = 1280, 720


@dataclass
class Display:
    """A virtual display; its frame buffer is a file in X's window dump format."""

    name: str
    file: Path
    server: subprocess.Popen[bytes]

    def pixels(self) -> NDArray[np.uint8]:
        """Rows, columns, and blue, green, red."""
        data = self.file.read_bytes()
        header, *_ = struct.unpack(">I", data[:4])
        colours = struct.unpack(">I", data[76:80])[0]
        start = header + colours * 12
        plane: NDArray[np.uint8] = np.frombuffer(data, np.uint8, WIDTH * HEIGHT * 4, start)
        return plane.reshape(HEIGHT, WIDTH, 4)[:, :, :3]

    def window(self) -> NDArray[np.uint8]:
        """Luma of what is not the black background, nothing above or left of it."""
        luma: NDArray[np.uint8] = (self.pixels() @ np.array([0.114, 0.587, 0.299])).astype(np.uint8)
        rows, columns = np.flatnonzero(luma.max(axis=1) > 40), np.flatnonzero(luma.max(axis=0) > 40)
        if len(rows) == 0:
            return np.zeros((0, 0), np.uint8)
        return luma[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


@pytest.fixture
def display() -> Iterator[Display]:
    if shutil.which("Xvfb") is None:
        pytest.skip("needs xvfb")
    with tempfile.TemporaryDirectory(prefix="xv") as folder:
        ready, ours = os.pipe()
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(ours), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-fbdir", folder,
             "-nolisten", "tcp", "-br"],
            pass_fds=[ours], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(ours)
        try:
            with os.fdopen(ready) as said:
                name = ":" + said.readline().strip()
            yield Display(name, Path(folder) / "Xvfb_screen0", server)
        finally:
            server.send_signal(signal.SIGCONT)
            server.terminate()
            server.wait(10)
