"""Which agent a client means that names none."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from mediaagent import address

NOBODY = 65534


@pytest.fixture
def run() -> Iterator[Path]:
    """A /run that everybody may look into, seen by somebody who is not root."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    before = os.geteuid()
    os.seteuid(before or NOBODY)
    yield place
    os.seteuid(before)
    for each in (place / "service", place / "own"):
        each.chmod(0o755)
    shutil.rmtree(place)


@pytest.mark.parametrize(
    ("service", "own", "chosen"),
    [
        ("open", "open", "own"),
        ("open", "empty", "service"),
        ("empty", "empty", "own"),
        ("closed", "open", "own"),
        ("closed", "empty", "service"),
        ("open", "closed", "service"),
    ],
)
def test_an_own_agent_comes_first_whatever_may_not_be_looked_into(
    run: Path, monkeypatch: pytest.MonkeyPatch, service: str, own: str, chosen: str
) -> None:
    """The service's directory lets a group in: who is not in it could not reach an agent of their own."""
    somebody = os.geteuid()
    os.seteuid(os.getuid())
    sockets = {"service": run / "service" / "agent.sock", "own": run / "own" / "mediaagent" / "agent.sock"}
    for name, state in (("service", service), ("own", own)):
        sockets[name].parent.mkdir(parents=True)
        if state != "empty":
            sockets[name].touch()
        (run / name).chmod(0 if state == "closed" else 0o755)
    os.seteuid(somebody)
    monkeypatch.setattr(address, "SERVICE", sockets["service"])
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(run / "own"))
    monkeypatch.delenv(address.VARIABLE, raising=False)
    assert address.resolve(None) == f"unix:{sockets[chosen]}"
