from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from mediaagentd.media.codec import measuring, remembered
from mediaagentd.media.codec.tuning import BUDGET, HARDWARE, Choice, Cost, Effort, Tuning, choose, options
from mediaagentd.media.codec.video import VideoDecoder, VideoEncoder
from mediaagentd.media.tuner import suited
from mediaagentd.media.types import VideoCodec, VideoProfile

H264, VP8 = VideoCodec.H264, VideoCodec.VP8


def costs(factor: float, *hardware: Cost) -> list[Cost]:
    """Of a machine that is so much slower than the one that the figures were taken on."""
    return [
        *hardware,
        Cost("libx264", Effort.FAST, 3.4 * factor, 1.1 * factor),
        Cost("libx264", Effort.BALANCED, 4.5 * factor, 1.2 * factor),
        Cost("libvpx", Effort.FAST, 7.1 * factor, 2.0 * factor),
        Cost("libvpx", Effort.BALANCED, 7.6 * factor, 1.9 * factor),
    ]


@pytest.mark.parametrize(
    ("factor", "effort", "highest"),
    [
        (0.7, Effort.BALANCED, VideoProfile.P1080),
        (1, Effort.FAST, VideoProfile.P1080),
        (4, Effort.FAST, VideoProfile.P720),
        (8, Effort.FAST, VideoProfile.P480),
        (90, Effort.FAST, VideoProfile.P480),
    ],
)
def test_a_slower_machine_tries_less_hard_and_then_holds_less(
    factor: float, effort: Effort, highest: VideoProfile
) -> None:
    assert choose(costs(factor)) == Choice((H264, VP8), Tuning("libx264", effort), highest)


def test_hardware_goes_first_and_without_h264_of_any_kind_there_is_vp8() -> None:
    chip = Cost("h264_v4l2m2m", Effort.BALANCED, 1.0, 4.0)
    assert choose(costs(4, chip)) == Choice((H264, VP8), Tuning("h264_v4l2m2m"), VideoProfile.P1080)
    only_vp8 = [cost for cost in costs(1) if cost.codec is VP8]
    assert choose(only_vp8).codecs == (VP8,)
    assert choose([]) == Choice()


def test_the_cheaper_codec_goes_first() -> None:
    dear = [Cost("libx264", Effort.FAST, 10, 5), Cost("libvpx", Effort.FAST, 4, 1)]
    assert choose(dear).codecs == (VP8, H264)
    assert BUDGET > 15


@pytest.mark.parametrize("name", [*HARDWARE, "libx264", "libvpx"])
def test_every_encoder_has_options_of_strings(name: str) -> None:
    told = options(name, Effort.FAST, 500_000, 250_000)
    assert all(isinstance(value, str) for value in told.values())


def test_this_machine_is_measured_and_what_is_found_works(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: int) -> None:
        raise PermissionError  # as a unit's SystemCallFilter may

    monkeypatch.setattr("os.setpriority", forbid)
    found = measuring.measure()
    assert {cost.encoder for cost in found} >= {"libx264", "libvpx"}
    assert all(cost.encode > 0 and cost.decode > 0 for cost in found)
    assert {cost.effort for cost in found if cost.encoder == "libx264"} == set(Effort)


@pytest.mark.parametrize("effort", list(Effort))
@pytest.mark.parametrize("codec", list(VideoCodec))
def test_either_effort_can_be_decoded(codec: VideoCodec, effort: Effort) -> None:
    from mediaagentd.media.capture.synthetic import SyntheticCamera

    camera = SyntheticCamera(VideoProfile.P480.size, 30)
    encoder = VideoEncoder(codec, 30, 800_000, tuning=Tuning(effort=effort))
    frame = encoder.encode(camera.picture(1), keyframe=True)
    assert frame is not None
    assert VideoDecoder(codec).decode(frame) is not None


