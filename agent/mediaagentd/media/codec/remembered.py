"""The choice of codecs, measured once per machine and kept in the state directory."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import structlog

from mediaagentd.media.codec.measuring import measure
from mediaagentd.media.codec.tuning import Choice, Cost, Effort, choose

_log = structlog.stdlib.get_logger()

FILE = "codecs.json"
FORMAT = 2


def choice(directory: Path, measure: Callable[[], list[Cost]] = measure) -> Choice:
    """What was measured here before, else measured now; blocking. A file that cannot be read or written
    costs a measurement, nothing else.
    """
    costs = _read(directory / FILE)
    if costs is None:
        costs = measure()
        _write(directory / FILE, costs)
        told = {f"{cost.encoder} {cost.effort}": round(cost.total, 1) for cost in costs}
        _log.info("codecs_measured", milliseconds=told)
    return choose(costs)


def kept(directory: Path) -> Choice | None:
    """What was measured here before; None when nothing was."""
    costs = _read(directory / FILE)
    return None if costs is None else choose(costs)


def _machine() -> dict[str, Any]:
    """What the figures hold for: another processor or library is measured anew."""
    return {
        "format": FORMAT,
        "av": av.__version__,
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "processor": _processor(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    names = (line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model")))
    return next(names, "")


def _read(path: Path) -> list[Cost] | None:
    try:
        document = json.loads(path.read_text("utf-8"))
        if document["machine"] != _machine():
            return None
        return [
            Cost(str(each["encoder"]), Effort(each["effort"]), float(each["encode"]), float(each["decode"]))
            for each in document["costs"]
        ]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(path: Path, costs: list[Cost]) -> None:
    document = {"machine": _machine(), "costs": [asdict(cost) for cost in costs]}
    draft = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
        draft.replace(path)
    except OSError as error:
        _log.warning("codecs_not_kept", error=error.strerror)
