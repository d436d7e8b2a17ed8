"""Where sound goes: files, and cards that go, come back and hang."""

from __future__ import annotations

import threading
import time
import wave
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.capture import abandoned
from mediaagentd.media.capture.synthetic import tone
from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.opus import OpusEncoder
from mediaagentd.media.playout import playout as playing
from mediaagentd.media.playout.delay import SLOT
from mediaagentd.media.playout.playout import Playout
from mediaagentd.media.playout.sinks import WavSink, make_sink
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, AudioFrame

from tests.unit.media.playout.heard import Heard, Unplugged, loudest


def test_a_wav_file_is_valid_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "heard.wav"
    sink = WavSink(path)
    sink.open()
    for block in tone(440.0).reshape(-1, AUDIO_FRAME):
        sink.write(block)
    with wave.open(str(path)) as reader:
        sound = np.frombuffer(reader.readframes(reader.getnframes()), np.int16)
        assert (reader.getframerate(), reader.getnchannels()) == (AUDIO_CLOCK, 1)
    assert abs(loudest(sound) - 440) < 3
    sink.close()


def test_a_wav_file_goes_on_with_the_next_call(tmp_path: Path) -> None:
    sink = WavSink(tmp_path / "heard.wav")
    for _ in range(2):
        sink.open()
        for block in tone(440.0)[: 15 * AUDIO_FRAME].reshape(-1, AUDIO_FRAME):
            sink.write(block)
        sink.rest()
    with wave.open(str(tmp_path / "heard.wav")) as reader:
        assert reader.getnframes() == 30 * AUDIO_FRAME
    sink.close()


def test_a_full_disk_ends_a_file_without_a_word_at_its_close() -> None:
    sink = WavSink(Path("/dev/full"))
    sink.open()
    sink.write(tone(440.0)[:AUDIO_FRAME])
    sink.close()


def test_a_sink_that_cannot_be_opened_leaves_the_call_alone(tmp_path: Path) -> None:
    with pytest.raises(Refused):
        WavSink(tmp_path / "nowhere" / "x.wav").open()
    playout = Playout(partial(make_sink, f"wav:{tmp_path}/nowhere/x.wav"))
    playout.add("alice")
    playout.push("alice", AudioFrame(b"x", 0, 0.0))
    playout.remove("alice")
    playout.close()


def test_a_sink_that_failed_is_tried_again_with_the_next_call() -> None:
    speaker = Unplugged()
    playout = Playout(lambda: speaker)
    playout.add("alice")
    assert speaker.failed.wait(5)
    playout.remove("alice")
    playout.add("bob")
    assert speaker.full.wait(5)
    playout.close()


def test_a_sink_that_failed_is_tried_again_in_the_same_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "REOPEN", 0.05)
    speaker = Unplugged()
    playout = Playout(lambda: speaker)
    playout.add("alice")
    assert speaker.full.wait(5)
    playout.close()


def test_a_sound_card_is_given_back_after_a_call() -> None:
    speaker = Heard(1)
    playout = Playout(lambda: speaker)
    for user in ("alice", "bob"):
        speaker.full.clear()
        speaker.blocks.clear()
        playout.add(user)
        assert speaker.full.wait(5)
        playout.remove(user)
        assert speaker.given_back.wait(5)
        assert not speaker.is_open
        speaker.given_back.clear()
    playout.close()


class Stereo(Heard):
    """Fails after five blocks, and comes back with one channel."""

    channels = 2

    def write(self, samples: Samples) -> bool:
        played = super().write(samples)
        if self.channels == 2 and len(self.blocks) == 5:
            self.channels = 1
            raise Refused(Reason.DEVICE_FAILED, "unplugged")
        return played


def test_a_card_that_returns_with_fewer_channels_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "REOPEN", 0.05)
    speaker = Stereo(40)
    playout = Playout(lambda: speaker)
    playout.add("alice")
    encoder = OpusEncoder()
    for number, block in enumerate(tone(440.0)[: 50 * AUDIO_FRAME].reshape(-1, AUDIO_FRAME)):
        playout.push("alice", AudioFrame(encoder.encode(block), number * AUDIO_FRAME, time.monotonic()))
    assert speaker.full.wait(5)
    playout.close()
    assert {block.ndim for block in speaker.blocks[5:]} == {1}
    assert any(block.any() for block in speaker.blocks[5:])