def test_a_machine_is_measured_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert remembered.kept(state) is None
    first = remembered.choice(state, lambda: costs(4))
    assert first.tuning.effort is Effort.FAST
    assert remembered.choice(state, lambda: pytest.fail("measured again")) == first
    assert remembered.kept(state) == first


def test_a_bad_minute_at_the_first_start_is_not_for_ever(tmp_path: Path) -> None:
    """Three starts; of each encoder that still works the least counts, then it is known."""
    chip = Cost("h264_v4l2m2m", Effort.BALANCED, 1.0, 4.0)
    assert remembered.choice(tmp_path, lambda: costs(8, chip)).highest is VideoProfile.P1080
    remembered.refine(tmp_path, lambda: costs(8))
    assert remembered.kept(tmp_path) == choose(costs(8)), "the chip has gone"
    remembered.refine(tmp_path, lambda: costs(1))
    assert remembered.kept(tmp_path) == choose(costs(1))
    remembered.refine(tmp_path, lambda: pytest.fail("measured again"))
    assert remembered.choice(tmp_path, lambda: pytest.fail("measured again")) == choose(costs(1))
    (tmp_path / remembered.FILE).unlink()
    remembered.choice(tmp_path, lambda: costs(1))
    remembered.refine(tmp_path, lambda: costs(8))
    assert remembered.kept(tmp_path) == choose(costs(1)), "a worse minute changes nothing"


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"machine": 1, "costs": []}', "\x00", "[" * 10**5])
def test_a_file_that_is_not_ours_is_measured_over(tmp_path: Path, text: str) -> None:
    (tmp_path / remembered.FILE).write_text(text)
    assert remembered.choice(tmp_path, lambda: costs(1)) == choose(costs(1))
    assert remembered.kept(tmp_path) == choose(costs(1))


def test_a_number_that_is_none_is_measured_over(tmp_path: Path) -> None:
    remembered.choice(tmp_path, lambda: costs(1))
    file = tmp_path / remembered.FILE
    file.write_text(file.read_text().replace('"starts": 1', '"starts": 1e999'))
    assert remembered.kept(tmp_path) is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"encode": 3.4', '"encode": NaN'),
        ('"decode": 1.1', '"decode": -1e3'),
        ('"decode": 1.1', '"decode": 1e999'),
        ('"encoder": "libx264"', '"encoder": "libx266"'),
        ('"encoder": "libx264"', '"encoder": 7'),
        ('"encoder": "libx264"', '"encoder": []'),
    ],
)
def test_nonsense_is_measured_over(tmp_path: Path, before: str, after: str) -> None:
    remembered.choice(tmp_path, lambda: costs(1))
    file = tmp_path / remembered.FILE
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after, 1))
    assert remembered.kept(tmp_path) is None


def test_a_chip_that_comes_or_goes_is_measured_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the machine has been measured without it."""
    devices = tmp_path / "dev"
    (devices / "dri").mkdir(parents=True)
    monkeypatch.setattr(remembered, "DEVICES", devices)
    remembered.choice(tmp_path, lambda: costs(1))
    assert remembered.kept(tmp_path) is not None
    (devices / "dri" / "renderD128").touch()
    assert remembered.kept(tmp_path) is None
    chip = Cost("h264_qsv", Effort.BALANCED, 0.4, 1.0)
    assert remembered.choice(tmp_path, lambda: costs(1, chip)).tuning.h264 == "h264_qsv"
    assert remembered.kept(tmp_path) is not None
    (devices / "dri" / "renderD128").unlink()
    assert remembered.kept(tmp_path) is None


def test_a_place_that_cannot_be_written_costs_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert remembered.choice(tmp_path / "file" / "state", lambda: costs(1)) == choose(costs(1))


async def test_what_was_measured_is_known_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, refined = remembered.choice(tmp_path, lambda: costs(4)), threading.Event()
    monkeypatch.setattr(remembered, "refine", lambda _: refined.set())
    assert await asyncio.wait_for(suited(tmp_path), 10) == kept
    assert await asyncio.to_thread(refined.wait, 10)
