"""Options of the simulation: `pytest tests/simulation --seeds 100000 --first-seed 0`."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption("--seeds", type=int, default=20_000, help="how many worlds to play")
    group.addoption("--first-seed", type=int, default=0, help="the first of them")
    group.addoption(
        "--regenerate-transcripts", action="store_true", help="write tests/simulation/transcripts anew"
    )
