"""What device names mean."""

from __future__ import annotations

import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media import devices
from mediaagentd.media.capture import microphone, soundcard
from mediaagentd.media.capture.camera import ThreadedCamera
from mediaagentd.media.capture.microphone import SoundCardReader
from mediaagentd.media.capture.soundcard import load_sounddevice
from mediaagentd.media.playout.sinks import NullSink, SpeakerSink, WavSink, make_sink
from mediaagentd.media.types import VideoProfile


def test_auto_is_the_first_real_device_else_the_synthetic_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cameras", lambda: ("/dev/v4l/by-id/usb-cam", "/dev/video7"))
    monkeypatch.setattr(soundcard.CARDS, "has", lambda direction: direction == "output")
    assert devices.resolve_camera("auto") == "/dev/v4l/by-id/usb-cam"
    assert devices.resolve_camera("synthetic") == "synthetic"
    assert devices.resolve_microphone("auto") == "synthetic"
    assert devices.resolve_speaker("auto") == "default"
    monkeypatch.setattr(devices, "cameras", lambda: ())
    monkeypatch.setattr(soundcard.CARDS, "has", lambda direction: False)
    assert devices.resolve_camera("auto") == "synthetic"
    assert devices.resolve_speaker("auto") == "null"


def test_listing_devices_of_this_machine_does_not_fail() -> None:
    assert all(path.startswith("/dev/") for path in devices.cameras())
    assert soundcard.CARDS.has("input") in (True, False)


@pytest.mark.parametrize("name", ["synthetic", "file:/x", "/dev/video0", "rtsp://u:p@h/x", "http://h/x"])
def test_every_kind_of_camera(name: str) -> None:
    assert isinstance(devices.make_camera(name, VideoProfile.P720, "label"), ThreadedCamera)


@pytest.mark.parametrize("name", ["none", "webcam", ""])
def test_cameras_that_are_none(name: str) -> None:
    with pytest.raises(Refused) as refused:
        devices.make_camera(name, VideoProfile.P720, "")
    assert (refused.value.reason, refused.value.metadata["code"]) == (Reason.DEVICE_NOT_FOUND, "60004")


def test_passwords_are_not_shown() -> None:
    assert devices.shown("rtsp://admin:secret@10.0.0.1/live") == "rtsp://10.0.0.1/live"
    assert devices.shown("/dev/video0") == "/dev/video0"


def test_microphones() -> None:
    assert devices.make_microphone("none") is None
    for name in ("synthetic", "synthetic:440", "file:/x.wav", "default", "USB Audio"):
        assert devices.make_microphone(name) is not None
    for name in ("synthetic:loud", "synthetic:5", "synthetic:nan"):
        with pytest.raises(Refused) as refused:
            devices.make_microphone(name)
        assert refused.value.metadata["code"] == "60003"


def test_speakers() -> None:
    assert isinstance(make_sink("null"), NullSink)
    assert isinstance(make_sink("wav:/tmp/x.wav"), WavSink)
    assert isinstance(make_sink("default"), SpeakerSink)


def test_a_sound_card_that_is_not_there() -> None:
    microphone, speaker = SoundCardReader("no such card"), SpeakerSink("no such card")
    for opening, code in ((microphone.open, "60003"), (speaker.open, None)):  # no code means a speaker
        with pytest.raises(Refused) as refused:
            opening()
        assert refused.value.reason in (Reason.DEVICE_NOT_FOUND, Reason.DEVICE_FAILED)
        assert refused.value.metadata.get("code") == code


def test_missing_portaudio_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def missing(name: str, *args: object, **kwargs: object) -> object:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(Refused, match="libportaudio2"):
        load_sounddevice()
    assert microphone.JOIN < 2
