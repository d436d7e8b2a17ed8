"""The hub's clock."""

from __future__ import annotations

import time

import pytest
from mediaagentd.hub.shell import clock


def test_a_clock_that_is_set_while_the_hub_lives_does_not_move_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = clock()
    wall = time.time()
    assert abs(now() - wall) < 5.0
    before = now()
    for step in (86400.0, -86400.0):
        monkeypatch.setattr(time, "time", lambda step=step: wall + step)
        assert 0.0 <= now() - before < 5.0
