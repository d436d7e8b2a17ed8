"""`make bench`: every figure beside its baselines, in one run of about a quarter of an hour.

python -m tests.bench                    all scenarios, then the tables in tests/bench/README.md
python -m tests.bench start call         some of them; the report keeps the figures of the others
python -m tests.bench readme             only writes the tables of the report
python -m tests.bench codecs             the codecs against each other, for choosing defaults
"""

from __future__ import annotations

import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.bench import accept, call, commands, daemon, events, fanout, group, hub_load, idle, report, startup
from tests.bench.figures import Figure

SCENARIOS: dict[str, Callable[[Path], list[Figure]]] = {
    "start": startup.run_all,
    "commands": commands.run_all,
    "events": events.run_all,
    "call": call.run_all,
    "daemon": daemon.run_all,
    "accept": accept.run_all,
    "fanout": fanout.run_all,
    "group": group.run_all,
    "idle": idle.run_all,
    "hub": hub_load.run_all,
}


def main(names: list[str]) -> int:
    """Runs the scenarios named, all without names. 1 when one of them failed."""
    match names:
        case ["readme"]:
            report.publish()
            return 0
        case ["codecs", *rest]:
            from tests.bench import codecs

            return codecs.main(rest)
    unknown = set(names) - set(SCENARIOS)
    if unknown:
        print(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
        return 2
    good = [_run(name) for name in names or SCENARIOS]
    if not names:
        report.publish()
    return 0 if all(good) else 1


def _run(name: str) -> bool:
    """A scenario that fails says so, and the others run."""
    print(f"running {name} ...", flush=True)
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="mediaagent-bench-") as directory:
            figures = SCENARIOS[name](Path(directory))
    except Exception:
        traceback.print_exc()
        return False
    report.keep(name, figures, time.monotonic() - begun)
    report.show(figures)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
