"""Networks that go away and come back under a call, and such that hardly carry one."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence

import pytest
from mediaagentd.call.types import PeerDown, PeerUp
from mediaagentd.media.types import VideoCodec

from tests.integration.media.pair import settings
from tests.netlab import CLEAN, LOST, Lab, NetEnd, NetPair, round_trip, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

OUTAGES = ((5.0, 1.0), (20.0, 1.5), (60.0, 4.0))
"""Seconds without a network, and in which the picture is to be back."""

ASLEEP = 40.0
"""Seconds that a far end sleeps: longer than consent lasts."""

LOAD = 2.0
"""Seconds more on a machine that others use too; the figure itself is told."""


async def back(end: NetEnd, since: float) -> float:
    """Seconds from that instant until the next picture was decoded."""
    async with asyncio.timeout(30):
        while True:
            times = [seen.time for seen in await end.seen() if seen.time > since and seen.number is not None]
            if times:
                return times[0] - since
            await asyncio.sleep(0.02)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("seconds", "goal"), OUTAGES)
async def test_the_picture_is_back_after_an_outage(
    seconds: float, goal: float, request: pytest.FixtureRequest
) -> None:
    """Only the path between the two is away; the hub is not."""
    if seconds > 5 and not request.config.getoption("--campaign"):
        pytest.skip("--campaign")
    async with Lab("ann", "bob") as lab:
        codecs = (VideoCodec.VP8,)
        alice = settings("alice", microphone="synthetic", codecs=codecs)
        bob = settings("bob", microphone="synthetic:500", codecs=codecs)
        async with NetPair(lab, alice, bob) as pair:
            await pair.connect()
            for end in pair.ends:
                await end.look()
                await end.until_seen(20)
            await lab.impair(lab["bob"], LOST)
            went = time.monotonic()
            for end in pair.ends:
                assert not (await end.reported(PeerDown)).final
                assert 1.5 < time.monotonic() - went < 2.0 + LOAD
            await asyncio.sleep(went + seconds - time.monotonic())
            came = time.monotonic()
            await lab.impair(lab["bob"], CLEAN)
            took = await asyncio.gather(*(back(end, came) for end in pair.ends))
            for end in pair.ends:
                await end.reported(PeerUp)
            print(f"\noutage {seconds:g} s: picture back after {took[0]:.2f} and {took[1]:.2f} s")
            assert max(took) < goal + LOAD
            for end in pair.ends:
                assert not any(isinstance(report, PeerDown) for report in end.reports)


@pytest.mark.timeout(120)
async def test_a_far_end_that_slept_is_connected_anew(request: pytest.FixtureRequest) -> None:
    """Longer than consent lasts: both ends begin anew, from nothing but the call."""
    if not request.config.getoption("--campaign"):
        pytest.skip("--campaign")
    async with (
        Lab("ann", "bob") as lab,
        NetPair(lab, settings("alice"), settings("bob", microphone="synthetic")) as pair,
    ):
        await pair.connect()
        await pair.alice.look()
        await pair.alice.until_seen(10)
        os.kill(pair.bob.pid, signal.SIGSTOP)
        await asyncio.sleep(ASLEEP)
        woke = time.monotonic()
        os.kill(pair.bob.pid, signal.SIGCONT)
        took = await back(pair.alice, woke)
        print(f"\nasleep for 40 s: picture back after {took:.2f} s")
        assert took < 4.0 + LOAD
        for end in pair.ends:
            assert not any(isinstance(each, PeerDown) and each.final for each in end.reports)


async def _until_something_stood_in(ends: Sequence[NetEnd]) -> None:
    """For a lost packet of a picture. Both may have begun with a lost keyframe, and sent next to nothing."""
    async with asyncio.timeout(20):
        while not sum([(await end.figures()).stats.video_received.repaired for end in ends]):  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.2)


@pytest.mark.timeout(2100)
async def test_a_far_and_lossy_path_keeps_the_call(request: pytest.FixtureRequest) -> None:
    """1,200 ms there and back, a fifth lost each way; half an hour with --campaign."""
    seconds = 1800.0 if request.config.getoption("--campaign") else 4.0
    alice = settings("alice", microphone="synthetic", codecs=(VideoCodec.VP8,))
    bob = settings("bob", microphone="synthetic", codecs=(VideoCodec.VP8,))
    async with Lab("ann", "bob") as lab, NetPair(lab, alice, bob) as pair:
        await lab.impair(lab["bob"], round_trip(1.2, 0.2))
        await pair.connect()
        for end in pair.ends:
            await end.look()
        began, before = time.monotonic(), [await end.figures() for end in pair.ends]
        await asyncio.sleep(seconds)
        for end, old in zip(pair.ends, before, strict=True):
            figures, took = await end.figures(), time.monotonic() - began
            packets = figures.stats.audio_received.packets - old.stats.audio_received.packets
            shown = figures.frames_decoded - old.frames_decoded
            sound, pictures = packets / took, shown / took
            print(f"\n{took:.0f} s: a second {sound:.1f} packets of sound, {pictures:.1f} pictures")
            assert packets > 0.5 * 50 * took  # four fifths arrive, fewer in a short run on a busy machine
            assert pictures > 15 or seconds < 60  # a short run is mostly the beginning
            down = [report for report in end.reports if isinstance(report, PeerDown)]
            assert not any(report.final for report in down)
            assert len(down) <= seconds / 600
        await _until_something_stood_in(pair.ends)
