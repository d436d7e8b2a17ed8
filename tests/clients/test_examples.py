"""The README's examples, in Python and in Node, do what they say."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from asyncio.subprocess import Process
from pathlib import Path

import pytest
from mediaagent import Event
from mediaagent.v1 import call_pb2
from mediaagentd.demo.actor import Actor, having
from mediaagentd.demo.pictures import luma_of_image, shows_label

from tests.fakes.agent import FakeAgent
from tests.integration import processes

CLIENTS = processes.REPOSITORY / "clients"
EXAMPLES = [[sys.executable, str(CLIENTS / "python" / "example.py")]]
if shutil.which("node") and (CLIENTS / "node" / "node_modules").is_dir():
    EXAMPLES.append(["node", str(CLIENTS / "node" / "example.mjs")])


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: Path(example[1]).name)
async def test_an_example_whose_call_nobody_answers_ends_and_says_so(
    tmp_path: Path, example: list[str]
) -> None:
    fake, socket = FakeAgent(), tmp_path / "agent.sock"
    fake.busy = True
    await fake.start(str(socket))
    try:
        process = await start(example, tmp_path, socket, "sig")
        out, _ = await asyncio.wait_for(process.communicate(), 15)
    finally:
        await fake.stop()
    assert process.returncode == 1
    assert out.decode().splitlines() == ["bob did not answer"]


async def play(example: list[str], directory: Path, socket: Path, user_sig: str) -> None:
    """Runs one example to its end; it leaves bob.png in the directory."""
    process = await start(example, directory, socket, user_sig)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, out.decode()


async def start(example: list[str], directory: Path, socket: Path, user_sig: str) -> Process:
    """Starts one example."""
    return await asyncio.create_subprocess_exec(
        *example, str(socket), user_sig,
        cwd=directory, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": str(CLIENTS / "python")},
    )  # fmt: skip


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: Path(example[1]).name)
async def test_an_example_calls_bob_and_saves_what_he_shows(tmp_path: Path, example: list[str]) -> None:
    async with (
        processes.house(tmp_path, "alice", "bob", video_profile="480p") as (hub, (alice, daemon)),
        Actor("bob", daemon.socket) as bob,
    ):
        await bob.agent.login("bob", hub.mint("bob"))
        playing = asyncio.create_task(play(example, tmp_path, alice.socket, hub.mint("alice")))
        invited = await bob.expect(Event.INVITED, 0, having(sponsor="alice"), within=30)
        await bob.agent.accept(invited.invite_id)
        await playing
        ended = (await bob.expect(Event.CALL_END, 0)).call
    assert ended.end_reason == call_pb2.END_REASON_HANGUP
    assert shows_label(luma_of_image((tmp_path / "bob.png").read_bytes()), "bob")
