"""What time does to a call in virtual time: a camera that was off for long, a clock that is set."""

from __future__ import annotations

import asyncio
import time

import pytest
from mediaagentd.media.types import VideoProfile

from tests.netlab.profiles import Impairment
from tests.virtual import clock
from tests.virtual.clock import play
from tests.virtual.end import VirtualEnd
from tests.virtual.network import Network
from tests.virtual.trials import connected

RATE = 500_000
"""Bits a second that a path without a limit gives at least."""


async def call(network: Network) -> list[VirtualEnd]:
    """Ann shows herself to Ben, over a path of 20 ms there and back, until her rate has risen."""
    network.impair(Impairment(delay=0.010))
    ann, ben = await connected(network, VideoProfile.P480)
    ben.board.set_sending(True, False)
    await ben.look()
    await asyncio.sleep(8)
    return [ann, ben]


async def seconds(end: VirtualEnd, far: VirtualEnd, count: float) -> tuple[int, int, float]:
    """The least rate that the far end lets it send at from now on, the pictures that that one sees, and the
    longest round trip that it measures.
    """
    begun = len(far.seen)
    rates: list[int] = []
    trips: list[float] = []
    for _ in range(round(count / 0.25)):
        await asyncio.sleep(0.25)
        rates.append(end.rate)
        trips.append(end.figures().stats.round_trip or 0.0)
    return min(rates), len(far.seen) - begun, max(trips)


def test_a_camera_that_was_off_is_seen_at_once() -> None:
    async def story(network: Network) -> None:
        ann, ben = await call(network)
        ann.board.set_sending(True, False)
        await asyncio.sleep(40)
        ann.board.set_sending(True, True)
        rate, pictures, _ = await seconds(ann, ben, 10)
        assert rate > RATE
        assert pictures > 270
        await asyncio.gather(ann.close(), ben.close())

    play(story, 1)


@pytest.mark.parametrize("step", [-1.0, 30.0], ids=["back", "forth"])
def test_a_clock_that_is_set_in_a_call_is_no_matter(monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    async def story(network: Network) -> None:
        ann, ben = await call(network)
        before = time.time()
        monkeypatch.setattr(clock, "EPOCH", clock.EPOCH + step)
        assert time.time() - before == pytest.approx(step)
        rate, pictures, trip = await seconds(ann, ben, 10)
        assert rate > RATE
        assert pictures > 290
        assert trip < 0.1
        await asyncio.gather(ann.close(), ben.close())

    play(story, 1)
