"""`make bench`: every figure beside its baselines, in one run of a little over twenty minutes.

python -m tests.bench                    all scenarios, then the tables in tests/bench/README.md
python -m tests.bench start call         some of them; the report keeps the figures of the others
python -m tests.bench call --baseline gstreamer,libwebrtc,chromium
                                         the call beside others too, which are installed for it
python -m tests.bench browser            a browser as the far end, which is installed for it
python -m tests.bench far                the one that takes half an hour, and so is not among all
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

from tests.bench import (
    accept,
    browser,
    call,
    commands,
    daemon,
    events,
    fanout,
    far,
    group,
    hub_load,
    idle,
    loss,
    outages,
    report,
    roaming,
    sound,
    startup,
    views,
)
from tests.bench.contenders import CONTENDERS
from tests.bench.figures import Figure
from tests.bench.networks import NeedsError

SCENARIOS: dict[str, Callable[[Path], list[Figure]]] = {
    "start": startup.run_all,
    "commands": commands.run_all,
    "events": events.run_all,
    "accept": accept.run_all,
    "idle": idle.run_all,
    "call": call.run_all,
    "daemon": daemon.run_all,
    "views": views.run_all,
    "fanout": fanout.run_all,
    "group": group.run_all,
    "sound": sound.run_all,
    "loss": loss.run_all,
    "outages": outages.run_all,
    "roaming": roaming.run_all,
    "hub": hub_load.run_all,
}
"""In the order of running; the last ones leave the machine the warmest."""

LONG: dict[str, Callable[[Path], list[Figure]]] = {"browser": browser.run_all, "far": far.run_all}
"""Only when named."""


def main(names: list[str]) -> int:
    """Runs the scenarios named, all without names. 1 when one of them failed."""
    match names:
        case ["readme"]:
            report.publish(list(SCENARIOS))
            return 0
        case ["call", "--baseline", words]:
            return _with_baselines(words)
        case ["codecs", *rest]:
            from tests.bench import codecs

            return codecs.main(rest)
    if any(name.startswith("-") for name in names):
        print(__doc__)
        return 2
    known = {**SCENARIOS, **LONG}
    unknown = set(names) - set(known)
    if unknown:
        print(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        return 2
    begun = time.monotonic()
    outcomes = {name: run_one(name, known[name]) for name in names or SCENARIOS}
    print(", ".join(outcomes) + f": {(time.monotonic() - begun) / 60:.1f} minutes")
    for name, outcome in outcomes.items():
        if outcome:
            print(f"{name}: {outcome}")
    if not names:
        report.publish(list(SCENARIOS))
    return 1 if any(outcome.startswith(FAILED) for outcome in outcomes.values()) else 0


def _with_baselines(words: str) -> int:
    """The call beside the optional others; those that cannot be run are named, and the rest is measured."""
    from tests.bench import baselines

    try:
        more, failed = baselines.asked_for(words)
    except KeyError as unknown:
        print(f"no such baseline: {unknown}; there are {', '.join(baselines.BASELINES)}")
        return 2
    outcome = run_one(
        f"call --baseline {words}", lambda directory: call.run_all(directory, {**CONTENDERS, **more})
    )
    for name, why in failed.items():
        print(f"{name}: not run: {why}")
    if outcome:
        print(f"call: {outcome}")
    return 1 if outcome or not more else 0


FAILED = "failed"


def run_one(name: str, scenario: Callable[[Path], list[Figure]]) -> str:
    """Runs one and keeps its figures at once. What went wrong, in a line; empty when nothing did. The others
    run whatever happens.
    """
    print(f"running {name} ...", flush=True)
    begun = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="mediaagent-bench-") as directory:
            figures = scenario(Path(directory))
    except NeedsError as needs:
        return f"not run: {needs}"
    except Exception as error:
        traceback.print_exc()
        return f"{FAILED}: {type(error).__name__}: {error}"
    report.keep(name, figures, time.monotonic() - begun)
    report.show(figures)
    return ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
