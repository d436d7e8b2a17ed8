"""How often ICE asks: soon again where a request was lost, but nobody's host is flooded with our requests."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

from mediaagentd.media.rtc.guard import FEW

from tests.fakes.rtc import Recorder, peer
from tests.netlab.profiles import LOST
from tests.virtual.clock import play
from tests.virtual.network import HOSTS, Network

SECOND = 1.05
MANY = 60


async def _asked(network: Network, candidates: int) -> list[int]:
    """How often each of so many candidates of a far end is asked in its first second; none answers."""
    with network.at(HOSTS[0]):
        alice = peer(Recorder(), loopback=False)
        offer = await alice.create_offer()
    with network.at(HOSTS[1]):
        bob = peer(Recorder(), loopback=False)
        answer = await bob.accept_offer(offer)
    asked: defaultdict[tuple[str, int], list[float]] = defaultdict(list)
    loop, send = asyncio.get_running_loop(), network.send

    def noted(data: bytes, source: Any, target: tuple[str, int]) -> None:
        if source.address[0] == HOSTS[0]:
            asked[target].append(loop.time())
        send(data, source, target)

    network.send = noted  # type: ignore[method-assign]
    network.impair(LOST)
    await alice.accept_answer(answer)
    for number in range(1, candidates):
        await alice.add_candidate(f"candidate:{number} 1 udp {9999 - number} 10.9.0.{number} 9 typ host", "0")
    await asyncio.sleep(5.0)
    await asyncio.gather(alice.close(), bob.close())
    return [sum(time <= times[0] + SECOND for time in times) for times in asked.values()]


def test_who_does_not_answer_is_asked_again_soon() -> None:
    assert play(lambda network: _asked(network, 1), seed=1) == [7]


def test_who_names_many_addresses_makes_no_flood() -> None:
    """The first are asked before the others have come."""
    asked = play(lambda network: _asked(network, MANY), seed=1)
    assert len(asked) == MANY
    assert sum(count > 3 for count in asked) <= FEW
    assert min(asked) == 3
