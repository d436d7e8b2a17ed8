"""A second, foreign client: the story from Node, straight from the .proto files."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from tests.integration import processes

NODE = processes.REPOSITORY / "clients" / "node"


def test_the_lock_names_no_host() -> None:
    lock = (NODE / "package-lock.json").read_text()
    assert not re.search(r'"resolved"|://', lock)
    packages = json.loads(lock)["packages"]
    assert all("integrity" in package for name, package in packages.items() if name)


@pytest.mark.skipif(shutil.which("node") is None, reason="no node here")
@pytest.mark.skipif(not (NODE / "node_modules").is_dir(), reason="npm ci has not run in clients/node")
async def test_the_story_from_node(tmp_path: Path) -> None:
    async with processes.house(tmp_path, "alice", "bob", video_profile="480p") as (hub, (alice, bob)):
        process = await asyncio.create_subprocess_exec(
            "node", str(NODE / "story.mjs"), str(alice.socket), str(bob.socket),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "ALICE_SIG": hub.mint("alice"), "BOB_SIG": hub.mint("bob")},
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), 90)
        assert process.returncode == 0, out.decode()
    steps = [json.loads(line)["step"] for line in out.decode().splitlines()]
    assert steps[-1] == "both log out"
    assert "bob sees alice" in steps
