"""Sound in two channels: what is said on the left is heard on the left, and in a recording too."""

from __future__ import annotations

import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
from mediaagentd.media.capture.synthetic import tone
from mediaagentd.media.types import SoundStyle
from mediaagentd.media.views.types import FileView, View
from numpy.typing import NDArray

from tests.integration.media.pair import Pair, settings, until

LEFT, RIGHT = 440.0, 1000.0


def written(path: Path) -> Path:
    """Two tones, one on each side."""
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.stack([tone(LEFT), tone(RIGHT)], axis=1).astype("<i2").tobytes())
    return path


def tones(sound: NDArray[Any]) -> list[float]:
    """The loudest tone of each channel, Hz."""
    spectra = np.abs(np.fft.rfft(sound, axis=0))
    return [float(place) * 48_000 / len(sound) for place in spectra.argmax(axis=0)]


async def test_two_tones_arrive_each_on_its_side(tmp_path: Path) -> None:
    music = SoundStyle(music=True, stereo=True)
    source, heard, recorded = written(tmp_path / "two.wav"), tmp_path / "heard.wav", tmp_path / "bob.mkv"
    alice = replace(settings("alice", speaker=f"wav:{heard}"), sound=music)
    bob = replace(settings("bob", microphone=f"file:{source}"), sound=music)
    async with Pair(alice, bob) as pair:
        await pair.bob.open_camera()
        await pair.connect()
        await pair.alice.engine.start_view(View("file", "bob", FileView(str(recorded))))
        await until(lambda: pair.alice.figures().audio_slots_played > 60)
        stats = pair.bob.figures().stats.audio_sent
        assert 90_000 < stats.bytes * 8 / (stats.packets * 0.02) < 180_000, "music: about 128 kbit/s"
    with wave.open(str(heard)) as reader:
        assert reader.getnchannels() == 2
        sound = np.frombuffer(reader.readframes(reader.getnframes()), np.int16).reshape(-1, 2)
    assert np.allclose(tones(sound[-48_000:]), (LEFT, RIGHT), atol=5)
    with av.open(str(recorded)) as file:
        frames = [frame.to_ndarray() for frame in file.decode(audio=0)]
    assert np.allclose(tones(np.concatenate(frames, axis=1).T), (LEFT, RIGHT), atol=5)


async def test_who_hears_one_channel_gets_one(tmp_path: Path) -> None:
    """A voice by default: the far end says nothing of two channels, so it hears the sum of both at less."""
    source, heard = written(tmp_path / "two.wav"), tmp_path / "heard.wav"
    bob = replace(settings("bob", microphone=f"file:{source}"), sound=SoundStyle(stereo=True))
    async with Pair(settings("alice", speaker=f"wav:{heard}"), bob) as pair:
        await pair.connect(video=False)
        await until(lambda: pair.alice.figures().audio_slots_played > 50)
        stats = pair.bob.figures().stats.audio_sent
        assert stats.bytes * 8 / (stats.packets * 0.02) < 45_000, "a voice: about 32 kbit/s"
    with wave.open(str(heard)) as reader:
        assert reader.getnchannels() == 1
        sound = np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
    spectrum = np.abs(np.fft.rfft(sound[-24_000:]))
    assert {int(place) * 2 for place in np.argsort(spectrum)[-2:]} == {LEFT, RIGHT}
