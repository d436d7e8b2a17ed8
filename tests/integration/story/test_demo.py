"""The demonstration itself, as `make demo` plays it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest
from mediaagentd.demo.pictures import counter_of, luma_of_image, shows_label

from tests.integration.processes import REPOSITORY


@pytest.mark.timeout(180)
async def test_every_step_of_the_demonstration_happens(tmp_path: Path) -> None:
    paths = os.pathsep.join(str(REPOSITORY / part) for part in ("agent", "clients/python"))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mediaagentd.demo", str(tmp_path),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
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
