"""A figure of ours beside the same figure of a baseline in the same run; the ratio is what counts."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: medians of `ours` and `baseline` in `unit`; `checked` says what proves that it was real."""

    name: str
    unit: str
    ours: tuple[float, ...]
    baseline: tuple[float, ...]
    baseline_name: str
    checked: str

    @property
    def ratio(self) -> float | None:
        """Ours over the baseline's, medians; None without a baseline."""
        if not self.baseline or not statistics.median(self.baseline):
            return None
        return statistics.median(self.ours) / statistics.median(self.baseline)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    middle = statistics.median(values)
    return f"{middle:.3g} ({min(values):.3g} to {max(values):.3g})"


def publish(figures: Sequence[Figure], report: Path) -> None:
    """Prints the table and writes it to `report` as JSON."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = Table(title=f"{machine}; medians (spread)")
    for column in ("figure", "unit", "ours", "baseline", "ratio", "against", "checked by"):
        table.add_column(column)
    for figure in figures:
        ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(
            figure.name, figure.unit, _spread(figure.ours), _spread(figure.baseline), ratio,
            figure.baseline_name, figure.checked,
        )  # fmt: skip
    Console(width=None if Console().is_terminal else 180).print(table)
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps([{**asdict(f), "ratio": f.ratio} for f in figures], indent=2) + "\n")
