"""A thin client stays thin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[3] / "clients" / "python"
HEAVY = {"aiortc", "av", "numpy", "pydantic", "structlog", "mediaagentd", "cyclopts", "rich"}


def test_the_library_loads_nothing_heavy() -> None:
    program = "import sys, mediaagent; print(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(CLIENT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert HEAVY.isdisjoint(done.stdout.split())
