"""The main stories read as they are written down; a change of behaviour is a change of a text file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.sharp import SHARP
from tests.simulation.stories import STORIES, THREE, tell

KEPT = Path(__file__).parent / "transcripts"


ALL = {**{name: (story, THREE) for name, story in STORIES.items()}, **SHARP}


@pytest.mark.parametrize("name", ALL)
def test_transcript(name: str, request: pytest.FixtureRequest) -> None:
    told = tell(name, *ALL[name])
    path = KEPT / f"{name}.txt"
    if request.config.getoption("--regenerate-transcripts", default=False):
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8"), "review with --regenerate-transcripts and git diff"


def test_no_stale_transcripts() -> None:
    assert {path.stem for path in KEPT.glob("*.txt")} == set(ALL)
