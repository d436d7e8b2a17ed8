"""Recordings: everything in its place, whatever comes; and one whose disk is full costs the call nothing."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import av
import pytest
from mediaagentd.errors import Refused
from mediaagentd.media.types import VIDEO_CLOCK, AudioFrame, VideoCodec, VideoFrame
from mediaagentd.media.views.matroska import MatroskaFile
from mediaagentd.media.views.recording import QUEUE, Places, Recorder

from tests.fakes.rtc import Picture, opus

STEP = VIDEO_CLOCK // 30


def nothing() -> None:
    pytest.fail("the recording ended by itself")


def begun(path: Path, gone: Callable[[], None] = nothing) -> Recorder:
    """One whose file is there."""
    recorder = Recorder(str(path), Places(), with_sound=True, gone=gone)
    recorder.opened.result(10)
    return recorder


@pytest.fixture
def goes_on(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The disk stands still until it is set."""
    goes_on, write = threading.Event(), MatroskaFile.write

    def slow(self: MatroskaFile, item: VideoFrame | AudioFrame) -> None:
        goes_on.wait(10)
        write(self, item)

    monkeypatch.setattr(MatroskaFile, "write", slow)
    return goes_on


def film(codec: VideoCodec, count: int, *, begins: float = 0.0) -> list[VideoFrame]:
    """So many pictures, 30 a second."""
    source = Picture(codec)
    pictures = [source.frame() for _ in range(count)]
    return [each._replace(captured=begins + number / 30) for number, each in enumerate(pictures)]


def voice(count: int, *, begins: float = 0.0, first: int = 0) -> list[AudioFrame]:
    """So many packets of sound, 50 a second."""
    return [opus(first + number)._replace(captured=begins + 0.02 * number) for number in range(count)]


def feed(recorder: Recorder, *items: Iterable[VideoFrame | AudioFrame]) -> None:
    """In the order in which they were captured."""
    everything = [item for each in items for item in each]
    for item in sorted(everything, key=lambda item: item.captured):
        if isinstance(item, VideoFrame):
            recorder.video(item)
        else:
            recorder.audio(item)
        while recorder.writing and recorder._items.qsize() > QUEUE // 2:
            threading.Event().wait(0.001)  # as slow as a call, a little


def record(path: Path, *items: Iterable[VideoFrame | AudioFrame]) -> None:
    """By a recorder."""
    recorder = begun(path)
    feed(recorder, *items)
    recorder.close()
    recorder.join()
    assert not recorder.writing


def times(path: Path) -> dict[str, list[float]]:
    """Of what is in the file, by kind, in seconds and in the order of the file; all of it can be decoded."""
    found: dict[str, list[float]] = {"video": [], "audio": []}
    with av.open(str(path)) as read:
        for packet in read.demux():
            if packet.size and packet.pts is not None and packet.time_base is not None:
                found[packet.stream.type].append(float(packet.pts * packet.time_base))
    with av.open(str(path)) as read:
        if read.streams.video:
            assert len(list(read.decode(video=0))) == len(found["video"])
    return found


def interleaved(path: Path) -> float:
    """The longest way back in time from one packet of the file to the next, in seconds."""
    with av.open(str(path)) as read:
        places = [float(p.pts * p.time_base) for p in read.demux() if p.size and p.pts is not None]
    return max(early - late for early, late in pairwise(places))


def test_one_that_failed_asks_for_no_keyframes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    ended = threading.Event()
    monkeypatch.setattr(MatroskaFile, "__init__", full)
    recorder = begun(tmp_path / "x.mkv", ended.set)
    recorder.video(VideoFrame(VideoCodec.H264, b"key", 0, True, 0.0))
    recorder.join()
    assert ended.is_set(), "the view is told"
    assert not recorder.writing
    for number in range(QUEUE * 2):
        assert recorder.video(VideoFrame(VideoCodec.H264, b"later", number, False, 0.0))
        recorder.audio(AudioFrame(b"sound", number, 0.0))
    recorder.close()


