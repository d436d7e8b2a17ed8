"""Many worlds hold their invariants, and every planted bug breaks one of them."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.simulation.bugs import BUGS
from tests.simulation.driver import broken, play, transcript
from tests.simulation.rules import Broken

CHUNK = 250
KILL_WITHIN = 1000
"""Seeds that a planted bug may survive."""


@pytest.mark.timeout(3600)
def test_worlds_hold(request: pytest.FixtureRequest) -> None:
    # The options are unknown when pytest was started above this directory.
    first = request.config.getoption("--first-seed", default=0)
    count = request.config.getoption("--seeds", default=20_000)
    chunks = [range(start, min(start + CHUNK, first + count)) for start in range(first, first + count, CHUNK)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=min(os.cpu_count() or 1, 8), mp_context=context) as pool:
        for failure in pool.map(broken, chunks):
            if failure is None:
                continue
            pool.shutdown(cancel_futures=True)
            seed, reason = failure
            pytest.fail(
                f"{transcript(seed)}\n\n{reason}\n"
                f"again: pytest tests/simulation -k worlds_hold --first-seed {seed} --seeds 1",
                pytrace=False,
            )


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found(bug: str) -> None:
    for seed in range(KILL_WITHIN):
        try:
            play(seed, BUGS[bug])
        except Broken:
            return
    pytest.fail(f"{KILL_WITHIN} worlds did not notice a machine that {bug}")


def test_a_seed_is_a_world() -> None:
    assert transcript(5) == transcript(5)
    assert len(transcript(5).splitlines()) > 20
