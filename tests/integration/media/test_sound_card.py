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
microphone, speaker = devices.make_microphone("default"), make_sink("default")
speaker.open()
microphone.start(take, errors.append)
due = time.monotonic()
for number in range(400):
    speaker.write(tone(700.0).reshape(-1, 960)[number % 50])
    due += 0.02
    if enough.wait(max(0.0, due - time.monotonic())):
        break
microphone.stop()
speaker.close()
assert not errors, errors
sound = np.concatenate([block.samples for block in heard])[48_000:]
times = np.diff([block.captured for block in heard])
hertz = np.abs(np.fft.rfft(sound)).argmax() * 48_000 / len(sound)
print(round(float(hertz)), round(float(np.median(times)), 3))
"""


@pytest.fixture
def sound_system() -> Iterator[dict[str, str]]:
    """The environment of a program that has a sound card: a short path, for a socket's name is short."""
    if shutil.which("pulseaudio") is None or shutil.which("parec") is None:
        pytest.skip("needs pulseaudio and pulseaudio-utils")
    with tempfile.TemporaryDirectory(prefix="pa") as folder:
        home = Path(folder)
        (home / ".asoundrc").write_text("pcm.!default { type pulse }\nctl.!default { type pulse }\n")
        socket = home / "native"
        environment = {
            **os.environ, "HOME": folder, "XDG_RUNTIME_DIR": folder, "PULSE_SERVER": f"unix:{socket}"
        }  # fmt: skip
        server = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "-L", "module-null-sink sink_name=spk rate=48000",
             "-L", f"module-native-protocol-unix auth-anonymous=1 socket={socket}"],
            env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        began = time.monotonic()
        while not socket.exists() and time.monotonic() - began < PATIENCE:
            time.sleep(0.02)
        # Held open, or the first stream stalls for two seconds (facts.md section 3).
        listener = subprocess.Popen(
            ["parec", "--latency-msec=10", "-d", "spk.monitor"], env=environment, stdout=subprocess.DEVNULL
        )
        try:
            choose = ["pactl", "set-default-source", "spk.monitor"]
            subprocess.run(choose, env=environment, check=True, timeout=PATIENCE)
            yield environment
        finally:
            for process in (listener, server):
                process.terminate()
                process.wait(PATIENCE)


def test_what_the_speaker_says_the_microphone_hears(sound_system: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**sound_system, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    hertz, interval = done.stdout.split()[-2:]
    assert abs(int(hertz) - 700) < 5
    assert abs(float(interval) - 0.02) < 0.004
