"""What `auto` stands for while devices come and go."""

from __future__ import annotations

import asyncio
import threading

import pytest
from mediaagentd.media import devices, engine, finding
from mediaagentd.media.capture import soundcard
from mediaagentd.media.playout.processing import VoiceProcessor, make_processor
from mediaagentd.media.views.types import LOCAL, FrameFormat, FramesView, View
from mediaagentd.media.voice import Processing

from tests.unit.media.router.agent import PATIENCE, Agent

CAMERA, CARD = "/dev/video7", "card"


class Machine:
    """What is plugged in, what udev and the sound system know of it, and how often it was looked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plugged: list[str] = []
        self.known: list[str] = []
        self.looks = 0
        self.odd = 0
        monkeypatch.setattr(engine, "LOOK", 0.001)
        monkeypatch.setattr(engine, "LOOKS", 40)
        monkeypatch.setattr(devices, "plugged_in", self._plugged_in)
        monkeypatch.setattr(devices, "cameras", self._cameras)
        monkeypatch.setattr(soundcard.CARDS, "has", lambda _direction: CARD in self.known)

    def plug_in(self, what: str) -> None:
        self.plugged.append(what)
        self.known.append(what)

    def _plugged_in(self) -> tuple[str, ...]:
        self.looks += 1
        return tuple(self.plugged)

    def _cameras(self) -> tuple[str, ...]:
        if self.odd:
            self.odd -= 1
            raise ValueError("udev says something odd")
        return tuple(each for each in self.known if each != CARD)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


async def started(speaker: str = "auto") -> Agent:
    agent = Agent(camera="auto", microphone="auto", speaker=speaker)
    await agent.engine.start()
    return agent


async def finds(machine: Machine, agent: Agent, *names: str) -> None:
    """After some more looks."""

    def found() -> tuple[str, ...]:
        local = agent.engine.local()
        return local.camera, local.microphone, local.speaker

    until = machine.looks + 5
    async with asyncio.timeout(PATIENCE):
        while machine.looks < until or found() != names:  # noqa: ASYNC110 # nothing tells of it
            await asyncio.sleep(0.001)


async def test_what_is_plugged_in_later_is_found(machine: Machine) -> None:
    agent = await started()
    await finds(machine, agent, "synthetic", "synthetic", "null")
    agent.engine.set_in_call(True)
    machine.plug_in(CAMERA)
    await finds(machine, agent, "synthetic", "synthetic", "null")
    agent.engine.set_in_call(False)
    await finds(machine, agent, CAMERA, "synthetic", "null")
    machine.plug_in(CARD)
    await finds(machine, agent, CAMERA, "default", "default")
    machine.plugged.remove(CAMERA)  # pulled out: no picture takes its place that nobody is in
    machine.known.remove(CAMERA)
    await finds(machine, agent, CAMERA, "default", "default")
    before = asyncio.get_running_loop().time()
    await agent.engine.stop()
    assert asyncio.get_running_loop().time() - before < engine.STOP


async def test_what_udev_knows_only_later_is_found(machine: Machine) -> None:
    agent = await started()
    machine.plugged.append(CAMERA)
    await finds(machine, agent, "synthetic", "synthetic", "null")
    machine.known.append(CAMERA)
    await finds(machine, agent, CAMERA, "synthetic", "null")
    await agent.engine.stop()


async def test_what_is_plugged_in_while_it_starts_is_found(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def has(_direction: str) -> bool:
        if not machine.plugged:
            machine.plug_in(CAMERA)  # udev was asked before
        return False

    monkeypatch.setattr(soundcard.CARDS, "has", has)
    agent = await started()
    await finds(machine, agent, CAMERA, "synthetic", "null")
    await agent.engine.stop()


async def test_a_sound_system_that_hangs_keeps_nobody_waiting(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    released, asked = threading.Event(), []

    def has(direction: str) -> bool:
        asked.append(direction)
        return released.wait(PATIENCE)

    monkeypatch.setattr(soundcard.CARDS, "has", has)
    monkeypatch.setattr(finding, "WITHIN", 0.05)
    agent = await started()
    await finds(machine, agent, "synthetic", "synthetic", "null")
    machine.plug_in(CAMERA)
    await finds(machine, agent, CAMERA, "synthetic", "null")
    until = machine.looks + 3 * engine.LOOKS
    while machine.looks < until:  # noqa: ASYNC110 # nothing tells of it
        await asyncio.sleep(0.001)
    assert asked == ["input"], "nobody else waits for it"
    released.set()
    await finds(machine, agent, CAMERA, "default", "default")
    await agent.engine.stop()


async def test_a_camera_that_was_replaced_is_found(machine: Machine) -> None:
    machine.plug_in(CAMERA)
    agent = await started()
    await finds(machine, agent, CAMERA, "synthetic", "null")
    for there in (machine.plugged, machine.known):
        there[:] = ["/dev/video8"]
    await finds(machine, agent, "/dev/video8", "synthetic", "null")
    await agent.engine.stop()


async def test_what_is_found_while_a_call_begins_is_used_after_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "LOOKS", 1)
    agent = await started()
    find = agent.engine._finding.find

    async def slowly(now: tuple[str, ...]) -> tuple[str, ...]:
        found = await find(now)
        if CAMERA in found and not agent.reports:
            agent.engine.set_in_call(True)
            await agent.open_camera()
        return found

    monkeypatch.setattr(agent.engine._finding, "find", slowly)
    machine.plug_in(CAMERA)
    await finds(machine, agent, "synthetic", "synthetic", "null")
    assert agent.reports
    agent.engine.set_in_call(False)
    await finds(machine, agent, CAMERA, "synthetic", "null")
    await agent.engine.stop()


async def test_an_odd_answer_does_not_end_the_search(machine: Machine) -> None:
    agent = await started()
    machine.odd = 3
    machine.plug_in(CAMERA)
    await finds(machine, agent, CAMERA, "synthetic", "null")
    assert not machine.odd
    await agent.engine.stop()


async def test_a_call_that_begins_meanwhile_has_all_of_it_or_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, goes_on = threading.Event(), threading.Event()

    def slow(processing: Processing) -> VoiceProcessor:
        if machine.plugged:
            inside.set()
            goes_on.wait(PATIENCE)
        return make_processor(processing)

    monkeypatch.setattr(engine, "make_processor", slow)
    agent = await started()
    machine.plug_in(CARD)
    assert await asyncio.to_thread(inside.wait, PATIENCE)
    agent.engine.set_in_call(True)
    goes_on.set()
    await finds(machine, agent, "synthetic", "synthetic", "null")
    agent.engine.set_in_call(False)
    await finds(machine, agent, "synthetic", "default", "default")
    assert agent.engine.local().processing.echo_cancellation
    await agent.engine.stop()


async def test_a_preview_changes_to_the_real_camera(machine: Machine) -> None:
    agent = await started()
    await agent.open_camera()
    await agent.engine.start_view(View("preview", LOCAL, FramesView(FrameFormat.I420)))
    pictures = agent.engine.watch("preview")
    await asyncio.wait_for(anext(pictures), PATIENCE)
    synthetic = agent.engine._local._camera
    assert synthetic is not None
    machine.plug_in(CAMERA)
    await finds(machine, agent, CAMERA, "synthetic", "null")
    assert agent.engine._local._camera is not synthetic
    await agent.engine.stop()
