"""`make bench`: every figure beside its baseline, in one run. `python -m tests.bench start call` for some."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.bench import call_cost, commands, startup
from tests.bench.figures import Figure, publish
from tests.integration.processes import REPOSITORY

SCENARIOS = {"start": startup.run_all, "commands": commands.run_all, "call": call_cost.run_all}


def main(names: list[str]) -> int:
    """Runs the scenarios named, all without names."""
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        print(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
        return 2
    figures: list[Figure] = []
    for name in names or SCENARIOS:
        print(f"running {name} ...", flush=True)
        with tempfile.TemporaryDirectory(prefix="mediaagent-bench-") as directory:
            figures += SCENARIOS[name](Path(directory))
    publish(figures, REPOSITORY / "build" / "bench" / "report.json")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
