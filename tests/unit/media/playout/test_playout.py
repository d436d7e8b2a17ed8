"""Mixer and sinks: what is heard is what was said."""

from __future__ import annotations

import gc
import threading
import time
import wave
import weakref
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
from mediaagentd.media.playout.buffer import Fill, PlayoutBuffer, Slot
from mediaagentd.media.playout.delay import SLOT
from mediaagentd.media.playout.mixer import FULL, Voice, mix, squeeze
from mediaagentd.media.playout.playout import Playout, Slots
from mediaagentd.media.playout.processing import Unprocessed
from mediaagentd.media.playout.sinks import NullSink, WavSink, make_sink
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, AudioFrame


def loudest(sound: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * AUDIO_CLOCK / len(sound))


def test_nothing_is_silence_and_one_voice_is_itself() -> None:
    block = tone(440.0)[:AUDIO_FRAME]
    assert not mix([]).any()
    assert np.array_equal(mix([block]), block)


def test_two_loud_voices_bend_but_do_not_wrap() -> None:
    loud = np.full(AUDIO_FRAME, 30_000, np.int16)
    both = mix([loud, loud])
    assert 24_000 < both.max() <= FULL
    assert mix([loud, -loud]).max() == 0


def test_two_blocks_in_the_time_of_one_have_no_click() -> None:
    sound = tone(441.0)[: 2 * AUDIO_FRAME]
    block = squeeze(sound[:AUDIO_FRAME], sound[AUDIO_FRAME:])
    assert block.shape == (AUDIO_FRAME,)
    steps = np.abs(np.diff(sound.astype(int))).max()
    assert np.abs(np.diff(block.astype(int))).max() < 1.2 * steps
    assert block[0] == sound[0]
    assert block[-1] == sound[-1]


def test_two_channels_are_mixed_and_squeezed_as_one_is() -> None:
    sound = np.stack([tone(441.0), tone(441.0)], axis=1)[: 2 * AUDIO_FRAME]
    block = squeeze(sound[:AUDIO_FRAME], sound[AUDIO_FRAME:])
    assert np.array_equal(block[:, 0], squeeze(sound[:AUDIO_FRAME, 0], sound[AUDIO_FRAME:, 0]))
    assert np.array_equal(block[:, 0], block[:, 1])
    left = block * np.array([1, 0], np.int16)
    assert np.array_equal(mix([left, block - left], 2), block)
    assert mix([], 2).shape == (AUDIO_FRAME, 2)


class Heard:
    """A sink that keeps what it hears and tells when it is enough."""

    wants_sound = True
    channels = 1

    def __init__(self, enough: int) -> None:
        self.blocks: list[Samples] = []
        self.is_open = False
        self.given_back = threading.Event()
        self.full = threading.Event()
        self._enough = enough

    def open(self) -> None:
        assert not self.is_open
        self.is_open = True

    def room(self) -> int | None:
        return None

    def write(self, samples: Samples) -> bool:
        self.blocks.append(samples)
        if len(self.blocks) == self._enough:
            self.full.set()
        return True

    def rest(self) -> None:
        self.is_open = False
        self.given_back.set()

    def close(self) -> None: ...


def test_two_users_are_heard_at_once_and_counted() -> None:
    sink = Heard(40)
    playout = Playout(lambda: sink)
    for user, hertz in (("alice", 500.0), ("bob", 2000.0)):
        playout.add(user)
        encoder = OpusEncoder()
        for number, block in enumerate(tone(hertz)[: 20 * AUDIO_FRAME].reshape(-1, AUDIO_FRAME)):
            playout.push(user, AudioFrame(encoder.encode(block), number * AUDIO_FRAME, time.monotonic()))
    assert sink.full.wait(5)
    assert playout.slots("alice").played >= 15
    assert playout.slots("nobody").played == 0
    playout.close()
    spectrum = np.abs(np.fft.rfft(np.concatenate(sink.blocks)))
    peaks = np.argsort(spectrum)[-2:] * AUDIO_CLOCK / (len(sink.blocks) * AUDIO_FRAME)
    assert sorted(round(float(peak), -2) for peak in peaks) == [500, 2000]


