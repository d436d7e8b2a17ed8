"""A page in a browser on the device shows a remote user of a real call: copied, never transcoded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from mediaagent import AgentError, Event
from mediaagent.v1 import call_pb2, view_pb2
from mediaagentd.demo.actor import Actor, having
from mediaagentd.media.capture.pattern import read_counter
from playwright.async_api import Page

from tests.integration import processes

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURES = 40
CORNER = (160, 104)
"""Pixels of the frame counter's corner in a picture of 640x480: 8 x 5 blocks of 20."""


@dataclass
class Call:
    """Alice, on whose device the page is, in a video call with bob."""

    alice: Actor
    bob: Actor


@pytest_asyncio.fixture(loop_scope="module")
async def call(tmp_path: Path) -> AsyncIterator[Call]:
    async with AsyncExitStack() as stack:
        names = ("alice", "bob")
        how = {"video_profile": "480p", "microphone": "synthetic:440"}
        hub, daemons = await stack.enter_async_context(processes.house(tmp_path, *names, **how))
        actors = []
        for name, daemon in zip(names, daemons, strict=True):
            actor = await stack.enter_async_context(Actor(name, daemon.socket))
            await actor.agent.login(name, hub.mint(name))
            actors.append(actor)
        alice, bob = actors
        mark = bob.mark
        await alice.agent.call("bob", "video", timeout=30)
        invited = await bob.expect(Event.INVITED, mark)
        await bob.agent.accept(invited.call.invite_id)
        for actor in actors:
            await actor.expect_call(having(state=call_pb2.CALL_STATE_ACTIVE))
        yield Call(alice, bob)


async def asked(page: Page, function: str, *arguments: Any) -> Any:
    """Calls a function of the page."""
    return await page.evaluate("([name, args]) => shown[name](...args)", [function, list(arguments)])


async def until(page: Page, condition: Callable[[dict[str, Any]], bool], seconds: float = 20.0) -> Any:
    """The page's figures once they are as wanted."""
    stats: dict[str, Any] = {}
    try:
        async with asyncio.timeout(seconds):
            while not condition(stats := await asked(page, "stats")):  # noqa: ASYNC110
                await asyncio.sleep(0.1)  # the page has no event for its figures
    except TimeoutError:
        pytest.fail(f"the page stayed at {stats}")
    return stats


async def number_on(page: Page) -> int:
    """The frame counter as it is on the page now; a picture that is being redrawn is looked at again."""
    for _ in range(20):
        luma = np.array(await asked(page, "corner", *CORNER), np.uint8).reshape(CORNER[1], CORNER[0])
        whole = np.zeros((480, 640), np.uint8)
        whole[: luma.shape[0], : luma.shape[1]] = luma
        if (number := read_counter(whole)) is not None:
            return number
    pytest.fail("no frame counter on the page")


async def test_the_page_shows_and_plays_a_remote_user(call: Call, view: Page) -> None:
    alice, bob = call.alice.agent, call.bob.agent
    offer = await asked(view, "offer")
    reply = await alice.start_remote_view("bob", "page", view_pb2.WebrtcView(offer_sdp=offer))
    await asked(view, "accept", reply.answer_sdp)
    stats = await until(view, lambda s: (s.get("decoded") or 0) >= 10 and s.get("energy", 0) > 0)
    assert stats["codec"] == "video/H264"
    first = await number_on(view)
    await until(view, lambda s: s["decoded"] >= stats["decoded"] + PICTURES)
    later = await number_on(view)
    assert PICTURES - 5 <= later - first < 300, "live, and every picture"
    assert await asked(view, "size") == [640, 480]
    if folder := os.environ.get("MEDIAAGENT_TEST_SHOTS"):
        await view.screenshot(path=Path(folder) / "view.png")
    figures = (await alice.stats()).peers[0]
    assert figures.frames_decoded == 0, "copied"
    assert [shown.view_id for shown in await alice.views()] == ["page"]
    await _closes_and_opens_again(call, view)
    await bob.hangup()
    async with asyncio.timeout(10):
        assert await asked(view, "left") == "closed", "the page hears that its view is over"


async def _closes_and_opens_again(call: Call, view: Page) -> None:
    """A page that goes takes its view along; one that comes late asks for a keyframe and gets it."""
    alice = call.alice.agent
    await asked(view, "leave")
    async with asyncio.timeout(10):
        while await alice.views():  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # views have no event
    offer = await asked(view, "offer", ["video/VP8"])
    with pytest.raises(AgentError, match="CODEC_MISMATCH") as refusal:
        await alice.start_remote_view("bob", "page", view_pb2.WebrtcView(offer_sdp=offer))
    assert refusal.value.reason == "CODEC_MISMATCH"
    sent = (await call.bob.agent.stats()).peers[0].video_sent
    offer = await asked(view, "offer")
    reply = await alice.start_remote_view("bob", "page", view_pb2.WebrtcView(offer_sdp=offer))
    await asked(view, "accept", reply.answer_sdp)
    await until(view, lambda s: (s.get("decoded") or 0) >= 10)
    assert (await call.bob.agent.stats()).peers[0].video_sent.keyframes > sent.keyframes
