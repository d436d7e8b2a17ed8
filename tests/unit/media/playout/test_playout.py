"""Mixer and playout: what is heard is what was said."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from mediaagentd.media.capture.synthetic import tone
from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.opus import OpusEncoder
from mediaagentd.media.playout.buffer import Fill, PlayoutBuffer, Slot
from mediaagentd.media.playout.delay import SLOT
from mediaagentd.media.playout.mixer import FULL, Voice, mix, squeeze
from mediaagentd.media.playout.playout import Playout, Slots
from mediaagentd.media.playout.processing import Unprocessed
from mediaagentd.media.playout.sinks import NullSink
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, AudioFrame

from tests.unit.media.playout.heard import Heard, Unplugged


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
