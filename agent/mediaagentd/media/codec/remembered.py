"""The choice of codecs, measured at the first starts on a machine and kept in the state directory."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import structlog

from mediaagentd.media.codec.measuring import measure
from mediaagentd.media.codec.tuning import HARDWARE, SOFTWARE, Choice, Cost, Effort, choose

_log = structlog.stdlib.get_logger()

FILE = "codecs.json"
FORMAT = 2

DEVICES = Path("/dev")
CHIPS = ("dri/renderD*", "nvidia[0-9]*", "video1[0-9]")

STARTS = 3
"""Starts at which is measured, of which the least counts: the first one may have been in a bad minute, such
as that of an installation, and a device keeps its choice for years.
"""


def choice(directory: Path, measure: Callable[[], list[Cost]] = measure) -> Choice:
    """What was measured here before, else measured now; blocking. A file that cannot be read or written
    costs a measurement, nothing else.
    """
    costs, _ = _read(directory / FILE)
    return choose(_measured(directory, [], 0, measure) if costs is None else costs)


def refine(directory: Path, measure: Callable[[], list[Cost]] = measure) -> None:
    """Measures once more, for the next start, while it has been done at fewer than `STARTS`; blocking."""
    costs, starts = _read(directory / FILE)
    if costs is not None and starts < STARTS:
        _measured(directory, costs, starts, measure)


def kept(directory: Path) -> Choice | None:
    """What was measured here before; None when nothing was."""
    costs, _ = _read(directory / FILE)
    return None if costs is None else choose(costs)


def _measured(
    directory: Path, before: list[Cost], starts: int, measure: Callable[[], list[Cost]]
) -> list[Cost]:
    """What works now, each at its least."""
    known = {(cost.encoder, cost.effort): cost for cost in before}
    costs = [
        min(cost, known.get((cost.encoder, cost.effort), cost), key=lambda each: each.total)
        for cost in measure()
    ]
    _write(directory / FILE, costs, starts + 1)
    told = {f"{cost.encoder} {cost.effort}": round(cost.total, 1) for cost in costs}
    _log.info("codecs_measured", milliseconds=told)
    return costs


def _machine() -> dict[str, Any]:
    """What the figures hold for: another processor, chip for video or library is measured anew."""
    return {
        "format": FORMAT,
        "av": av.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "chips": _chips(),
    }


def _chips() -> list[str]:
    """What may encode beside the processor: graphics processors, and boards' chips (from video10 on)."""
    nodes = [node for pattern in CHIPS for node in DEVICES.glob(pattern)]
    return sorted(str(node.relative_to(DEVICES)) for node in nodes)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, "")


def _read(path: Path) -> tuple[list[Cost] | None, int]:
    """What was measured, and at how many starts; None of another machine, or when it cannot be read."""
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["machine"] != _machine():
            return None, 0
        costs = [_cost(each) for each in document["costs"]]
        return costs, int(document.get("starts", 1))
    except (OSError, ValueError, LookupError, TypeError, OverflowError, RecursionError):
        return None, 0


def _cost(document: dict[str, Any]) -> Cost:
    """Raises: ValueError, LookupError, TypeError, OverflowError for what is none."""
    cost = Cost(
        document["encoder"],
        Effort(document["effort"]),
        float(document["encode"]),
        float(document["decode"]),
    )
    if cost.encoder not in (*HARDWARE, *SOFTWARE.values()):
        raise ValueError(f"no encoder: {cost.encoder}")
    if not all(0 <= each < math.inf for each in (cost.encode, cost.decode)):
        raise ValueError("no time")
    return cost


def _write(path: Path, costs: list[Cost], starts: int) -> None:
    document = {"machine": _machine(), "starts": starts, "costs": [asdict(cost) for cost in costs]}
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        draft.replace(path)
    except OSError as error:
        _log.warning("codecs_not_kept", error=error.strerror)
