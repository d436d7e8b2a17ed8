"""What is broken on purpose, and until when."""

from __future__ import annotations

import asyncio

from mediaagentd.faults import Fault, Faults


def test_a_fault_lasts_as_long_as_it_was_told_last() -> None:
    now = 100.0
    faults = Faults(lambda: now)
    assert faults.left(Fault.CAMERA_LOST) == 0
    faults.begin(Fault.CAMERA_LOST, 10)
    now = 104.0
    assert faults.left(Fault.CAMERA_LOST) == 6
    assert faults.left(Fault.HUB_DROPPED) == 0
    faults.begin(Fault.CAMERA_LOST, 1)
    assert faults.left(Fault.CAMERA_LOST) == 1
    now = 105.0
    assert faults.left(Fault.CAMERA_LOST) == 0


async def test_clearing_lets_go_of_what_is_delayed() -> None:
    faults = Faults()
    await faults.pause()
    faults.delay = 10.0
    faults.begin(Fault.SIGNALLING_DELAYED, 60)
    waiting = [asyncio.create_task(faults.pause()) for _ in range(3)]
    _, still = await asyncio.wait(waiting, timeout=0.05)
    assert len(still) == 3
    faults.clear()
    async with asyncio.timeout(5):
        await asyncio.gather(*waiting)
    faults.delay = 0.01
    faults.begin(Fault.SIGNALLING_DELAYED, 60)
    async with asyncio.timeout(5):
        await faults.pause()
