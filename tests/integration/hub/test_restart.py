"""The hub goes and comes back: calls, sessions and invitations are as they were."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mediaagentd.call.signal import Candidate, Signal
from mediaagentd.call.types import (
    Accept,
    CallsListed,
    EndReason,
    HubCall,
    Leave,
    SessionChanged,
    SessionPhase,
    SetAvailability,
)
from mediaagentd.hub.settings import HubSettings

from tests.fakes.hub_ears import WITHIN, Device
from tests.integration.hub.conftest import APP, KEY, Bench, MakeDevice

RUNNER = Path(__file__).with_name("hub_process.py")
SIGNAL = Signal(2, Candidate("", "0"))


async def connected(device: MakeDevice) -> tuple[Device, Device, HubCall]:
    ann, bob = await device("ann"), await device("bob")
    call = await ann.invite("bob")
    joined = await bob.do(Accept(call.invite_id))
    assert joined is not None
    await ann.ears.call(lambda it: it.revision == joined.revision)
    return ann, bob, joined


async def back(one: Device, since: int) -> CallsListed:
    """Waits until the device is online again; what the welcome listed."""
    await one.ears.phase(SessionPhase.ONLINE, since)
    listed = await one.ears.until(lambda it: isinstance(it, CallsListed), since)
    assert isinstance(listed, CallsListed)
    return listed


def phases(one: Device) -> list[SessionPhase]:
    return [it.session for it in one.ears.heard if isinstance(it, SessionChanged)]


async def test_a_call_goes_on_over_a_restart(hub: Bench, device: MakeDevice) -> None:
    ann, bob, call = await connected(device)
    marks = [len(one.ears.heard) for one in (ann, bob)]
    await hub.stop()
    for one in (ann, bob):
        await one.ears.phase(SessionPhase.RECONNECTING)
    await hub.start()
    for one, mark in zip((ann, bob), marks, strict=True):
        listed = await back(one, mark)
        assert [(it.call_id, it.revision, it.ended) for it in listed.calls] == [(call.call_id, 2, False)]
        # The very same session: nobody logged in again, or the call would have lost a member.
        assert phases(one) == [SessionPhase.ONLINE, SessionPhase.RECONNECTING, SessionPhase.ONLINE]
    ann.client.send_signal(call.call_id, "bob", SIGNAL)
    await bob.ears.until(lambda it: it == (call.call_id, "ann", SIGNAL))
    await bob.do(Leave(call.call_id))
    over = await ann.ears.call(lambda it: it.ended)
    assert over.end_reason is EndReason.HANGUP


async def test_what_was_said_while_it_was_away_arrives(hub: Bench, device: MakeDevice) -> None:
    ann, bob, call = await connected(device)
    await hub.stop()
    for on in (True, False, True):
        ann.client.perform(0, SetAvailability(call.call_id, on, on))
    ann.client.perform(0, Leave(call.call_id))
    await hub.start()
    over = await bob.ears.call(lambda it: it.ended)
    assert over.revision == 4  # two joined, the newest availability, the end
    assert (over.end_reason, over.ended_by) == (EndReason.HANGUP, "ann")


async def test_an_invitation_times_out_though_the_hub_was_away(hub: Bench, device: MakeDevice) -> None:
    ann, bob = await device("ann"), await device("bob")
    call = await ann.invite("bob", timeout=0.2)
    await hub.stop()
    await hub.start()
    over = await bob.ears.call(lambda it: it.ended)
    assert (over.call_id, over.end_reason) == (call.call_id, EndReason.NO_RESPONSE)


async def test_a_stream_resumes_where_it_broke(hub: Bench, device: MakeDevice, settings: HubSettings) -> None:
    """Signals sent while a member's stream was cut reach it, each once and in order."""
    async with Wire(settings) as wire:
        ann = await device("ann", target=wire.target)
        bob = await device("bob")
        call = await ann.invite("bob")
        await bob.do(Accept(call.invite_id))
        await ann.ears.call(lambda it: it.revision == 2)
        sent = [Signal(2, Candidate(f"candidate:1 1 udp {n} 192.0.2.1 9 typ host", "0")) for n in range(30)]
        for n, one in enumerate(sent):
            bob.client.send_signal(call.call_id, "ann", one)
            if n in (5, 20):
                since = len(ann.ears.heard)
                wire.cut()
                await ann.ears.phase(SessionPhase.ONLINE, since)
        await ann.ears.until(lambda it: it == (call.call_id, "bob", sent[-1]))
        assert [it[2] for it in ann.ears.heard if isinstance(it, tuple)] == sent
        await ann.client.close()


