"""What `mediaagentd check` finds: nothing is good that a start or a call would refuse."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from mediaagentd import check
from mediaagentd.config import Config
from mediaagentd.media import devices
from mediaagentd.media.capture import soundcard
from mediaagentd.media.types import VideoProfile

NOBODY = 65534


@pytest.fixture(autouse=True)
def _one_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with a sound card called "USB"."""
    monkeypatch.setattr(
        soundcard.CARDS, "has", lambda _direction, device="default": device in ("default", "USB")
    )


@pytest.mark.parametrize(
    ("key", "name", "good"),
    [
        ("camera", "none", True),
        ("camera", "synthetic:clap", True),
        ("camera", "rtsp://cam/1", True),
        ("camera", "", False),
        ("camera", "synthetic:foo", False),
        ("camera", "usb", False),
        ("camera", "file:", False),
        ("camera", "file:/nowhere.mp4", False),
        ("camera", "/dev/null", True),  # it is a device: whether a camera only opening it tells
        ("camera", "/tmp", False),
        ("camera", __file__, False),
        ("camera", f"file:{__file__}", True),
        ("microphone", "default", True),
        ("microphone", "USB", True),
        ("microphone", "BSU", False),
        ("microphone", "synthetic:440", True),
        ("microphone", "synthetic:a", False),
        ("microphone", f"file:{__file__}", True),
        ("microphone", "file:/nowhere.wav", False),
        ("speaker", "null", True),
        ("speaker", "none", True),
        ("speaker", "USB", True),
        ("speaker", "synthetic", False),
        ("speaker", "wav:/tmp/heard.wav", True),
        ("speaker", "wav:/nowhere/heard.wav", False),
    ],
)
def test_a_device_that_no_call_could_open_is_missing(key: str, name: str, good: bool) -> None:
    found = {finding.what: finding for finding in check.findings(Config.model_validate({key: name}))}
    assert found[key].good is good
    assert bool(found[key].advice) is not good


@pytest.mark.parametrize("key", ["hub_ca", "turn_ca"])
def test_an_authority_that_keeps_the_daemon_from_starting_is_missing(key: str, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no certificate")
    for name in ("nowhere", "text"):
        (finding,) = check._authorities(Config.model_validate({key: tmp_path / name}))
        assert (finding.what, finding.found, finding.good) == (key, str(tmp_path / name), False)
    assert finding.advice.startswith("no certificates in PEM")
    assert not list(check._authorities(Config()))


@pytest.fixture
def closed() -> Iterator[Path]:
    """A directory that whoever is here, who is not root, may not look into."""
    place = Path(tempfile.mkdtemp())
    place.chmod(0)
    devices.make_camera("file:x.mp4", VideoProfile.P720, "")  # loads what nobody may read here
    before = os.getuid()
    os.setresuid(before or NOBODY, before or NOBODY, before)
    yield place
    os.setresuid(before, before, before)
    place.chmod(0o755)
    shutil.rmtree(place)


def test_a_directory_that_may_not_be_looked_into_is_named(closed: Path) -> None:
    """It ended with "Permission denied" and told nothing else."""
    config = Config(socket=closed / "agent.sock", state_dir=closed / "state" / "agent")
    found = {each.what: each for each in check._places(config)}
    assert not found["socket"].good
    assert not found["state_dir"].good
    assert found["state_dir"].advice.startswith(f"make {closed} writable")


def test_so_is_a_camera_in_one(closed: Path) -> None:
    camera = check._camera(Config(camera=f"file:{closed}/door.mp4"))
    assert not camera.good
    assert camera.advice == "let the daemon read it (group video)"
