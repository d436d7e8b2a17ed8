"""Opus by libopus: the tone comes through, a lost packet is recovered or concealed."""

from __future__ import annotations

import numpy as np
from mediaagentd.media.capture.synthetic import speech, tone
from mediaagentd.media.capture.types import Samples
from mediaagentd.media.codec.opus import OpusDecoder, OpusEncoder
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME


def packets_of(sound: Samples, bitrate: int = 32_000) -> list[bytes]:
    encoder = OpusEncoder(bitrate)
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


def test_damaged_packets_make_no_trouble() -> None:
    decoder = OpusDecoder()
    assert decoder.decode(b"\xff" * 40).shape == (AUDIO_FRAME,)
    assert decoder.decode(b"").shape == (AUDIO_FRAME,)
    assert decoder.conceal().shape == (AUDIO_FRAME,)
    decoder.close()
    decoder.close()
