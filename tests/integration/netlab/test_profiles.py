"""Calls with sound and pictures over the named profiles; what both ends heard and saw is within bounds."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.integration.media.pair import settings
from tests.netlab import Impairment, Lab, NetPair, unavailable
from tests.netlab.course import recording
from tests.netlab.probe import throughput
from tests.netlab.trials import TRIALS, Trial, run

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

NARROW = Impairment(delay=0.025, rate=300_000)

DOWN = 5.0
"""Seconds in a bottleneck after which the rate must fit."""


async def test_into_a_bottleneck_sound_goes_on_and_pictures_come_back() -> None:
    """480p at 0.8 Mbit/s each way falls to 0.3, from one packet to the next."""
    async with Lab("ann", "bob") as lab:
        alice, bob = (settings(name, microphone="synthetic:440") for name in ("alice", "bob"))
        await lab.impair(lab["bob"], NARROW)
        assert 200_000 < await throughput(lab["ann"], lab["bob"], 600_000, 0.7) < 330_000
        await lab.impair(lab["bob"], Impairment(delay=0.025))
        async with NetPair(lab, alice, bob) as pair:
            await pair.connect()
            await pair.alice.look()
            await pair.alice.until_seen(30)
            async with recording(pair.alice) as record:
                await lab.impair(lab["bob"], NARROW)
                began = time.monotonic()
                await asyncio.sleep(DOWN)
    course = record.course(began, began + DOWN)
    assert course.filled > 0.9, course
    assert course.concealed < 60, course
    assert course.gap < 4.0, course
    after = record.course(began + DOWN - 1.0, began + DOWN)
    assert after.rate < NARROW.rate, after
    assert after.fps > 5, after
    assert after.sound > 0.85, after


@pytest.mark.timeout(120)
@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: trial.name)
async def test_a_profile_is_borne(
    trial: Trial, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """The probe has found every impairment to be what it says: see `trials.verify`."""
    if not request.config.getoption("--campaign"):
        pytest.skip("--campaign")
    outcome = await run(trial)
    with capsys.disabled():
        print("", *outcome.lines(), sep="\n")
    assert not outcome.misses(), outcome.misses()
