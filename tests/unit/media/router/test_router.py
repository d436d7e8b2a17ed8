"""What runs follows from who wants what."""

from __future__ import annotations

from dataclasses import replace

from mediaagentd.media.congestion import RateControl
from mediaagentd.media.grading import Stream
from mediaagentd.media.router import (
    KeyframeGate,
    Plan,
    Wants,
    encoder_bitrate,
    plan,
)
from mediaagentd.media.types import Feedback, VideoCodec, VideoProfile

H264, VP8 = VideoCodec.H264, VideoCodec.VP8


def test_idle_means_nothing() -> None:
    assert plan(Wants(), H264) == Plan()
    assert plan(Wants(camera_open=True), H264) == Plan()
    assert plan(Wants(sending_audio=True, sending_video=True), H264) == Plan()


def test_an_open_camera_is_captured_only_for_somebody() -> None:
    assert plan(Wants(camera_open=True, local_decoded=True), H264) == Plan(capture=True)
    assert plan(Wants(camera_open=True, local_encoded=True), VP8) == Plan(
        capture=True, encoders=frozenset({Stream(VP8)})
    )
    assert not plan(Wants(local_decoded=True), H264).capture, "a view does not open the camera"


def test_one_encoder_serves_all_peers_of_a_codec() -> None:
    peers = {"bob": H264, "carol": H264, "dave": VP8, "eve": None}
    running = plan(Wants(camera_open=True, sending_video=True, peers=peers), H264)
    assert running.encoders == {Stream(H264), Stream(VP8)}
    assert running.capture
    assert running.heard == set(peers)


def test_an_audio_call_runs_no_camera_and_mute_no_microphone() -> None:
    call = plan(Wants(camera_open=True, sending_audio=True, peers={"bob": H264}), H264)
    assert (call.capture, call.microphone) == (False, True)
    assert not plan(Wants(peers={"bob": H264}), H264).microphone


def test_who_can_take_much_less_gets_an_encoding_of_its_own() -> None:
    peers = {"bob": H264, "carol": H264, "dave": VP8}
    wants = Wants(camera_open=True, sending_video=True, peers=peers, weak=frozenset({"carol"}))
    assert plan(wants, H264).encoders == {Stream(H264), Stream(H264, weak=True), Stream(VP8)}
    assert plan(replace(wants, peers={"bob": H264}), H264).encoders == {Stream(H264)}
    assert plan(replace(wants, sending_video=False), H264) == plan(Wants(peers=peers), H264)
    assert plan(replace(wants, camera_open=False), H264).encoders == frozenset()


def test_a_local_page_gets_the_codec_that_it_takes() -> None:
    wants = Wants(camera_open=True, sending_video=True, peers={"bob": H264}, local_codecs=frozenset({VP8}))
    assert plan(wants, H264).encoders == {Stream(H264), Stream(VP8)}
    assert plan(replace(wants, camera_open=False), H264) == Plan(heard=frozenset({"bob"}))


def test_a_local_view_uses_the_encoder_that_runs_anyway() -> None:
    wants = Wants(camera_open=True, sending_video=True, local_encoded=True, peers={"bob": VP8})
    assert plan(wants, H264).encoders == {Stream(VP8)}


def test_remote_video_is_decoded_for_those_who_look() -> None:
    assert plan(Wants(remote_decoded=frozenset({"bob"})), H264).decoders == {"bob"}


def test_an_echo_runs_nothing_of_its_own() -> None:
    wants = Wants(True, True, True, echo=True, peers={"bob": H264}, local_decoded=True)
    assert plan(wants, H264) == Plan()


def test_many_keyframe_requests_become_two_a_second_and_none_is_forgotten() -> None:
    gate = KeyframeGate()
    made = []
    for picture in range(90):
        for _ in range(5 if picture < 45 else 0):
            gate.request()
        if gate.due(picture / 30):
            made.append(picture)
    assert made == [0, 15, 30, 45], "the last request came too early and is fulfilled later"


def test_a_keyframe_that_comes_anyway_is_for_all_who_asked() -> None:
    gate = KeyframeGate()
    gate.request()
    gate.made(1.0)
    assert not gate.due(1.0)
    gate.request()
    assert [gate.due(at) for at in (1.1, 1.5, 2.0)] == [False, True, False]


def test_the_encoder_follows_the_weakest() -> None:
    weak, strong = RateControl(VideoProfile.P480), RateControl(VideoProfile.P480)
    weak.feedback(Feedback(300_000, 0.0, None), 0.0)
    assert encoder_bitrate([weak, strong], VideoProfile.P480) == 250_000
    assert encoder_bitrate([], VideoProfile.P480) == 800_000
