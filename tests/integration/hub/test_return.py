"""The hub is killed while a hundred agents are in calls: no call notices, and all are back at once.

Eight of them are daemons that speak with each other, the others are a daemon's signalling without media. More
deaths, and longer ones, by `--campaign`.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from mediaagent.v1 import call_pb2, event_pb2, session_pb2
from mediaagentd.call.types import Accept, HubCall, Report, SessionChanged, SessionPhase
from mediaagentd.call.types import Leave as LeaveCall
from mediaagentd.children import free_port
from mediaagentd.signalling.client import HubClient

from tests.fakes.hub_ears import Device, Ears
from tests.integration.daemon.driver import WITHIN, Driver, drive
from tests.integration.processes import APP_ID, Agent, Hub, agent, hub
from tests.integration.story.sound import RATE, Samples, samples

AGENTS = 100
SPEAKERS = 8
GAP = 0.060
"""Seconds that may be missing from what is heard."""

BACK = 3.0
"""Seconds from the hub's return until the agents are registered again, 99 of 100."""

STEP = RATE // 100


class Clocked(Ears):
    """Ears that know when they came online last."""

    online = 0.0

    def report(self, report: Report) -> None:
        if isinstance(report, SessionChanged) and report.session is SessionPhase.ONLINE:
            self.online = asyncio.get_running_loop().time()
        super().report(report)


@dataclass
class Speaker:
    """A daemon in a call, and where what it hears is written."""

    daemon: Agent
    driver: Driver
    began: int = 0

    @property
    def heard(self) -> Path:
        return self.daemon.directory / "heard.wav"

    def mark(self) -> None:
        """From here on it is listened to."""
        self.began = len(samples(self.heard))

    async def sound(self, seconds: float = 2.0) -> Samples:
        """What was heard since, so much at least."""
        async with asyncio.timeout(WITHIN):
            while len(heard := samples(self.heard)[self.began :]) < seconds * RATE:  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # a file has no event; it grows by the second
        return heard

    async def session(self, state: session_pb2.SessionState.ValueType) -> float:
        """When its client is told that the session is in that state."""
        while True:
            changed = await self.driver.event(event_pb2.EVENT_TYPE_SESSION_CHANGED)
            if changed.session_changed.session.state == state:
                return asyncio.get_running_loop().time()


@dataclass
class Crowd:
    """Everyone who is in a call."""

    speakers: list[Speaker] = field(default_factory=list)
    silent: list[tuple[Device, Device, HubCall]] = field(default_factory=list)

    @property
    def devices(self) -> Iterator[Device]:
        for ann, bob, _ in self.silent:
            yield from (ann, bob)


@asynccontextmanager
async def speaking(directory: Path, the_hub: Hub, count: int) -> AsyncIterator[list[Speaker]]:
    """So many daemons, two and two in calls of sound; one hears the other's tone."""
    async with AsyncExitStack() as stack:

        async def one(n: int) -> Speaker:
            name = f"speaker{n}"
            daemon = await stack.enter_async_context(
                agent(
                    directory, name, the_hub, camera="none", microphone=f"synthetic:{440 + 20 * n}",
                    speaker=f"wav:{directory / name / 'heard.wav'}",
                )
            )  # fmt: skip
            driver = await stack.enter_async_context(drive(daemon))
            await driver.login(the_hub)
            return Speaker(daemon, driver)

        speakers = list(await asyncio.gather(*map(one, range(count))))
        for ann, bob in zip(speakers[::2], speakers[1::2], strict=True):
            await ann.driver.dial(bob.driver.name, call_pb2.CALL_TYPE_AUDIO)
            invited = (await bob.driver.event(event_pb2.EVENT_TYPE_INVITED)).invited
            await bob.driver.call.Accept(call_pb2.AcceptRequest(invite_id=invited.invite_id), timeout=WITHIN)
            await ann.driver.connected(bob.driver.name)
            await bob.driver.connected(ann.driver.name)
        yield speakers


@asynccontextmanager
async def signalling(the_hub: Hub, count: int) -> AsyncIterator[list[tuple[Device, Device, HubCall]]]:
    """So many agents without media, two and two in calls."""
    devices = []
    for n in range(count):
        ears = Clocked()
        client = HubClient(the_hub.target, device_id="d", sdk_app_id=APP_ID, listener=ears, heartbeat=5.0)
        devices.append(Device(client, ears, f"silent{n}", the_hub.mint(f"silent{n}")))
    try:
        await asyncio.gather(*(device.login() for device in devices))
        yield [await connect(*pair) for pair in zip(devices[::2], devices[1::2], strict=True)]
    finally:
        await asyncio.gather(*(device.client.close() for device in devices))


