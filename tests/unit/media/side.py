"""One side of a connection, and a clock."""

from __future__ import annotations

from mediaagentd.media import continuity as c
from mediaagentd.media import continuity_types as t


class Side:
    """One machine and a clock; `alive` tells until when something is heard of the current connection."""

    def __init__(self, *, offers: bool, budget: float = 60.0) -> None:
        self.now = 0.0
        self.state, effects = c.begin(0.0, offers=offers, budget=budget)
        self.told: list[tuple[float, t.Effect]] = [(0.0, effect) for effect in effects]
        self.silent_from = float("inf")

    def give(self, told: t.Input) -> list[t.Effect]:
        self.state, effects = c.step(self.state, self.now, told)
        self.told += [(self.now, effect) for effect in effects]
        return list(effects)

    def until(self, time: float) -> list[t.Effect]:
        """Lets time pass; what was decided meanwhile, without questions. Each time that the timer goes off
        something is done, so that it cannot spin.
        """
        before = len(self.told)
        while (due := c.deadline(self.state)) is not None and due <= time:
            assert due > self.now - 1e-9, "a deadline in the past"
            self.now = max(self.now, due)
            state = self.state
            effects = self.give(t.Tick(min(self.now - 0.01, self.silent_from)))
            assert effects or self.state != state, "a deadline for nothing"
        self.now = time
        return [effect for _, effect in self.told[before:] if not isinstance(effect, t.Probe)]

    def fall_silent(self) -> None:
        self.silent_from = self.now

    def when(self, kind: type[t.Effect]) -> list[float]:
        return [round(time, 2) for time, effect in self.told if isinstance(effect, kind)]


def up(*, offers: bool, budget: float = 60.0) -> Side:
    side = Side(offers=offers, budget=budget)
    if not offers:
        assert side.give(t.Offered(0)) == [t.Take(0)]
    assert side.give(t.Connected(0)) == [t.Adopt(0, None), t.Up()]
    return side
