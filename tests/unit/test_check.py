"""What `mediaagentd check` finds: nothing is good that a start or a call would refuse."""

from __future__ import annotations

from pathlib import Path

import pytest
from mediaagentd import check
from mediaagentd.config import Config
from mediaagentd.media.capture import soundcard


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