async def connect(ann: Device, bob: Device) -> tuple[Device, Device, HubCall]:
    call = await ann.invite(bob.user_id)
    joined = await bob.do(Accept(call.invite_id))
    assert joined is not None
    await ann.ears.call(lambda it: it.revision == joined.revision)
    return ann, bob, joined


async def die_and_return(
    crowd: Crowd, hubs: AsyncExitStack, the_hub: Hub, directory: Path, away: float
) -> tuple[Hub, list[float]]:
    """Kills the hub; the next one is there `away` seconds after it, and its start. Seconds that each agent
    then took to be registered again.
    """
    marks = [(device, len(device.ears.heard)) for device in crowd.devices]
    the_hub.child.signal(signal.SIGKILL)
    await the_hub.child.wait()
    await asyncio.gather(
        *(speaker.session(session_pb2.SESSION_STATE_RECONNECTING) for speaker in crowd.speakers),
        *(device.ears.phase(SessionPhase.RECONNECTING, since) for device, since in marks),
        asyncio.sleep(away),
    )
    port = int(the_hub.target.rpartition(":")[2])
    successor = await hubs.enter_async_context(hub(directory, port=port))
    back = asyncio.get_running_loop().time()
    at = await asyncio.gather(*(one.session(session_pb2.SESSION_STATE_ONLINE) for one in crowd.speakers))
    await asyncio.gather(*(device.ears.phase(SessionPhase.ONLINE, since) for device, since in marks))
    at += [device.ears.online for device in crowd.devices if isinstance(device.ears, Clocked)]
    return successor, sorted(time - back for time in at)


def longest_gap(sound: Samples) -> float:
    """Seconds of the longest silence within a tone."""
    steps = sound[: len(sound) // STEP * STEP].reshape(-1, STEP)
    loud = np.flatnonzero(np.sqrt((steps**2).mean(axis=1)) > 300)
    assert len(loud) > 100, "nothing was heard"
    return float((np.diff(loud) - 1).max(initial=0)) * STEP / RATE


async def test_a_hub_that_is_killed_ends_no_call(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    whole = bool(request.config.getoption("--campaign"))
    deaths = (0.0, 0.5, 2.0, 5.0, 10.0, 20.0) if whole else (0.0,)
    async with (
        AsyncExitStack() as hubs,
        hub(tmp_path, port=free_port()) as first,
        speaking(tmp_path, first, SPEAKERS) as speakers,
        signalling(first, AGENTS - SPEAKERS) as silent,
    ):
        crowd, the_hub = Crowd(speakers, silent), first
        for away in deaths:
            for speaker in speakers:
                speaker.mark()
            the_hub, took = await die_and_return(crowd, hubs, the_hub, tmp_path, away)
            gaps = [longest_gap(await speaker.sound()) for speaker in speakers]
            print(f"\naway {away:g} s: back p50 {took[len(took) // 2]:.2f} s, p99 {took[-2]:.2f} s,"
                  f" longest {took[-1]:.2f} s; longest gap of sound {max(gaps) * 1e3:.0f} ms")  # fmt: skip
            assert max(gaps) <= GAP
            assert len(took) == AGENTS
            assert took[-2] <= BACK
            for speaker in speakers:
                assert (await speaker.driver.status()).call.state == call_pb2.CALL_STATE_ACTIVE
        for ann, bob, call in silent:
            assert [one.ears.calls[call.call_id].revision for one in (ann, bob)] == [call.revision] * 2
            await ann.do(LeaveCall(call.call_id))
            await bob.ears.call(lambda it, c=call: it.ended and it.call_id == c.call_id)  # type: ignore[misc]
        for one, other in zip(speakers[::2], speakers[1::2], strict=True):
            await one.driver.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)
            ended = (await other.driver.event(event_pb2.EVENT_TYPE_CALL_END)).call_ended.call
            assert ended.end_reason == call_pb2.END_REASON_HANGUP


def test_a_gap_is_heard() -> None:
    tone = 8000 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    assert longest_gap(tone) == 0
    tone[RATE : RATE + 5 * STEP] = 0
    assert longest_gap(tone) == pytest.approx(0.05)
