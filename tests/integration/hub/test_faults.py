"""Signalling that fails on purpose: with a real hub behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from mediaagentd.call.signal import Candidate, Signal
from mediaagentd.call.types import Accept, CallType, Invite, Leave, SessionChanged, SessionPhase
from mediaagentd.errors import Reason
from mediaagentd.faults import Fault, Faults
from mediaagentd.hub.settings import HubSettings
from mediaagentd.signalling.client import HubClient

from tests.fakes.hub_ears import Device, Ears
from tests.integration.hub.conftest import APP, Bench, MakeDevice, sig

LONG = 3600.0
INVITATION = Invite(("bob",), CallType.AUDIO, 30.0, "", "r")


class Broken(Device):
    """A device that can be broken."""

    def __init__(self, client: HubClient, ears: Ears, faults: Faults) -> None:
        super().__init__(client, ears, "ann", sig("ann"))
        self.faults = faults


@pytest.fixture
async def ann(hub: Bench, settings: HubSettings) -> AsyncIterator[Broken]:
    ears, faults = Ears(), Faults()
    client = HubClient(
        hub.target,
        device_id="hall",
        sdk_app_id=APP,
        listener=ears,
        heartbeat=settings.heartbeat,
        faults=faults,
    )
    one = Broken(client, ears, faults)
    await one.login()
    yield one
    await client.close()


async def test_a_dropped_hub_comes_back_and_the_session_is_the_same(ann: Broken, device: MakeDevice) -> None:
    bob = await device("bob")
    call = await bob.invite("ann")
    await ann.do(Accept(call.invite_id))
    await bob.ears.call(lambda it: it.revision == 2)
    since = len(ann.ears.heard)
    ann.faults.begin(Fault.HUB_DROPPED, 0.5)
    await ann.client.drop()
    await ann.ears.phase(SessionPhase.RECONNECTING, since)
    signal = Signal(2, Candidate("", "0"))
    bob.client.send_signal(call.call_id, "ann", signal)
    await ann.ears.phase(SessionPhase.ONLINE, since)
    # What was said meanwhile comes: the stream resumed, the call went on.
    await ann.ears.until(lambda it: it == (call.call_id, "bob", signal), since)
    phases = [it.session for it in ann.ears.heard[since:] if isinstance(it, SessionChanged)]
    assert phases == [SessionPhase.RECONNECTING, SessionPhase.ONLINE]
    assert not ann.ears.calls[call.call_id].ended


async def test_commands_do_not_reach_a_dropped_hub(ann: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mediaagentd.signalling.commands.DEADLINE", 0.3)
    ann.faults.begin(Fault.HUB_DROPPED, LONG)
    await ann.client.drop()
    assert (await ann.refused(INVITATION)).reason is Reason.HUB_UNREACHABLE


async def test_refused_signalling(ann: Broken, device: MakeDevice) -> None:
    bob = await device("bob")
    call = await ann.invite("bob")
    ann.faults.begin(Fault.SIGNALLING_REFUSED, LONG)
    assert (await ann.refused(INVITATION)).reason is Reason.FAULT_INJECTED
    assert (await ann.refused(INVITATION)).reason is Reason.FAULT_INJECTED
    ann.client.perform(0, Leave(call.call_id))  # nobody waits for it: it outlasts the fault
    ann.faults.clear()
    await bob.ears.call(lambda it: it.ended)
    assert [it.session for it in ann.ears.heard if isinstance(it, SessionChanged)] == [SessionPhase.ONLINE]


async def test_delayed_signalling(ann: Broken, device: MakeDevice) -> None:
    bob = await device("bob")
    ann.faults.delay = 0.4
    ann.faults.begin(Fault.SIGNALLING_DELAYED, LONG)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    call = await ann.invite("bob")
    assert loop.time() - begun >= 0.4
    begun = loop.time()
    await bob.do(Accept(call.invite_id))
    await ann.ears.call(lambda it: it.revision == 2)
    assert loop.time() - begun >= 0.4
