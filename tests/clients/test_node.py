"""A second, foreign client: the story from Node, straight from the .proto files."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest
from mediaagent.v1 import event_pb2

from tests.fakes.agent import FakeAgent
from tests.integration import processes

NODE = processes.REPOSITORY / "clients" / "node"


def test_the_lock_names_no_host() -> None:
    lock = (NODE / "package-lock.json").read_text()
    assert not re.search(r'"resolved"|://', lock)
    packages = json.loads(lock)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)


@pytest.fixture
def node() -> str:
    if (program := shutil.which("node")) is None:
        pytest.skip("no node here")
    if not (NODE / "node_modules").is_dir():
        pytest.skip("npm ci has not run in clients/node")
    return program


async def test_the_story_from_node(tmp_path: Path, node: str) -> None:
    async with processes.house(tmp_path, "alice", "bob", video_profile="480p") as (hub, (alice, bob)):
        process = await asyncio.create_subprocess_exec(
            node, str(NODE / "story.mjs"), str(alice.socket), str(bob.socket),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "ALICE_SIG": hub.mint("alice"), "BOB_SIG": hub.mint("bob")},
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 90)
        assert process.returncode == 0, out.decode()
    steps = [json.loads(line)["step"] for line in out.decode().splitlines()]
    assert steps[-1] == "both log out"
    assert "bob sees alice" in steps


async def test_nobody_waits_for_a_stream_that_has_ended(tmp_path: Path, node: str) -> None:
    fake, socket = FakeAgent(), str(tmp_path / "agent.sock")
    await fake.start(socket)
    process = await asyncio.create_subprocess_exec(
        node, str(Path(__file__).with_name("ends.mjs")), str(NODE / "agent.mjs"), socket,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    told: dict[str, dict[str, Any]] = {}
    async with asyncio.timeout(30):
        async for line in process.stdout:
            step = json.loads(line)
            assert step["step"] not in told or told[step["step"]] == step
            told[step["step"]] = step
            match step["step"]:
                case "opened":
                    await fake.publish(event_pb2.EVENT_TYPE_USER_ENTER, user_entered={"user_id": "bob"})
                case "both wait":
                    await fake.cut()
                case "one waits":
                    await fake.stop()
                    process.stdin.write(b"the agent has stopped\n")
        assert await process.wait() == 0
    assert told["refused"]["reason"] == "USER_UNKNOWN"
    assert told["nothing came"]["why"] == "no such REJECT in 50 ms; heard USER_ENTER"
    assert told["nobody waits"]["waiting"] == 0
    assert told["cut"]["reason"] == told["too late"]["reason"] == "SUBSCRIBER_TOO_SLOW"
    assert told["heard before"]["given"]["userId"] == "bob"
    assert told["closed"]["code"] == grpc.StatusCode.CANCELLED.value[0]
    assert told["gone"]["code"] in (
        grpc.StatusCode.UNAVAILABLE.value[0],
        grpc.StatusCode.INTERNAL.value[0],  # what grpc-js makes of a stream that is reset
    )
    for step in ("not opened", "no answer"):
        assert told[step]["code"] == grpc.StatusCode.UNAVAILABLE.value[0]
