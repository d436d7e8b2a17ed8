"""Recordings: everything in its place, and one whose disk is full costs the call nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import pytest
from mediaagentd.media.types import VIDEO_CLOCK, AudioFrame, VideoCodec, VideoFrame
from mediaagentd.media.views import recording
from mediaagentd.media.views.recording import QUEUE, Recorder

from tests.fakes.rtc import Picture, opus


def test_one_that_failed_asks_for_no_keyframes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(recording._File, "__init__", full)
    recorder = Recorder(str(tmp_path / "x.mkv"), with_sound=True)
    recorder.video(VideoFrame(VideoCodec.H264, b"key", 0, True, 0.0))
    recorder.join()
    assert not recorder.writing
    for number in range(QUEUE * 2):
        assert recorder.video(VideoFrame(VideoCodec.H264, b"later", number, False, 0.0))
        recorder.audio(AudioFrame(b"sound", number, 0.0))
    recorder.close()


def recorded(path: Path, video: Iterable[VideoFrame], sound: Iterable[AudioFrame]) -> dict[str, list[float]]:
    """The times of what is in the file, by kind, in seconds."""
    both: list[VideoFrame | AudioFrame] = [*video, *sound]
    items = sorted(both, key=lambda item: item.captured)
    first = next(item for item in items if isinstance(item, VideoFrame))
    file = recording._File(path, first, True)
    for item in items:
        file.write(item)
    file.close()
    times: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(str(path)) as read:
        for packet in read.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                times[packet.stream.type].append(float(packet.pts * packet.time_base))
    return times


def test_sound_that_is_repaired_late_or_comes_twice_is_in_its_place(tmp_path: Path) -> None:
    key = Picture(VideoCodec.H264).frame(key=True)._replace(captured=0.0)
    order = [0, 1, 3, 4, 2, 2, *range(5, 90), 100, *range(90, 100), 101]
    sound = [opus(number)._replace(captured=0.02 * place) for place, number in enumerate(order)]
    times = recorded(tmp_path / "x.mkv", [key], sound)["audio"]
    assert times == pytest.approx([0.02 * number for number in range(102)], abs=0.001)


def test_sound_stays_with_the_pictures_when_its_clock_drifts(tmp_path: Path) -> None:
    """A microphone that is half a thousandth fast, for five minutes."""
    key, seconds = Picture(VideoCodec.H264).frame(key=True), 300
    video = [
        key._replace(pts=number * VIDEO_CLOCK // 10, captured=number / 10, origin=5000 + number / 10)
        for number in range(seconds * 10)
    ]
    sound = [
        opus(number)._replace(captured=0.02 * number / 1.0005 + 0.03, origin=5000 + 0.02 * number / 1.0005)
        for number in range(seconds * 50)
    ]
    times = recorded(tmp_path / "x.mkv", video, sound)
    assert len(times["audio"]) == len(sound)
    assert times["audio"][-1] == pytest.approx(sound[-1].captured - 0.03, abs=0.005)
    assert times["video"][-1] == pytest.approx(seconds - 0.1, abs=0.002)
