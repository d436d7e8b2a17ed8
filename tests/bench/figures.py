"""A figure of ours beside the same figure of the others in the same run; the ratio is what counts."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One row. `ours` and each of `others` hold one value a run, in `unit`. `goal`: at most so much, at least
    when `at_least`; `checked` says what proves that the figure was real; `why` what is known of the reason
    when the goal is missed.
    """

    name: str
    unit: str
    ours: tuple[float, ...]
    checked: str
    others: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    goal: float | None = None
    at_least: bool = False
    note: str = ""
    why: str = ""

    @property
    def median(self) -> float:
        """Of ours."""
        return statistics.median(self.ours)

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if self.goal is None:
            return None
        return self.median >= self.goal if self.at_least else self.median <= self.goal

    @property
    def ratio(self) -> float | None:
        """Ours over the least of the others, medians; None without others."""
        medians: list[float] = [statistics.median(values) for values in self.others.values() if values]
        least = min(medians, default=0.0)
        return self.median / least if least else None


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of `values` do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def told(values: Sequence[float]) -> str:
    """Median, spread and how many values, for people."""
    if not values:
        return "-"
    middle = statistics.median(values)
    if len(values) == 1:
        return _short(middle)
    return f"{_short(middle)} ({_short(min(values))} to {_short(max(values))}; {len(values)})"


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
