"""Sources that need a file or a network: pictures in their time, sound with its tone, coming back."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from mediaagentd.errors import Reason, Refused
from mediaagentd.media import devices
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.capture.synthetic import SyntheticCamera, tone
from mediaagentd.media.capture.types import Captured, RawPicture, RawSound
from mediaagentd.media.codec import h264
from mediaagentd.media.types import Size, VideoFrame, VideoProfile

from tests.fakes.media_rtsp import RtspCamera

PATIENCE = 15.0
SIZE = Size(640, 480)


def film(path: Path, *, frames: int = 15) -> Path:
    """Half a second of the synthetic camera at 30 fps with a tone of 500 Hz, VP8 and Opus."""
    camera = SyntheticCamera(SIZE, 30)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libvpx", rate=30, options={"deadline": "realtime", "cpu-used": "-8"})
        video.width, video.height, video.bit_rate = SIZE.width, SIZE.height, 2_000_000
        audio = container.add_stream("libopus", rate=48_000, layout="mono")
        for number in range(frames):
            frame = camera.picture(number).frame
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(video.encode(frame))
        sound = av.AudioFrame.from_ndarray(tone(500.0)[None, : frames * 1600], "s16", "mono")
        sound.rate, sound.pts = 48_000, 0
        resampler = av.AudioResampler(format=audio.codec_context.format, rate=48_000, frame_size=960)
        for part in [*resampler.resample(sound), *resampler.resample(None)]:
            container.mux(audio.encode(part))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    return path


class Seen:
    """What a source delivered."""

    def __init__(self) -> None:
        self.pictures: list[RawPicture] = []
        self.encoded: list[VideoFrame] = []
        self.sound: list[RawSound] = []
        self.lost: list[Refused] = []
        self._changed = threading.Condition()

    def picture(self, captured: Captured) -> None:
        with self._changed:
            if isinstance(captured, RawPicture):
                self.pictures.append(captured)
            else:
                self.encoded.append(captured)
            self._changed.notify_all()

    def samples(self, sound: RawSound) -> None:
        with self._changed:
            self.sound.append(sound)
            self._changed.notify_all()

    def lose(self, refused: Refused) -> None:
        with self._changed:
            self.lost.append(refused)
            self._changed.notify_all()

    def until(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE)

    def numbers(self) -> list[int | None]:
        return [read_counter(luma_of(picture.frame)) for picture in self.pictures]


def test_a_film_is_shown_at_its_speed_and_over_and_over(tmp_path: Path) -> None:
    path, seen = film(tmp_path / "film.mkv"), Seen()
    camera = devices.make_camera(f"file:{path}", VideoProfile.P480, "")
    camera.probe()
    camera.start(seen.picture, seen.lose)
    seen.until(lambda: len(seen.pictures) >= 40)
    camera.stop()
    assert seen.numbers()[:32] == [*range(15), *range(15), 0, 1]
    times = np.diff([picture.captured for picture in seen.pictures[:15]])
    assert 0.025 < float(np.median(times)) < 0.042


def test_a_film_is_heard_at_its_speed_and_over_and_over(tmp_path: Path) -> None:
    path, seen = film(tmp_path / "film.mkv"), Seen()
    microphone = devices.make_microphone(f"file:{path}", stereo=True)  # it has one channel
    assert microphone is not None
    began = time.monotonic()
    microphone.start(seen.samples, seen.lose)
    seen.until(lambda: len(seen.sound) >= 50)
    microphone.stop()
    assert 0.9 < time.monotonic() - began < 3
    sound = np.concatenate([block.samples for block in seen.sound])
    spectrum = np.abs(np.fft.rfft(sound))
    assert abs(float(spectrum.argmax()) * 48_000 / len(sound) - 500) < 5


def test_a_network_camera_is_seen_and_comes_back() -> None:
    with RtspCamera(SIZE, frames=20) as server:
        seen = Seen()
        camera = devices.make_camera(server.url, VideoProfile.P480, "")
        camera.start(seen.picture, seen.lose)
        seen.until(lambda: server.connections >= 2 and len(seen.pictures) >= 25)
        camera.stop()
        assert not seen.lost
        numbers = seen.numbers()
        assert None not in numbers
        assert numbers[1] is not None
        assert numbers[1] < 20


def test_a_network_camera_hands_out_what_it_encoded_and_decodes_for_those_who_look() -> None:
    with RtspCamera(SIZE, keyframes=10) as server:
        seen, looking = Seen(), threading.Event()
        camera = devices.make_camera(server.url, VideoProfile.P480, "", looking.is_set)
        camera.start(seen.picture, seen.lose)
        seen.until(lambda: len(seen.encoded) >= 25)
        assert seen.pictures == [], "nobody looks"
        looking.set()
        seen.until(lambda: len(seen.pictures) >= 12)
        camera.stop()
        keyframes = [frame for frame in seen.encoded if frame.keyframe]
        assert len(keyframes) >= 2
        for frame in keyframes:
            kinds = [h264.kind(unit) for unit in h264.units(frame.data)]
            assert kinds.index(h264.SPS) < kinds.index(h264.IDR)
        numbers = seen.numbers()
        assert None not in numbers, "it begins with a keyframe"
        assert sum(frame.keyframe for frame in seen.encoded[:25]) == 3


def test_a_network_camera_larger_than_the_profile_is_made_smaller() -> None:
    with RtspCamera(Size(1280, 720)) as server:
        seen = Seen()
        camera = devices.make_camera(server.url, VideoProfile.P480, "")
        camera.start(seen.picture, seen.lose)
        seen.until(lambda: len(seen.pictures) >= 2)
        camera.stop()
        frame = seen.pictures[1].frame
        assert (frame.width, frame.height) == (640, 360)
        assert seen.numbers()[1] is not None


def test_a_network_camera_that_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(Refused) as refused:
        devices.make_camera(f"rtsp://user:secret@127.0.0.1:{port}/x", VideoProfile.P480, "").probe()
    assert refused.value.reason is Reason.DEVICE_FAILED
    assert "secret" not in refused.value.message
