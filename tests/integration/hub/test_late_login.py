"""A login that was given up, lies in a connection that stands still, and comes behind the next one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from mediaagentd.call.types import SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.settings import HubSettings
from mediaagentd.signalling import client as module

from tests.integration.hub.conftest import Bench, MakeDevice


class Path:
    """Between an agent and its hub. While it `stands` what is said into the connections that are there waits;
    `resume` lets it arrive, piece by piece, as by TCP's repetitions.
    """

    def __init__(self, hub: str) -> None:
        self.target = ""
        self._hub = hub.rpartition(":")[2]
        self._flows: list[asyncio.Event] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.target = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stand(self) -> None:
        for flow in self._flows:
            flow.clear()

    def resume(self) -> None:
        for flow in self._flows:
            flow.set()

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.create_task(self._connect(reader, writer)))

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        flow, free = asyncio.Event(), asyncio.Event()
        flow.set()
        free.set()
        self._flows.append(flow)
        answers, onward = await asyncio.open_connection("127.0.0.1", int(self._hub))
        await asyncio.gather(self._pass(reader, onward, flow), self._pass(answers, writer, free))

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: asyncio.Event) -> None:
        pieces: asyncio.Queue[tuple[bytes, bool]] = asyncio.Queue()

        async def read() -> None:
            piece = b"-"
            while piece:
                piece = await reader.read(65536)
                pieces.put_nowait((piece, not flow.is_set()))

        reading = asyncio.create_task(read())
        try:
            while True:
                piece, is_late = await pieces.get()
                if is_late:
                    await flow.wait()
                    await asyncio.sleep(0.05)  # each repetition comes a round trip behind the one before
                if not piece:
                    return
                writer.write(piece)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            writer.close()


@pytest.fixture
async def hub(settings: HubSettings) -> AsyncIterator[Bench]:
    bench = Bench(replace(settings, listen="127.0.0.1:0"))
    await bench.start()
    yield bench
    await bench.stop()


@pytest.fixture
async def path(hub: Bench) -> AsyncIterator[Path]:
    made = Path(hub.target)
    await made.start()
    yield made
    await made.stop()


async def test_a_login_of_long_ago_keeps_the_device_not_out(
    hub: Bench, path: Path, device: MakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await device("ann", "kiosk", target=path.target, login=False)
    await ann.client._rpc.connected()
    path.stand()
    monkeypatch.setattr(module, "ANSWER", 0.3)
    with pytest.raises(Refused) as refused:
        await ann.login()
    assert refused.value.reason is Reason.HUB_UNREACHABLE
    monkeypatch.setattr(module, "ANSWER", 5.0)
    await ann.login()
    since = len(ann.ears.heard)
    path.resume()
    await ann.ears.phase(SessionPhase.RECONNECTING, since)
    await ann.ears.phase(SessionPhase.ONLINE, since)
    bob = await device("bob", target=hub.target)
    await bob.invite("ann")
    await ann.ears.call(lambda call: call.sponsor == "bob")


async def test_of_two_devices_of_one_name_the_newer_stays(hub: Bench, device: MakeDevice) -> None:
    old = await device("ann", "clone", target=hub.target)
    new = await device("ann", "clone", target=hub.target)
    await old.ears.phase(SessionPhase.KICKED_OUT)
    bob = await device("bob", target=hub.target)
    await bob.invite("ann")
    await new.ears.call(lambda call: call.sponsor == "bob")
    assert new.client.has_session