class Hanging(Heard):
    """A driver that does not come back."""

    def __init__(self) -> None:
        super().__init__(1)
        self.hangs = threading.Event()
        self.released = threading.Event()

    def write(self, samples: Samples) -> bool:
        self.hangs.set()
        return self.released.wait()


def test_a_driver_that_hangs_keeps_three_threads_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "JOIN", 0.02)
    made = [Hanging() for _ in range(8)]
    sinks = iter(made)
    playout = Playout(lambda: next(sinks), name="hanging card")
    for number in range(8):
        playout.add("alice")
        if number < abandoned.MOST:
            assert made[number].hangs.wait(5)
        playout.remove("alice")
    left = [thread for thread in threading.enumerate() if thread.name == "playout"]
    for thread in left[abandoned.MOST :]:
        thread.join(5)
    assert [thread.is_alive() for thread in left].count(True) == abandoned.MOST
    for sink in made:
        sink.released.set()
    for thread in left:
        thread.join(5)
    playout.close()


class Stuck(Hanging):
    """One that does not even come back from being opened."""

    def open(self) -> None:
        self.hangs.set()
        self.released.wait()


class Fickle(Stuck):
    """One that can be opened once, and then fails."""

    def open(self) -> None:
        if self.is_open:
            super().open()
        self.is_open = True

    def write(self, samples: Samples) -> bool:
        raise Refused(Reason.DEVICE_FAILED, "unplugged")

    def rest(self) -> None: ...


@pytest.mark.parametrize("kind", [Hanging, Stuck, Fickle])
def test_a_driver_that_hangs_is_left_alone_in_the_same_call(
    monkeypatch: pytest.MonkeyPatch, kind: type[Hanging]
) -> None:
    monkeypatch.setattr(playing, "HANGS", 0.3)
    monkeypatch.setattr(playing, "REOPEN", 0.02)
    monkeypatch.setattr(playing, "JOIN", 0.02)
    stuck, prompt = kind(), Heard(25)
    sinks = iter([stuck, prompt])
    playout = Playout(lambda: next(sinks), name=f"stuck {kind.__name__}")
    playout.add("alice")
    assert stuck.hangs.wait(5)
    encoder, number, deadline = OpusEncoder(), 0, time.monotonic() + 5
    while not prompt.full.wait(SLOT) and time.monotonic() < deadline:
        block = tone(500.0)[:AUDIO_FRAME]
        playout.push("alice", AudioFrame(encoder.encode(block), number * AUDIO_FRAME, time.monotonic()))
        number += 1
    assert any(block.any() for block in prompt.blocks)
    stuck.released.set()
    prompt.full.clear()
    prompt.blocks.clear()
    assert prompt.full.wait(5), "whoever comes back late leaves it alone"
    playout.close()


def test_a_driver_that_comes_back_leaves_the_next_call_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "JOIN", 0.02)
    slow, prompt = Hanging(), Heard(3)
    sinks = iter([slow, prompt])
    playout = Playout(lambda: next(sinks), name="slow card")
    playout.add("alice")
    assert slow.hangs.wait(5)
    (late,) = (thread for thread in threading.enumerate() if thread.name == "playout")
    playout.remove("alice")
    playout.add("bob")
    assert prompt.full.wait(5)
    slow.released.set()
    late.join(5)
    prompt.full.clear()
    prompt.blocks.clear()
    assert prompt.full.wait(5), "it is still played to"
    assert prompt.is_open
    assert not slow.is_open
    playout.close()


class Broken(Heard):
    """A driver that throws what nobody foresaw, once."""

    def __init__(self) -> None:
        super().__init__(1)
        self._throws = True

    def room(self) -> int | None:
        if self._throws:
            self._throws = False
            raise ZeroDivisionError("frames per buffer")
        return None


def test_a_driver_that_throws_does_not_end_the_playout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(playing, "REOPEN", 0.05)
    speaker = Broken()
    playout = Playout(lambda: speaker)
    playout.add("alice")
    assert speaker.full.wait(5)
    playout.close()
