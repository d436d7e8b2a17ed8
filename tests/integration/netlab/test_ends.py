"""Two engines, and two daemons with their hub, in hosts of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
from mediaagent.v1.session_pb2 import LoginRequest
from mediaagent.v1.session_pb2_grpc import SessionServiceStub

from tests.integration.media.pair import settings
from tests.integration.processes import agent, hub
from tests.netlab import Lab, NetPair, round_trip, unavailable

pytestmark = pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))


async def test_two_engines_see_each_other_over_the_wire() -> None:
    async with Lab("ann", "bob") as lab:
        await lab.impair(lab["bob"], round_trip(0.1))
        async with NetPair(lab, settings("alice"), settings("bob", microphone="synthetic")) as pair:
            await pair.connect()
            await pair.alice.look()
            numbers = [seen.number for seen in await pair.alice.until_seen(20)]
            assert None not in numbers
            assert numbers == sorted(filter(None, numbers))
            figures = await pair.alice.figures()
            assert figures.stats.audio_received.packets > 0


async def test_a_daemon_reaches_its_hub_over_the_wire(tmp_path: Path) -> None:
    async with Lab("hub", "ann") as lab:
        the, ann = lab.hosts
        await lab.impair(ann, round_trip(0.05))
        async with (
            hub(tmp_path, address=the.address, prefix=the.prefix) as the_hub,
            agent(tmp_path, "ann", the_hub, prefix=ann.prefix) as daemon,
            daemon.channel() as channel,
        ):
            reply = await SessionServiceStub(channel).Login(
                LoginRequest(user_id="ann", user_sig=the_hub.mint("ann"))
            )
            assert reply is not None
