"""The shipped units: systemd understands them, and tries again whatever heals."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from mediaagentd import lifecycle
from mediaagentd.cli import Exit

PLACE = Path(__file__).parents[2] / "systemd"
UNITS = ("mediaagentd.service", "mediaagent-hub.service")


def told(unit: str, key: str) -> list[str]:
    """The values of a key."""
    return re.findall(rf"(?m)^{key}=(.*)$", (PLACE / unit).read_text())


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="not installed: systemd")
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_has_nothing_to_say(tmp_path: Path, unit: str) -> None:
    text = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", (PLACE / unit).read_text())
    (tmp_path / unit).write_text(text)
    session = (PLACE / "session.conf").read_text()
    (tmp_path / f"{unit}.d").mkdir()
    (tmp_path / f"{unit}.d" / "session.conf").write_text(re.sub(r"(?m)^# (?=Env|Bind)", "", session))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS)
def test_only_a_broken_rule_is_final(unit: str) -> None:
    assert told(unit, "Restart") == ["always"]
    assert told(unit, "StartLimitIntervalSec") == ["0"]
    assert told(unit, "RestartPreventExitStatus") == [str(int(Exit.CONFIGURATION))]


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_waits_for_a_daemon_that_leaves(unit: str) -> None:
    assert int(told(unit, "TimeoutStopSec")[0]) > lifecycle.STOP_WITHIN


def test_who_runs_the_agent_may_use_its_devices() -> None:
    groups = re.findall(r"(?m)^m mediaagent (\w+)$", (PLACE / "mediaagent.sysusers.conf").read_text())
    assert told("mediaagentd.service", "SupplementaryGroups") == [" ".join(groups)]
