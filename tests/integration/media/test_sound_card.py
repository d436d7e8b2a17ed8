"""The real path of sound: PortAudio, ALSA and a private PulseAudio whose speaker is its microphone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.media.sound_system import PATIENCE, SoundSystem

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
from mediaagentd.media.capture import soundcard
from mediaagentd.media.listening import Listening

listening.REOPEN, soundcard.AGAIN = 0.3, 0.3

async def main():
    def take(_sound):
        if not told:
            told.append("sound")
            print("sound", flush=True)
    told, over = [], asyncio.Event()
    threads = ThreadPoolExecutor(1)
    ears = Listening(threads, make=lambda: devices.make_microphone(sys.argv[1]), take=take,
                     lost=lambda refused: print("lost", refused.metadata["code"], flush=True), found=over.set)
    ears.want(True)
    await over.wait()
    print("found", flush=True)
    ears.want(False)
    threads.shutdown()
asyncio.run(main())
"""


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


@contextmanager
def listening(system: SoundSystem, microphone: str) -> Iterator[Iterator[str]]:
    """What a microphone says that is wanted, lost and found."""
    command, words = [sys.executable, "-c", LISTENER, microphone], (["sound"], ["lost"], ["found"])
    with subprocess.Popen(
        command, env=system.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as listener:
        assert listener.stdout is not None
        try:
            yield (line.strip() for line in listener.stdout if line.split()[:1] in words)
            assert listener.wait(PATIENCE) == 0
        finally:
            listener.kill()


def test_a_sound_server_that_goes_and_comes_back(sound_system: SoundSystem) -> None:
    with listening(sound_system, "default") as said:
        assert next(said) == "sound"
        sound_system.stop()
        assert next(said) == "lost 60003"
        sound_system.start()
        assert next(said) == "found"


def test_a_sound_card_that_is_plugged_in_later(sound_system: SoundSystem) -> None:
    with listening(sound_system, "later") as said:
        assert next(said) == "lost 60003"
        sound_system.plug_in("later")
        assert {next(said), next(said)} == {"sound", "found"}
