"""Lips and voice together, by what is seen and heard: a clapperboard here, eyes and ears there."""

from __future__ import annotations

import asyncio
import statistics
import time
import wave
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from mediaagentd.media.types import AUDIO_CLOCK

from tests.integration.media.pair import settings
from tests.netlab import MODERATE, Impairment, Lab, NetEnd, NetPair, round_trip, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

SLOT = 0.020
QUIET = 0.3
"""Seconds of silence in front of a beep."""

NEAR = 0.3
"""Seconds before and after, of which the slot that was written and seen soonest says when."""


class Ears:
    """When the samples of a WAV file that is being written were played: the file grows as sound is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._grown: list[tuple[float, float]] = []

    async def listen(self) -> None:
        """Watches until cancelled."""
        size = 0
        while True:
            now, grown = time.monotonic(), self._file.stat().st_size if self._file.exists() else 0
            if grown > size:
                size = grown
                self._grown.append((now, (size - 44) / 2 / AUDIO_CLOCK))
            await asyncio.sleep(0.002)

    def beeps(self) -> list[float]:
        """When each began, `time.monotonic()` seconds."""
        with wave.open(str(self._file)) as reader:
            sound = np.abs(np.frombuffer(reader.readframes(reader.getnframes()), np.int16).astype(int))
        loud = np.flatnonzero(sound > 3000) / AUDIO_CLOCK
        return [self._played(after) for before, after in pairwise((-1.0, *loud)) if after - before > QUIET]

    def _played(self, at: float) -> float:
        """When what is so many seconds into the file was played: a player that was late leaves out slots."""
        near = [seen - length for seen, length in self._grown if abs(length - at) < NEAR]
        return min(near) + SLOT + at


async def flashes(end: NetEnd) -> list[float]:
    """When each began, likewise."""
    return [new.time for old, new in pairwise(await end.seen()) if new.claps and not old.claps]


def apart(seen: list[float], heard: list[float]) -> list[float]:
    """Seconds by which each picture of a clap came after its sound; claps are a second apart."""
    pairs = [(flash, min(heard, key=lambda beep: abs(beep - flash))) for flash in seen]
    return [flash - beep for flash, beep in pairs if abs(flash - beep) < 0.5]


SETTLING = 2.0
"""Seconds in which pictures and sound come together; DESIGN, "lips and voice by content"."""


@pytest.mark.parametrize(
    ("network", "seconds"),
    [(round_trip(0.002), 0.0), (MODERATE, 4.0), (round_trip(0.1, 0.2), 0.0)],
    ids=["clean", "moderate", "a fifth lost"],
)
async def test_a_clap_is_seen_and_heard_at_once(
    network: Impairment, seconds: float, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if request.config.getoption("--campaign"):
        seconds = 20.0
    elif not seconds:
        pytest.skip("--campaign")
    file = tmp_path / "alice.wav"
    alice = settings("alice", speaker=f"wav:{file}")
    bob = replace(settings("bob", microphone="synthetic:clap"), camera="synthetic:clap")
    async with Lab("ann", "bob") as lab:
        await lab.impair(lab["bob"], network)
        async with NetPair(lab, alice, bob) as pair:
            await pair.connect()
            ears = Ears(file)
            listening = asyncio.create_task(ears.listen())
            await pair.alice.look()
            begun = time.monotonic()
            await asyncio.sleep(SETTLING + seconds)
            figures = await pair.alice.figures()
            seen = [flash for flash in await flashes(pair.alice) if flash > begun + SETTLING]
            found = apart(seen, ears.beeps())
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
    middle = statistics.median(found)
    told = f"{figures.lip_sync * 1000:+.0f}" if figures.lip_sync is not None else "none"
    print(f"\n{len(found)} claps seen {middle * 1000:+.0f} ms after they were heard; by the clocks {told} ms")
    assert len(found) >= 2
    assert abs(middle) < 0.08