def undecoded(playout: Playout, count: int) -> Slots:
    """Gives Alice so many packets that nobody could decode; her slots when they have been played."""
    for number in range(count):
        playout.push("alice", AudioFrame(b"never decoded", number * AUDIO_FRAME, 0.0))
    deadline, tick = time.monotonic() + 5, threading.Event()
    while playout.slots("alice").played < count and time.monotonic() < deadline:
        tick.wait(0.01)
    return playout.slots("alice")


def test_a_null_sink_drains_and_counts_without_decoding() -> None:
    playout = Playout(NullSink)
    playout.add("alice")
    assert undecoded(playout, 10) == Slots(played=10)
    assert "playout" not in [thread.name for thread in threading.enumerate()]
    playout.remove("alice")
    playout.close()


@pytest.mark.parametrize("pause", [1.0, 5.0, 12.0, 70.0])
@pytest.mark.parametrize("announced", [True, False], ids=["quiet", "cut off"])
def test_what_nobody_hears_is_counted_as_if_somebody_did(
    monkeypatch: pytest.MonkeyPatch, pause: float, announced: bool
) -> None:
    """A buffer that is pulled every 20 ms, and one that is looked at when a packet comes."""
    now = [1000.0]
    monkeypatch.setattr("mediaagentd.media.playout.playout.time.monotonic", lambda: now[0])
    playout, prompt = Playout(NullSink), PlayoutBuffer()
    playout.add("alice")
    due = now[0]
    skipped = round(pause / SLOT)
    for number in (*range(100), *range(100 + skipped, 400 + skipped)):
        arrives = 1000.0 + number * SLOT + 0.003
        while due <= arrives:
            prompt.pull(due)
            due += SLOT
        now[0] = arrives
        data = b" h" if number == 99 and announced else b"\xff never decoded"
        frame = AudioFrame(
            data, number * AUDIO_FRAME, arrives, number - skipped * (number > 99), arrives - 0.02
        )
        playout.push("alice", frame)
        prompt.push(frame, arrives)
    slots = playout.slots("alice")
    assert slots.lag == pytest.approx(prompt.lag, abs=1.1 * SLOT)
    assert slots.played == pytest.approx(prompt.played, abs=5)
    assert slots.concealed == prompt.concealed


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


class Unplugged(Heard):
    """A speaker that fails once, and was plugged in again."""

    def __init__(self) -> None:
        super().__init__(1)
        self.failed = threading.Event()

    def write(self, samples: Samples) -> bool:
        if not self.failed.is_set():
            self.failed.set()
            raise Refused(Reason.DEVICE_FAILED, "unplugged")
        return super().write(samples)


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


class Overheard(Unprocessed):
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.blocks: list[Samples] = []

    def played(self, samples: Samples) -> None:
        self.blocks.append(samples)


def test_the_echo_canceller_is_shown_what_is_played() -> None:
    speaker, processor = Heard(5), Overheard()
    playout = Playout(lambda: speaker, processor)
    playout.add("alice")
    assert speaker.full.wait(5)
    playout.close()
    assert len(processor.blocks) == len(speaker.blocks)
    assert all(shown is played for shown, played in zip(processor.blocks, speaker.blocks, strict=True))


def test_what_is_said_after_a_sink_failed_is_counted() -> None:
    speaker = Unplugged()
    playout = Playout(lambda: speaker)
    playout.add("alice")
    assert speaker.failed.wait(5)
    assert undecoded(playout, 10) == Slots(played=10)
    assert not speaker.blocks
    playout.close()


def test_a_voice_frees_its_decoder() -> None:
    voice = Voice()
    heard = voice.samples(Slot(Fill.PACKET, OpusEncoder().encode(tone(440.0)[:AUDIO_FRAME])))
    assert heard is not None
    decoder = weakref.ref(voice._decoder)
    voice.close()
    gc.collect()
    assert decoder() is None
    voice.close()
