"""Where figures are kept (`tests/bench/report.json`) and published (`tests/bench/README.md`)."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Figure, told
from tests.integration.processes import REPOSITORY

REPORT = Path(__file__).with_name("report.json")
README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- results: written by `python -m tests.bench readme` -->", "<!-- end of results -->"


def keep(scenario: str, figures: Sequence[Figure], seconds: float, path: Path = REPORT) -> None:
    """Puts a scenario's figures into the report; those of other scenarios stay."""
    report = _read(path)
    report[scenario] = {
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "commit": _commit(),
        "load": round(os.getloadavg()[1], 2),
        "seconds": round(seconds),
        "figures": [asdict(figure) for figure in figures],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(report, indent=2) + "\n")


def machine() -> str:
    """In a line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    system = f"{platform.system()} {platform.release()}"
    return f"{model}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def show(figures: Sequence[Figure]) -> None:
    """Prints a table."""
    table = Table()
    for column in ("figure", "unit", "ours", "goal", "others", "ratio", "checked by"):
        table.add_column(column)
    for figure in figures:
        table.add_row(*_row(figure))
    Console(width=None if Console().is_terminal else 180).print(table)


def publish(order: Sequence[str], path: Path = REPORT, readme: Path = README) -> None:
    """Writes the tables of the report into the README, between its marks, in this order of scenarios; others
    come after them.
    """
    kept_all = _read(path)
    report = {name: kept_all[name] for name in [*order, *kept_all] if name in kept_all}
    before, _, rest = readme.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    lines = [BEGIN, ""]
    for scenario, kept in report.items():
        lines += _section(scenario, kept)
    missed = [line for kept in report.values() for line in map(_missed, _figures(kept)) if line]
    lines += ["### Goals missed", "", *(missed or ["None in this report."]), "", END]
    readme.write_text(before + "\n".join(lines) + after)


def _section(scenario: str, kept: dict[str, Any]) -> list[str]:
    lines = [
        f"### {scenario}",
        "",
        f"`python -m tests.bench {scenario}`, {kept['when']}, commit {kept['commit']}, {kept['machine']}, "
        f"load average {kept['load']} when it ended, {kept['seconds']} s.",
        "",
        "| figure | unit | ours | goal | others | ratio to the least | checked by |",
        "|---|---|---|---|---|---|---|",
    ]
    return [*lines, *("| " + " | ".join(_row(figure)) + " |" for figure in _figures(kept)), ""]


def _row(figure: Figure) -> tuple[str, ...]:
    goal = "-"
    if figure.goal is not None:
        goal = f"{'>=' if figure.at_least else '<='} {figure.goal:g} {'met' if figure.met else 'MISSED'}"
    others = "; ".join(f"{name} {told(values)}" for name, values in figure.others.items()) or "-"
    ratio = "-" if figure.ratio is None else f"{figure.ratio:.2f}"
    checked = figure.checked + (f" ({figure.note})" if figure.note else "")
    return (figure.name, figure.unit, told(figure.ours), goal, others, ratio, checked)


def _missed(figure: Figure) -> str:
    if figure.met is not False:
        return ""
    why = f" {figure.why}" if figure.why else ""
    sign = "at least" if figure.at_least else "at most"
    return f"- {figure.name}: {figure.median:.3g} {figure.unit}, goal {sign} {figure.goal:g}.{why}"


def _figures(kept: dict[str, Any]) -> list[Figure]:
    return [
        Figure(
            **{
                **each,
                "ours": tuple(each["ours"]),
                "others": {name: tuple(values) for name, values in each["others"].items()},
            }
        )
        for each in kept["figures"]
    ]


def _read(path: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return report


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