async def test_a_hub_that_falls_silent_is_left_and_found_again(
    hub: Bench, device: MakeDevice, settings: HubSettings
) -> None:
    """The network swallows everything and breaks nothing; later there is a new one."""
    async with Wire(settings) as wire:
        ann = await device("ann", target=wire.target)
        bob = await device("bob")
        call = await ann.invite("bob")
        await bob.do(Accept(call.invite_id))
        await ann.ears.call(lambda it: it.revision == 2)
        since = len(ann.ears.heard)
        wire.swallow()
        ann.client.perform(0, SetAvailability(call.call_id, True, True))
        await ann.ears.phase(SessionPhase.RECONNECTING, since)
        listed = await back(ann, since)
        assert [it.call_id for it in listed.calls] == [call.call_id]
        await bob.ears.call(lambda it: it.members[0].audio)
        assert phases(ann) == [SessionPhase.ONLINE, SessionPhase.RECONNECTING, SessionPhase.ONLINE]
        await ann.client.close()


class Wire:
    """A wire to the hub that can be cut (all on it breaks) or swallow (what is open goes on without a
    byte); new connections work again.
    """

    def __init__(self, settings: HubSettings) -> None:
        self._hub = settings.listen.removeprefix("unix:")
        self._open: set[asyncio.StreamWriter] = set()
        self._deaf: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server

    @property
    def target(self) -> str:
        return f"unix:{self._hub}.wire"

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_unix_server(self._serve, f"{self._hub}.wire")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        for writer in tuple(self._open):
            writer.transport.abort()

    def swallow(self) -> None:
        self._deaf |= self._open

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back_to = await asyncio.open_unix_connection(self._hub)
        await asyncio.gather(self._pump(reader, back_to), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while data := await reader.read(65536):
                if writer not in self._deaf:
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()


# ------------------------------------------------------------------------------ kill -9


@asynccontextmanager
async def process(tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A hub process that serves; killed at the end."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(RUNNER), str(tmp_path / "hub.sock"), str(tmp_path / "hub.sqlite"), str(APP), KEY,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        assert child.stdout is not None
        async with asyncio.timeout(30):
            assert await child.stdout.readline()
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


async def test_kill_9_in_the_middle_of_a_call(tmp_path: Path, device: MakeDevice) -> None:
    async with process(tmp_path) as first:
        ann, bob, call = await connected(device)
        marks = [len(one.ears.heard) for one in (ann, bob)]
        first.kill()
        for one in (ann, bob):
            await one.ears.phase(SessionPhase.RECONNECTING)
    async with process(tmp_path):
        for one, mark in zip((ann, bob), marks, strict=True):
            listed = await back(one, mark)
            assert [(it.call_id, it.revision) for it in listed.calls] == [(call.call_id, 2)]
        await ann.do(Leave(call.call_id))
        assert (await bob.ears.call(lambda it: it.ended)).end_reason is EndReason.HANGUP
        for one in (ann, bob):
            await one.client.close()


@pytest.mark.parametrize("after", [0, 3])
async def test_an_acknowledged_invitation_survives_kill_9(
    tmp_path: Path, device: MakeDevice, after: int
) -> None:
    async with process(tmp_path) as first:
        bob = await device("bob")
        await bob.client.close()
        ann = await device("ann")
        for _ in range(after):
            gone = await ann.invite("bob")
            await ann.do(Leave(gone.call_id))
        call = await ann.invite("bob", timeout=60.0)
        first.kill()
        await first.wait()
    async with process(tmp_path):
        bob = await device("bob", "another-device")
        async with asyncio.timeout(WITHIN):
            rang = await bob.ears.call(lambda it: not it.ended)
        assert rang.call_id == call.call_id
        assert [it.call_id for it in bob.ears.calls.values() if not it.ended] == [call.call_id]
        for one in (ann, bob):
            await one.client.close()
