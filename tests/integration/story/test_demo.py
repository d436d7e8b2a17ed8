"""The demonstration itself, as `make demo` plays it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from mediaagentd.demo.pictures import counter_of, luma_of_image, shows_label

from tests.integration.processes import REPOSITORY


@asynccontextmanager
async def demonstration(output: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """`make demo`, with its pictures and its report in `output`."""
    paths = os.pathsep.join(str(REPOSITORY / part) for part in ("agent", "clients/python"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mediaagentd.demo", str(output),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.timeout(180)
async def test_every_step_of_the_demonstration_happens(tmp_path: Path) -> None:
    async with demonstration(tmp_path) as process:
        out, _ = await asyncio.wait_for(process.communicate(), 150)
        assert process.returncode == 0, out.decode()
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["failed"] is None
    assert all(step["ok"] for step in report["steps"])
    assert report["seconds"] < 60
    assert [row["resolution"] for row in report["table"]] == ["1280x720", "1280x720"]
    for name in ("alice-sees-bob.png", "bob-sees-alice.png"):
        assert counter_of(luma_of_image((tmp_path / name).read_bytes())) is not None
    group = luma_of_image((tmp_path / "alice-sees-the-group.png").read_bytes())
    assert group.shape == (960, 1280)
    for number, name in enumerate(("alice", "bob", "carol")):
        top, left = number // 2 * 480, number % 2 * 640
        cell = group[top : top + 480, left : left + 640]
        assert shows_label(cell, name)
        assert counter_of(cell) is not None


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGHUP, 130), (signal.SIGTERM, 130)]
)
async def test_hub_and_daemons_end_with_the_demonstration(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    async with demonstration(tmp_path) as process:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            while b"two daemons start" not in (line := await process.stdout.readline()):
                assert line, "it ended"
        children = [os.pidfd_open(int(pid)) for pid in re.findall(rb"(?:hub|alice|bob) (\d+)", line)]
        assert len(children) == 3
        process.send_signal(number)
        await asyncio.gather(*(asyncio.wait_for(_ended(child), 30) for child in children))
        await process.stdout.read()
        assert await process.wait() == code


async def _ended(child: int) -> None:
    """Waits for the end of a process that need not be ours."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(child, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(child)
        os.close(child)
