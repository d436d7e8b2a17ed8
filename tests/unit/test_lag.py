from __future__ import annotations

import asyncio
import time

import pytest
from mediaagentd.lag import INTERVAL, LoopLag


async def test_a_loop_that_was_held_up_is_late_by_that_much() -> None:
    lag = LoopLag(asyncio.get_running_loop())
    assert lag.p99 == 0
    time.sleep(INTERVAL + 0.15)  # noqa: ASYNC251 - this is what is measured
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert lag.p99 == pytest.approx(0.15, abs=0.1)
    lag.close()
