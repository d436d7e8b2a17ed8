from __future__ import annotations

import asyncio
import time

import pytest
from mediaagentd.lag import INTERVAL, SELDOM, LoopLag
from mediaagentd.lending import LendingLoop

PATIENCE = 10.0


async def test_a_loop_that_was_held_up_is_late_by_that_much() -> None:
    lag = LoopLag(asyncio.get_running_loop())
    assert lag.p99 == 0
    time.sleep(INTERVAL + 0.15)  # noqa: ASYNC251 - this is what is measured
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert lag.p99 == pytest.approx(0.15, abs=0.1)
    lag.close()


def test_a_loop_that_leaves_timers_to_others_wakes_for_its_looks_all_the_same() -> None:
    class Polled:
        def poll(self) -> None: ...

        def stop(self) -> None: ...

    async def story(loop: LendingLoop) -> None:
        lag = LoopLag(loop)
        loop.poll(Polled())
        assert loop.patient
        for wake in (INTERVAL, SELDOM):
            began = loop.time()
            await asyncio.sleep(INTERVAL / 4)
            assert wake * 0.9 < loop.time() - began < wake + PATIENCE
        lag.close()

    with asyncio.Runner(loop_factory=LendingLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, LendingLoop)
        runner.run(story(loop))
