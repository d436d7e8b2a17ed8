"""The hub's pure rooms are covered by their own tests, every branch of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOMS = (
    "calls", "core", "devices", "effects", "exchange", "groups", "inputs", "ledger", "missed", "quotas",
    "registry", "rights", "sessions", "types", "values",
)  # fmt: skip
STORIES = (
    "core", "devices", "group_calls", "groups", "joining", "missed", "quotas", "refusals", "rights",
    "sessions",
)  # fmt: skip


def test_every_branch_of_the_pure_rooms_is_tested(tmp_path: Path) -> None:
    report = tmp_path / "coverage.json"
    subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "--no-header", "--rootdir", HERE.parents[2],
            "--cov=mediaagentd.hub", "--cov-branch", f"--cov-report=json:{report}",
            *(HERE / f"test_{name}.py" for name in STORIES),
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
