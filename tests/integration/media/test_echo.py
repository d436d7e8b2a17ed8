"""A device whose microphone hears its speaker: who talks to it hears who is there, and not himself."""

from __future__ import annotations

import asyncio
import wave
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from mediaagent import Agent, Event
from mediaagent.v1 import media_pb2
from mediaagentd.children import free_port
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME
from numpy.typing import NDArray

from tests.fakes.voices import babble, blocks, loudness
from tests.integration import processes
from tests.integration.media.sound_system import PATIENCE, SoundSystem

SECOND = AUDIO_CLOCK // AUDIO_FRAME
"""Slots."""

ALL = (
    media_pb2.VOICE_PROCESSING_ECHO_CANCELLATION,
    media_pb2.VOICE_PROCESSING_NOISE_SUPPRESSION,
    media_pb2.VOICE_PROCESSING_GAIN_CONTROL,
)
OFF = dict.fromkeys(("audio_echo_cancellation", "audio_noise_suppression", "audio_gain_control"), "off")


@pytest.mark.parametrize("settings", [{}, OFF], ids=["as it comes", "off"])
async def test_who_talks_to_a_device(
    tmp_path: Path, sound_system: SoundSystem, settings: dict[str, str]
) -> None:
    said, heard, port = tmp_path / "said.wav", tmp_path / "heard.wav", free_port()
    write(said, babble(7, 1))
    target, server = f"127.0.0.1:{port}", sound_system.variables
    async with AsyncExitStack() as stack:
        device = processes.agent(
            tmp_path, "ann", target, prefix=("env", *(f"{key}={value}" for key, value in server.items())),
            camera="none", microphone="default", speaker="default", **settings,
        )  # fmt: skip
        caller = processes.agent(
            tmp_path, "ben", target, camera="none", microphone=f"file:{said}", speaker=f"wav:{heard}"
        )
        household = processes.household(processes.hub(tmp_path, port=port), device, caller)
        hub, started = await stack.enter_async_context(household)
        ann, ben = [await stack.enter_async_context(Agent(each.socket)) for each in started]
        await ann.login("ann", hub.mint("ann"))
        await ben.login("ben", hub.mint("ben"))
        assert tuple((await ann.status()).media.voice_processing) == (() if settings else ALL)
        assert not (await ben.status()).media.voice_processing
        await call(ben, ann)
        await slots(ben, 1.0 if settings else 2.5)
        alone = len(read(heard))
        await slots(ben, 1.5)
        both = len(read(heard))
        if not settings:
            await asyncio.to_thread(sound_system.play, babble(2, 2))
        await ben.hangup()
    sound = read(heard)
    echo = loudness(sound[alone:both])
    voice = loudness(blocks(babble(7, 1)))
    if settings:
        assert echo > voice - 6, "the microphone hears the speaker"
    else:
        assert echo < voice - 30
        assert loudness(sound[both + SECOND // 2 :]) > voice - 12, "the visitor"


async def call(ben: Agent, ann: Agent) -> None:
    """Ben calls Ann, who answers."""
    invited = ann.once(Event.INVITED)
    await ann.status()  # she listens before she is called
    await ben.call("ann", "audio")
    entered = ben.once(Event.USER_ENTER)
    await ann.accept((await asyncio.wait_for(invited, PATIENCE)).invite_id)
    await asyncio.wait_for(entered, PATIENCE)


async def slots(agent: Agent, seconds: float) -> None:
    """Waits until the agent has played so much more."""

    async def played() -> int:
        peers = (await agent.stats()).peers
        return peers[0].audio_slots_played if peers else 0

    until_then = await played() + seconds * SECOND
    async with asyncio.timeout(seconds + PATIENCE):
        while await played() < until_then:  # noqa: ASYNC110 # a counter has no event
            await asyncio.sleep(0.05)


def write(path: Path, sound: NDArray[np.float64]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, AUDIO_CLOCK, 0, "NONE", ""))
        file.writeframes(blocks(sound).tobytes())


def read(path: Path) -> NDArray[np.int16]:
    """In rows of 20 ms."""
    with wave.open(str(path)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return sound[: len(sound) // AUDIO_FRAME * AUDIO_FRAME].reshape(-1, AUDIO_FRAME)
