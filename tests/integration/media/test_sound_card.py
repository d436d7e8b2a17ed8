"""The real path of sound: PortAudio, ALSA and a private PulseAudio whose speaker is its microphone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PATIENCE = 10.0

PROGRAM = """
import threading, time
import numpy as np
from mediaagentd.media import devices
from mediaagentd.media.capture.synthetic import tone
from mediaagentd.media.playout.sinks import make_sink

assert devices.resolve_microphone("auto") == devices.resolve_speaker("auto") == "default"
heard, enough, errors = [], threading.Event(), []
def take(sound):
    heard.append(sound)
    if len(heard) == 120:
        enough.set()
microphone = devices.make_microphone("default", stereo=True)
speaker = make_sink("default", stereo=True)
speaker.open()
assert speaker.channels == 2
both = np.stack([tone(700.0), tone(1100.0)], axis=1).reshape(-1, 960, 2)
microphone.start(take, errors.append)
due = time.monotonic()
for number in range(400):
    speaker.write(both[number % 50])
    due += 0.02
    if enough.wait(max(0.0, due - time.monotonic())):
        break
microphone.stop()
speaker.close()
assert not errors, errors
sound = np.concatenate([block.samples for block in heard])[48_000:]
times = np.diff([block.captured for block in heard])
left, right = np.abs(np.fft.rfft(sound, axis=0)).argmax(axis=0) * 48_000 / len(sound)
print(round(float(left)), round(float(right)), round(float(np.median(times)), 3))
"""


LISTENER = """
import asyncio, sys
from concurrent.futures import ThreadPoolExecutor
from mediaagentd.media import devices, listening
from mediaagentd.media.listening import Listening

listening.REOPEN = 0.3

async def main():
    def take(_sound):
        if not told:
            told.append("sound")
            print("sound", flush=True)
    told, over = [], asyncio.Event()
    threads = ThreadPoolExecutor(1)
    ears = Listening(threads, make=lambda: devices.make_microphone("default"), take=take,
                     lost=lambda refused: print("lost", refused.metadata["code"], flush=True), found=over.set)
    ears.want(True)
    await over.wait()
    print("found", flush=True)
    ears.want(False)
    threads.shutdown()
asyncio.run(main())
"""


class SoundSystem:
    """A private PulseAudio below a short path, for a socket's name is short."""

    def __init__(self, home: Path) -> None:
        (home / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        self._socket = home / "native"
        self._processes: list[subprocess.Popen[bytes]] = []
        paths = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PULSE_SERVER": f"unix:{self._socket}"}
        self.environment = {**os.environ, **paths, "PYTHONPATH": os.pathsep.join(sys.path)}

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


def test_what_the_speaker_says_the_microphone_hears(sound_system: SoundSystem) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=sound_system.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    left, right, interval = done.stdout.split()[-3:]
    assert abs(int(left) - 700) < 5
    assert abs(int(right) - 1100) < 5
    assert abs(float(interval) - 0.02) < 0.004


def test_a_sound_server_that_goes_and_comes_back(sound_system: SoundSystem) -> None:
    command = [sys.executable, "-c", LISTENER]
    with subprocess.Popen(
        command, env=sound_system.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as listener:
        assert listener.stdout is not None
        said = (
            line.strip() for line in listener.stdout if line.split()[:1] in (["sound"], ["lost"], ["found"])
        )
        assert next(said) == "sound"
        sound_system.stop()
        assert next(said) == "lost 60003"
        sound_system.start()
        assert next(said) == "found"
        assert listener.wait(PATIENCE) == 0
