"""One hub and two daemons per module, two fresh clients per story.

The daemons make a 440 Hz and a 660 Hz tone and record what they hear, so that a story can tell by the
sound who was heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from mediaagentd.children import free_port
from mediaagentd.demo.actor import Actor

from tests.integration import processes
from tests.integration.story.stage import TONES, Stage

# pytest-asyncio asks for "the loop before ours"; Python 3.11 then makes one that nobody closes, and its
# ResourceWarning fails a test that has nothing to do with it.
asyncio.set_event_loop(None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("story")
    port = free_port()
    for name in TONES:
        (directory / name).mkdir()
    agents = (
        processes.agent(
            directory,
            name,
            f"127.0.0.1:{port}",
            video_profile="480p",
            microphone=f"synthetic:{tone}",
            speaker=f"wav:{directory / name / 'heard.wav'}",
        )
        for name, tone in TONES.items()
    )
    async with processes.household(processes.hub(directory, port=port), *agents) as (hub, started):
        yield Stage(hub, dict(zip(TONES, started, strict=True)))


@pytest_asyncio.fixture(loop_scope="module")
async def actors(stage: Stage) -> AsyncIterator[tuple[Actor, Actor]]:
    """Alice and bob, logged in and idle; whatever a story leaves behind is cleared away."""
    async with stage.actor("alice") as alice, stage.actor("bob") as bob:
        for actor in (alice, bob):
            await actor.agent.login(actor.name, stage.hub.mint(actor.name))
            await actor.agent.set_mic_mute(False)
        yield alice, bob
        for actor in (alice, bob):
            await actor.agent.logout()  # Hangs up first.
            await actor.agent.close_camera()


@pytest.fixture
def alice(actors: tuple[Actor, Actor]) -> Actor:
    return actors[0]


@pytest.fixture
def bob(actors: tuple[Actor, Actor]) -> Actor:
    return actors[1]
