"""Daemons whose addresses change in a call, or that lose everything for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mediaagent.v1 import agent_pb2, call_pb2, event_pb2
from mediaagentd.children import free_port

from tests.integration.daemon.driver import WITHIN, Driver, drive
from tests.integration.processes import agent, household, hub
from tests.netlab import CLEAN, LOST, Lab, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))

AFTERWARDS = 3.0
"""Seconds that a call which came back is to stay."""

LOAD = 2.0
"""Seconds more on a machine that others use too; the figure itself is told."""


@asynccontextmanager
async def in_a_call(place: Path, family: int = 4) -> AsyncIterator[tuple[Lab, Driver, Driver]]:
    """A hub and two daemons on a host each, in a video call; it goes on to the end, and can be hung up."""
    async with Lab("hub", "ann", "bob", family=family) as lab:
        home = lab["hub"]
        address = home.address if family == 4 else f"[{home.address}]"
        port = free_port()
        daemons = (
            agent(place, name, f"{address}:{port}", prefix=lab[name].prefix, video_profile="480p")
            for name in ("ann", "bob")
        )
        async with (
            household(hub(place, port=port, address=address, prefix=home.prefix), *daemons) as (
                the_hub,
                (left, right),
            ),
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
            yield lab, ann, bob
            for each in (ann, bob):
                assert (await each.status()).call.state == call_pb2.CALL_STATE_ACTIVE
            ended = await ann.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)
            assert ended.call.end_reason == call_pb2.END_REASON_HANGUP
            await bob.event(event_pb2.EVENT_TYPE_CALL_END)


@pytest.mark.parametrize(("mover", "family"), [("ann", 4), ("bob", 6)])
async def test_sound_is_back_after_a_change_of_address(mover: str, family: int, tmp_path: Path) -> None:
    """The kernel tells of the change, the hub is reached anew, and so is the other. Where there is only IPv6,
    signalling and media go over it.
    """
    async with in_a_call(tmp_path, family) as (lab, ann, bob):
        moved = time.monotonic()
        await lab[mover].readdress()
        took = await asyncio.gather(*(until_heard(each, moved + 0.3) for each in (ann, bob)))
        seconds = " and ".join(f"{each + 0.3:.2f}" for each in took)
        print(f"\naddress of {mover} changed: sound back after {seconds} s")
        assert max(took) < 3.0 + LOAD
        told = await ann.agent.NotifyNetworkChanged(agent_pb2.NotifyNetworkChangedRequest(), timeout=WITHIN)
        assert told.connections == 1, "a client may say so too"
        await asyncio.gather(*(until_heard(each, time.monotonic() + 0.3) for each in (ann, bob)))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seconds", [10.0, 25.0, 60.0])
async def test_a_device_without_any_network_comes_back(
    seconds: float, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The hub is out of reach too. As the device is in a call, it keeps it for longer than that."""
    if not request.config.getoption("--campaign"):
        pytest.skip("--campaign")
    async with in_a_call(tmp_path) as (lab, ann, bob):
        await lab.impair(lab["bob"], LOST)
        went = time.monotonic()
        changed = (await ann.event(event_pb2.EVENT_TYPE_CALL_CHANGED)).call_changed
        while changed.call.state != call_pb2.CALL_STATE_RECONNECTING:
            changed = (await ann.event(event_pb2.EVENT_TYPE_CALL_CHANGED)).call_changed
        assert changed.call.participants[0].link == call_pb2.LINK_STATE_RECONNECTING
        await asyncio.sleep(went + seconds - time.monotonic())
        came = time.monotonic()
        await lab.impair(lab["bob"], CLEAN)
        took = await asyncio.gather(*(until_heard(each, came) for each in (ann, bob)))
        print(f"\nno network for {seconds:g} s: sound back after {took[0]:.2f} and {took[1]:.2f} s")
        assert max(took) < 15.0
        await asyncio.sleep(AFTERWARDS)


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
