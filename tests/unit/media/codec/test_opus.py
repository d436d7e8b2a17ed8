"""Opus by libopus: the tone comes through, a lost packet is recovered or concealed."""

from __future__ import annotations

import numpy as np
from mediaagentd.media.capture.synthetic import speech, tone
from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.opus import OpusDecoder, OpusEncoder, rate_at
from mediaagentd.media.playout.packet import recovers_previous
from mediaagentd.media.types import (
    AUDIO_CLOCK,
    AUDIO_FRAME,
    QUIET_LOSS,
    UNKNOWN_LOSS,
    UNSAID,
    Hearing,
    SoundStyle,
)


def packets_of(sound: Samples) -> list[bytes]:
    encoder = OpusEncoder()
    blocks = sound[: len(sound) // AUDIO_FRAME * AUDIO_FRAME].reshape(-1, AUDIO_FRAME)
    return [encoder.encode(block) for block in blocks]


def loudest(sound: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(spectrum.argmax() * AUDIO_CLOCK / len(sound))


def test_a_tone_comes_through() -> None:
    packets = packets_of(tone(440.0))
    decoder = OpusDecoder()
    sound = np.concatenate([decoder.decode(packet) for packet in packets])
    assert abs(loudest(sound[AUDIO_CLOCK // 4 :]) - 440) < 5
    assert sum(map(len, packets)) * 8 < 45_000, "about 32 kbit/s"


def test_a_lost_packet_is_recovered_from_the_next_one() -> None:
    sound = speech()[: AUDIO_CLOCK * 2]
    packets = packets_of(sound)
    whole, holed, concealed = OpusDecoder(), OpusDecoder(), OpusDecoder()
    truth, recovered, guessed = [], [], []
    for index, packet in enumerate(packets):
        truth.append(whole.decode(packet))
        lost = index % 8 == 5
        recovered.append(holed.recover(packets[index + 1]) if lost else holed.decode(packet))
        guessed.append(concealed.conceal() if lost else concealed.decode(packet))

    def error(result: list[Samples]) -> float:
        return float(np.square(np.concatenate(result).astype(float) - np.concatenate(truth)).mean())

    assert error(recovered) < 0.7 * error(guessed)


def test_fec_is_for_paths_that_lose_or_that_nobody_knows() -> None:
    sound = speech()[: AUDIO_CLOCK * 2].reshape(-1, AUDIO_FRAME)
    encoder = OpusEncoder()
    recoverable = []
    for loss in (UNKNOWN_LOSS, 0.0, QUIET_LOSS):
        encoder.adapt(loss, UNSAID)
        recoverable.append(sum(recovers_previous(encoder.encode(block)) for block in sound))
    before, quiet, after = recoverable
    assert before > 40
    assert quiet <= 1, "of a packet from before"
    assert after > 40


def test_damaged_packets_make_no_trouble() -> None:
    decoder = OpusDecoder()
    assert decoder.decode(b"\xff" * 40).shape == (AUDIO_FRAME,)
    assert decoder.decode(b"").shape == (AUDIO_FRAME,)
    assert decoder.conceal().shape == (AUDIO_FRAME,)
    decoder.close()
    decoder.close()


def two_tones() -> Samples:
    """440 Hz to the left, 1000 Hz to the right, a second of each."""
    return np.stack([tone(440.0), tone(1000.0)], axis=1)


def test_two_channels_stay_apart_while_they_are_heard() -> None:
    encoder = OpusEncoder(SoundStyle(music=True, stereo=True), channels=2)
    both, one = OpusDecoder(2), OpusDecoder()
    blocks = two_tones().reshape(-1, AUDIO_FRAME, 2)
    sound = np.concatenate([both.decode(encoder.encode(block)) for block in blocks])[AUDIO_FRAME * 10 :]
    assert abs(loudest(sound[:, 0]) - 440) < 5
    assert abs(loudest(sound[:, 1]) - 1000) < 5
    assert one.decode(encoder.encode(blocks[0])).shape == (AUDIO_FRAME,), "everybody can decode it"
    encoder.adapt(0.0, UNSAID)  # now nobody hears two: one channel, at its rate
    packets = [encoder.encode(block) for block in blocks]
    sound = np.concatenate([both.decode(packet) for packet in packets])[AUDIO_FRAME * 10 :]
    assert np.abs(sound[:, 0].astype(int) - sound[:, 1]).max() < 50
    assert sum(map(len, packets)) * 8 < 80_000, "about 64 kbit/s"


def test_the_rate_is_the_lowest_that_a_hearer_takes() -> None:
    encoder = OpusEncoder(SoundStyle(music=True, stereo=True), channels=2)
    encoder.adapt(0.0, Hearing(stereo=True, most=40_000))
    packets = [encoder.encode(block) for block in two_tones().reshape(-1, AUDIO_FRAME, 2)]
    assert sum(map(len, packets)) * 8 < 55_000


def test_under_loss_music_has_no_more_than_a_voice() -> None:
    rates = [rate_at(128_000, 48_000, percent) for percent in (0, 4, 5, 14, 15, 100)]
    assert rates == [128_000, 128_000, 88_000, 88_000, 36_000, 36_000]
    assert [rate_at(32_000, 32_000, percent) for percent in (0, 10, 15)] == [32_000, 32_000, 24_000]
    assert rate_at(16_000, 32_000, 20) == 12_000
