"""Half a minute of a call over each bad network, in seconds, and the same each time."""

from __future__ import annotations

import asyncio
import statistics
from dataclasses import replace

import pytest
from mediaagentd.media.types import VideoProfile

from tests.netlab.profiles import INTERNATIONAL, Impairment, Phase, round_trip
from tests.netlab.trials import TRIALS, Bounds, Trial
from tests.virtual.clock import Stuck, play
from tests.virtual.network import Network
from tests.virtual.trials import begin, connect, run

SEED = 1
BORNE = ("international", "loss 30", "fall and rise")

SHORT = Trial("short", (Phase(5.0, Impairment(delay=0.050, loss=0.20)),), Bounds(0.9, fps=20, gap=1.0))


@pytest.mark.parametrize("name", BORNE)
def test_a_profile_is_borne(name: str) -> None:
    trial = next(each for each in TRIALS if each.name == name)
    outcome = run(replace(trial, profile=VideoProfile.P480), SEED)
    assert not outcome.misses()


def test_far_away_pictures_move_before_the_first_reports_are_there() -> None:
    """Each report takes 1.2 s, and each repair; of a hundred and fifty."""
    seen = [count for seed in range(6) for count in begin(round_trip(1.2, 0.2), seed, seconds=5.0)]
    assert statistics.median(seen) > 60


@pytest.mark.parametrize(
    "impairment", [round_trip(0.1, 0.3), INTERNATIONAL], ids=["loss 30", "international"]
)
def test_connecting_takes_a_second_and_not_ten(impairment: Impairment) -> None:
    """OpenSSL says nothing again here: its timer goes by another clock."""
    seconds = [connect(impairment, seed) for seed in range(30)]
    assert statistics.median(seconds) < 1.0
    assert max(seconds) < 6.0


def test_the_same_seed_is_the_same_call_and_another_one_is_another() -> None:
    trial = replace(SHORT, profile=VideoProfile.P480)
    first, again, other = (run(trial, seed) for seed in (SEED, SEED, SEED + 1))
    assert [record.seen for record in first.records] == [record.seen for record in again.records]
    assert [record.seen for record in first.records] != [record.seen for record in other.records]


def test_who_waits_for_what_never_comes_is_told() -> None:
    async def story(_: Network) -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stuck):
        play(story, SEED)
