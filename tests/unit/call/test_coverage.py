"""The call machine and what its logic is in are covered by their own tests, every branch of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOMS = (
    "camera",
    "commands",
    "effects",
    "events",
    "inputs",
    "machine",
    "mirror",
    "parts",
    "reports",
    "state",
    "words",
)


def test_every_branch_of_the_machine_is_tested(tmp_path: Path) -> None:
    report = tmp_path / "coverage.json"
    stories = [path for path in sorted(HERE.glob("test_*.py")) if path != Path(__file__)]
    subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--no-header", "--rootdir", HERE.parents[2],
            "--cov=mediaagentd.call", "--cov-branch", f"--cov-report=json:{report}", *stories,
        ],
        check=True, cwd=HERE.parents[2], capture_output=True,
        env={"PATH": "/usr/bin:/bin", "COVERAGE_FILE": str(tmp_path / "coverage")},
    )  # fmt: skip
    files = {Path(name).stem: file for name, file in json.loads(report.read_text())["files"].items()}
    missing = {
        room: (files[room]["missing_lines"], files[room]["missing_branches"])
        for room in ROOMS
        if files[room]["summary"]["percent_covered"] < 100
    }
    assert missing == {}
