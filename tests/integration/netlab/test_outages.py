"""Networks that go away and come back under a call, and addresses that change."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from mediaagent.v1 import agent_pb2, call_pb2, event_pb2
from mediaagentd.call.types import PeerDown, PeerUp
from mediaagentd.media.types import VideoCodec

from tests.integration.daemon.driver import WITHIN, Driver, drive
from tests.integration.media.pair import settings
from tests.integration.processes import agent, hub
from tests.netlab import CLEAN, LOST, Lab, NetEnd, NetPair, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

OUTAGES = ((5.0, 1.0), (20.0, 1.5), (60.0, 4.0))
"""Seconds without a network, and in which the picture is to be back."""

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


@pytest.mark.parametrize("mover", ["ann", "bob"])
async def test_sound_is_back_after_a_change_of_address(mover: str, tmp_path: Path) -> None:
    """Whole daemons: the kernel tells of the change, the hub is reached anew, and so is the other."""
    async with Lab("hub", "ann", "bob") as lab:
        home = lab["hub"]
        async with (
            hub(tmp_path, address=home.address, prefix=home.prefix) as the_hub,
            agent(tmp_path, "ann", the_hub, prefix=lab["ann"].prefix, video_profile="480p") as left,
            agent(tmp_path, "bob", the_hub, prefix=lab["bob"].prefix, video_profile="480p") as right,
            drive(left) as ann,
            drive(right) as bob,
        ):
            await ann.login(the_hub)
            await bob.login(the_hub)
            await ann.dial("bob", call_pb2.CALL_TYPE_VIDEO)
            invited = (await bob.event(event_pb2.EVENT_TYPE_INVITED)).invited
            await bob.call.Accept(call_pb2.AcceptRequest(invite_id=invited.invite_id), timeout=WITHIN)
            await asyncio.gather(ann.connected("bob"), bob.connected("ann"))
            await asyncio.gather(*(until_heard(each, time.monotonic()) for each in (ann, bob)))
            moved = time.monotonic()
            await lab[mover].readdress()
            took = await asyncio.gather(*(until_heard(each, moved + 0.3) for each in (ann, bob)))
            print(
                f"\naddress of {mover} changed: sound back after {took[0] + 0.3:.2f}, {took[1] + 0.3:.2f} s"
            )
            assert max(took) < 3.0 + LOAD
            for each in (ann, bob):
                status = await each.status()
                assert status.call.state == call_pb2.CALL_STATE_ACTIVE
            ended = await ann.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)
            assert ended.call.end_reason == call_pb2.END_REASON_HANGUP
            await bob.event(event_pb2.EVENT_TYPE_CALL_END)


async def until_heard(driver: Driver, since: float) -> float:
    """Seconds from that instant until ten more packets of the other's sound have come (200 ms)."""
    heard: int | None = None
    async with asyncio.timeout(WITHIN):
        while True:
            stats = await driver.agent.GetStats(agent_pb2.GetStatsRequest(), timeout=WITHIN)
            packets = stats.peers[0].audio_received.packets
            if time.monotonic() > since:
                heard = packets if heard is None else heard
                if packets >= heard + 10:
                    return time.monotonic() - since
            await asyncio.sleep(0.02)