def test_a_full_disk_leaves_no_file_open(tmp_path: Path) -> None:
    """Its place would not be free when somebody removes it."""
    ended, before = threading.Event(), resource.getrlimit(resource.RLIMIT_FSIZE)
    recorder = begun(tmp_path / "x.mkv", ended.set)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        feed(recorder, film(VideoCodec.H264, 300), voice(500))
        assert ended.wait(10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    recorder.join()
    assert tmp_path / "x.mkv" not in [each.resolve() for each in Path("/proc/self/fd").iterdir()]
    assert times(tmp_path / "x.mkv")["video"], "what was written can be played"


def test_sound_that_is_repaired_late_or_comes_twice_is_in_its_place(tmp_path: Path) -> None:
    order = [0, 1, 3, 4, 2, 2, *range(5, 90), 100, *range(90, 100), 101]
    sound = [opus(number)._replace(captured=0.02 * place) for place, number in enumerate(order)]
    record(tmp_path / "x.mkv", film(VideoCodec.H264, 60), sound)
    assert times(tmp_path / "x.mkv")["audio"] == pytest.approx([0.02 * n for n in range(102)], abs=0.001)


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
    record(tmp_path / "x.mkv", video, sound)
    found = times(tmp_path / "x.mkv")
    assert len(found["audio"]) == len(sound)
    assert found["audio"][-1] == pytest.approx(sound[-1].captured - 0.03, abs=0.005)
    assert found["video"][-1] == pytest.approx(seconds - 0.1, abs=0.002)


def test_a_far_end_whose_clock_is_set_moves_no_sound(tmp_path: Path) -> None:
    video = [each._replace(origin=5000 + each.captured) for each in film(VideoCodec.H264, 60)]
    sound = [
        each._replace(origin=5000 + each.captured + (300 if each.captured > 1 else 0)) for each in voice(500)
    ]
    record(tmp_path / "x.mkv", video, sound)
    assert times(tmp_path / "x.mkv")["audio"][-1] == pytest.approx(9.98, abs=0.01)


def test_a_picture_whose_time_goes_back_is_put_behind_the_last_one(tmp_path: Path) -> None:
    video = film(VideoCodec.H264, 60)
    video[30] = video[30]._replace(pts=video[29].pts - 450)
    record(tmp_path / "x.mkv", video)
    found = times(tmp_path / "x.mkv")["video"]
    assert len(found) == 60
    assert found[-1] == pytest.approx(59 / 30, abs=0.002)


def test_a_stream_that_begins_anew_goes_on_at_its_time(tmp_path: Path) -> None:
    first, second = film(VideoCodec.VP8, 60), film(VideoCodec.VP8, 60, begins=7)
    record(tmp_path / "x.mkv", first, second, voice(100), voice(100, begins=7))
    found = times(tmp_path / "x.mkv")
    assert len(found["video"]) == 120
    assert len(found["audio"]) == 200
    assert found["video"][60] == pytest.approx(7, abs=0.01)
    assert found["audio"][100] == pytest.approx(7, abs=0.01)


def test_sound_of_before_a_pause_lies_where_it_was_said(tmp_path: Path) -> None:
    path = tmp_path / "x.mkv"
    video = film(VideoCodec.H264, 30 * 20)
    record(path, video, voice(150), voice(150, begins=17, first=850))
    assert len(times(path)["audio"]) == 300
    assert interleaved(path) < 2.5


def test_pictures_in_another_codec_go_into_a_further_file(tmp_path: Path) -> None:
    first, second = film(VideoCodec.H264, 60), film(VideoCodec.VP8, 45, begins=2)
    record(tmp_path / "x.mkv", first, second, voice(175))
    before, after = times(tmp_path / "x.mkv"), times(tmp_path / "x-2.mkv")
    assert (len(before["video"]), len(after["video"])) == (60, 45)
    assert len(before["audio"]) + len(after["audio"]) >= 170


def test_a_call_without_pictures_is_a_file_of_sound(tmp_path: Path) -> None:
    record(tmp_path / "short.mkv", voice(50))
    assert len(times(tmp_path / "short.mkv")["audio"]) == 50
    record(tmp_path / "x.mkv", voice(500), film(VideoCodec.H264, 60, begins=8))
    assert len(times(tmp_path / "x.mkv")["audio"]) == pytest.approx(400, abs=2)
    assert len(times(tmp_path / "x-2.mkv")["video"]) == 60


@pytest.mark.parametrize("codec", list(VideoCodec))
def test_a_keyframe_that_is_none_is_waited_over(tmp_path: Path, codec: VideoCodec) -> None:
    recorder = begun(tmp_path / "x.mkv")
    assert recorder.video(VideoFrame(codec, b"odd", 0, True, 0.0))
    later = film(codec, 30, begins=1)[1:]
    deadline = threading.Event()
    while recorder.video(later[0]):
        assert not deadline.wait(0.01)
    for each in film(codec, 30, begins=2):
        assert recorder.video(each)
    recorder.close()
    recorder.join()
    assert len(times(tmp_path / "x.mkv")["video"]) == 30


def test_sound_goes_on_after_a_slow_disk_without_a_picture(tmp_path: Path, goes_on: threading.Event) -> None:
    recorder = begun(tmp_path / "x.mkv")
    recorder.video(film(VideoCodec.H264, 1)[0])
    early, later = voice(2 * QUEUE), voice(100, begins=14, first=700)
    for each in early:
        recorder.audio(each)
    assert recorder._items.full()
    goes_on.set()
    deadline = threading.Event()
    while recorder._items.qsize():
        deadline.wait(0.001)
    for each in later:
        recorder.audio(each)
    recorder.close()
    recorder.join()
    assert len(times(tmp_path / "x.mkv")["audio"]) == pytest.approx(QUEUE + 100, abs=2)


def test_a_disk_that_stands_still_asks_for_no_keyframes(tmp_path: Path, goes_on: threading.Event) -> None:
    recorder = begun(tmp_path / "x.mkv")
    before, after = film(VideoCodec.H264, 2 * QUEUE), film(VideoCodec.H264, 30, begins=22)
    assert all(recorder.video(each) for each in before), "it would ask twice a second"
    assert recorder._items.qsize() > QUEUE // 2
    goes_on.set()
    deadline = threading.Event()
    while recorder._items.qsize():
        deadline.wait(0.001)
    assert not recorder.video(before[-1]), "now it goes on, with a keyframe"
    assert all(recorder.video(each) for each in after)
    recorder.close()
    recorder.join()
    assert len(times(tmp_path / "x.mkv")["video"]) == pytest.approx(QUEUE + 30, abs=2)


def test_a_further_file_takes_nobodys_place(tmp_path: Path) -> None:
    (tmp_path / "x-2.mkv").write_bytes(b"another's")
    os.mkfifo(tmp_path / "x-3.mkv")
    record(tmp_path / "x.mkv", film(VideoCodec.H264, 30), film(VideoCodec.VP8, 30, begins=1))
    assert (tmp_path / "x-2.mkv").read_bytes() == b"another's"
    assert len(times(tmp_path / "x-4.mkv")["video"]) == 30


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/full"), tmp_path / "nowhere" / "x.mkv"):
        with pytest.raises(Refused, match="path: "):
            begun(path)


@pytest.mark.parametrize(("pictures", "sounds"), [(600, 1000), (600, 0), (0, 1000)])
def test_what_was_recorded_survives_the_process(tmp_path: Path, pictures: int, sounds: int) -> None:
    """As after a SIGKILL: what is in the file by then, all but the last seconds, can be played."""
    recorder = begun(tmp_path / "x.mkv")
    feed(recorder, film(VideoCodec.H264, pictures), voice(sounds))
    deadline = threading.Event()
    while recorder._items.qsize():
        deadline.wait(0.001)
    found = times(tmp_path / "x.mkv")
    assert bool(found["video"]) == bool(pictures)
    assert bool(found["audio"]) == bool(sounds)
    assert all(kind[-1] > 20 - 4.5 for kind in found.values() if kind)
    recorder.close()
    recorder.join()


def test_what_comes_while_the_file_is_opened_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, opens = threading.Event(), os.open

    def slow(path: str, flags: int, mode: int = 0o777) -> int:
        goes_on.wait(10)
        return opens(path, flags, mode)

    monkeypatch.setattr(os, "open", slow)
    recorder = Recorder(str(tmp_path / "x.mkv"), Places(), with_sound=True, gone=nothing)
    assert all(recorder.video(each) for each in film(VideoCodec.H264, 60))
    assert not recorder.opened.done()
    goes_on.set()
    recorder.opened.result(10)
    recorder.close()
    recorder.join()
    assert len(times(tmp_path / "x.mkv")["video"]) == 60
