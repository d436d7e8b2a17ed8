"""A sound system of a test's own: a PulseAudio whose speaker is its microphone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.fakes.voices import blocks

PATIENCE = 10.0


class SoundSystem:
    """A private PulseAudio below a short path, for a socket's name is short."""

    def __init__(self, home: Path) -> None:
        self._cards = home / ".asoundrc"
        self.plug_in("default")
        self._socket = home / "native"
        self._processes: list[subprocess.Popen[bytes]] = []
        server = f"unix:{self._socket}"
        self.variables = {"XDG_RUNTIME_DIR": str(home), "PULSE_SERVER": server, "HOME": str(home)}
        """What leads a program to it."""
        self.environment = {**os.environ, **self.variables, "PYTHONPATH": os.pathsep.join(sys.path)}

    def plug_in(self, name: str) -> None:
        """From now on programs find a card of that name."""
        with self._cards.open("a") as file:
            file.write(f"pcm.!{name} {{ type pulse }}\nctl.!{name} {{ type pulse }}\n")

    def start(self) -> None:
        """Its speaker is its microphone."""
        self._socket.unlink(missing_ok=True)
        self._run(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "-L", "module-null-sink sink_name=spk rate=48000",
             "-L", f"module-native-protocol-unix auth-anonymous=1 socket={self._socket}"],
        )  # fmt: skip
        began = time.monotonic()
        while not self._socket.exists() and time.monotonic() - began < PATIENCE:
            time.sleep(0.02)
        # Held open, or the first stream stalls for two seconds (facts.md section 3).
        self._run(["parec", "--latency-msec=10", "-d", "spk.monitor"])
        choose = ["pactl", "set-default-source", "spk.monitor"]
        subprocess.run(choose, env=self.environment, check=True, timeout=PATIENCE)

    def play(self, sound: NDArray[np.float64]) -> None:
        """Through the speaker, beside whatever else is; returns when it has been heard."""
        raw = ["--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=50"]
        command, data = ["pacat", "--playback", *raw, "-d", "spk"], blocks(sound).tobytes()
        subprocess.run(command, input=data, env=self.environment, check=True, timeout=2 * PATIENCE)

    def stop(self) -> None:
        """As a sound server does that crashes: its clients are not asked."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(PATIENCE)
        self._processes.clear()

    def _run(self, command: list[str]) -> None:
        silent = subprocess.DEVNULL
        self._processes.append(subprocess.Popen(command, env=self.environment, stdout=silent, stderr=silent))


@pytest.fixture
def sound_system() -> Iterator[SoundSystem]:
    if shutil.which("pulseaudio") is None or shutil.which("parec") is None:
        pytest.skip("needs pulseaudio and pulseaudio-utils")
    with tempfile.TemporaryDirectory(prefix="pa") as folder:
        system = SoundSystem(Path(folder))
        try:
            system.start()
            yield system
        finally:
            system.stop()
