"""A recording whose disk is full costs the call nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from mediaagentd.media.types import AudioFrame, VideoCodec, VideoFrame
from mediaagentd.media.views import recording
from mediaagentd.media.views.recording import QUEUE, Recorder


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
