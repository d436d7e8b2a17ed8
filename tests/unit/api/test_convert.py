"""Conversion is total: every event, every word and every field that a client may see."""

from __future__ import annotations

import enum
import typing

import pytest
from google.protobuf.descriptor import EnumDescriptor
from mediaagent.v1 import call_pb2, event_pb2, media_pb2, session_pb2, view_pb2
from mediaagentd.api import convert, convert_events, words
from mediaagentd.api.clock import WallClock, duration, seconds
from mediaagentd.api.convert import Conversion, Present
from mediaagentd.call import events
from mediaagentd.call.types import (
    Call,
    CallType,
    EndReason,
    ErrorCode,
    HubCall,
    Link,
    Member,
    MemberState,
    Participant,
    Phase,
    SessionPhase,
    State,
)
from mediaagentd.events import Event, Happened
from mediaagentd.history.types import HistoryChanged, MissedCall, Record
from mediaagentd.media.settings import LocalMedia, PeerFigures
from mediaagentd.media.types import PeerStats, Size, StreamStats, VideoCodec, VideoProfile
from mediaagentd.media.views.types import (
    FileView,
    FrameFormat,
    FramesView,
    Picture,
    View,
    ViewKind,
    WebrtcView,
    WindowView,
)
from mediaagentd.media.voice import Processing

HUB = HubCall(
    "c1", "i1", 7, CallType.VIDEO, "ann",
    (Member("ann", MemberState.JOINED, "d", 1), Member("bob", MemberState.JOINED, "e", 2)),
    3, "g", 30.0, is_group=True, user_data=b"hello",
)  # fmt: skip
CALL = Call(
    HUB, Phase.ENDED, True, (Participant("bob", 2, Link.UP, True, False, 12.5),), 10.0, 11.0, 20.0,
    EndReason.HANGUP, "bob", "dev-2",
)  # fmt: skip
RECORD = Record(
    "ann", "c1", "i1", 7, True, CallType.VIDEO, "ann", (("bob", MemberState.LEFT),), 10.0, 11.0, 20.0,
    EndReason.HANGUP, "bob", "g", True, "dev-2", record_id=5,
)  # fmt: skip
LOCAL = LocalMedia(
    VideoProfile.P720,
    VideoProfile.P480,
    "synthetic",
    "none",
    "null",
    processing=Processing(True, False, True),
)
VIEW = View("main", "bob", FramesView(FrameFormat.JPEG, 5.0, 640, 480, 70))
PRESENT = Present(State(SessionPhase.ONLINE, "ann", call=CALL), 5.0, LOCAL, (VIEW,))


@pytest.fixture
def conversion() -> Conversion:
    return Conversion(WallClock(lambda: 100.0, lambda: 1_700_000_100.0), "dev-1", 1400000000)


SAMPLES: dict[type[Event], tuple[Event, str]] = {
    events.Invited: (events.Invited(CALL), "invited"),
    events.Rejected: (events.Rejected("bob", CALL), "rejected"),
    events.NotResponded: (events.NotResponded("bob", ("bob", "cid"), CALL), "not_responded"),
    events.LineBusy: (events.LineBusy("bob", CALL), "line_busy"),
    events.CallingCancelled: (events.CallingCancelled("i1", "ann", CALL), "calling_cancelled"),
    events.CallingTimedOut: (events.CallingTimedOut("i1", CALL), "calling_timed_out"),
    events.UserEntered: (events.UserEntered("bob", CALL), "user_entered"),
    events.UserLeft: (events.UserLeft("bob", CALL, EndReason.CONNECTION_LOST), "user_left"),
    events.CallEnded: (events.CallEnded(CALL), "call_ended"),
    events.KickedOut: (events.KickedOut("other"), "kicked_out"),
    events.UserVideoChanged: (events.UserVideoChanged("bob", True, CALL), "user_video_changed"),
    events.UserAudioChanged: (events.UserAudioChanged("bob", True, CALL), "user_audio_changed"),
    events.ErrorRaised: (events.ErrorRaised(ErrorCode.NO_CAMERA, "no"), "error_raised"),
    events.SessionChanged: (events.SessionChanged(SessionPhase.ONLINE, "ann"), "session_changed"),
    events.CallChanged: (events.CallChanged(CALL), "call_changed"),
    events.LocalMediaChanged: (events.LocalMediaChanged(True, False), "local_media_changed"),
    MissedCall: (MissedCall(RECORD), "missed_call"),
    HistoryChanged: (HistoryChanged(RECORD, (1, 2)), "history_changed"),
}


def test_every_event_has_a_sample_and_a_type() -> None:
    assert set(typing.get_args(Event)) == set(SAMPLES) == set(convert_events.TYPES)
    declared = {value.number for value in event_pb2.EventType.DESCRIPTOR.values} - {0}
    assert set(convert_events.TYPES.values()) == declared


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_event_converts(kind: type[Event], conversion: Conversion) -> None:
    event, body = SAMPLES[kind]
    made = convert_events.happened(Happened("run:3", 42.0, event), conversion, PRESENT)
    assert made.WhichOneof("body") == body
    assert made.cursor == "run:3"
    assert made.event_time.ToSeconds() == 1_700_000_042
    for field, value in getattr(made, body).ListFields():
        if field.name == "call":
            assert value.call_id == "c1"
            assert value.ended_by == "bob"
    if event.__class__ is events.UserLeft:
        assert made.user_left.reason == call_pb2.END_REASON_CONNECTION_LOST
    missing = {field.name for field in getattr(made, body).DESCRIPTOR.fields} - {
        field.name for field, _ in getattr(made, body).ListFields()
    }
    assert not missing, "a field that no event fills"


def test_bodies_are_those_of_the_contract() -> None:
    declared = {field.name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["body"].fields}
    assert {body for _, body in SAMPLES.values()} == declared


def names(descriptor: EnumDescriptor, prefix: str) -> dict[str, int]:
    return {v.name.removeprefix(prefix): v.number for v in descriptor.values if v.number}


@pytest.mark.parametrize(
    ("ours", "theirs", "prefix"),
    [
        (CallType, call_pb2.CallType, "CALL_TYPE_"),
        (Phase, call_pb2.CallState, "CALL_STATE_"),
        (Link, call_pb2.LinkState, "LINK_STATE_"),
        (EndReason, call_pb2.EndReason, "END_REASON_"),
        (SessionPhase, session_pb2.SessionState, "SESSION_STATE_"),
        (FrameFormat, view_pb2.FrameFormat, "FRAME_FORMAT_"),
    ],
)
def test_words_and_numbers_are_the_contracts(ours: type[enum.Enum], theirs: typing.Any, prefix: str) -> None:
    assert {member.name: member.value for member in ours} == names(theirs.DESCRIPTOR, prefix)


def test_words_with_tables_are_complete() -> None:
    assert set(words.INVITEE_STATES) == set(MemberState)
    assert set(words.INVITEE_STATES.values()) == set(names(call_pb2.InviteeState.DESCRIPTOR, "").values())
    assert set(words.PROFILES.values()) == set(names(media_pb2.VideoProfile.DESCRIPTOR, "").values())
    assert set(words.CODECS.values()) == set(names(view_pb2.VideoCodec.DESCRIPTOR, "").values())
    assert [words.profile_from(words.PROFILES[profile]) for profile in VideoProfile] == list(VideoProfile)
    assert words.codec(None) == view_pb2.VIDEO_CODEC_UNSPECIFIED
    assert words.call_type_from(call_pb2.CALL_TYPE_UNSPECIFIED) is None


def test_call_fills_every_field(conversion: Conversion) -> None:
    made = conversion.call(CALL)
    assert made is not None
    assert {field.name for field, _ in made.ListFields()} == {field.name for field in made.DESCRIPTOR.fields}
    assert [(invitee.user_id, invitee.state) for invitee in made.invitees] == [
        ("bob", call_pb2.INVITEE_STATE_ACCEPTED)
    ]
    assert made.duration.ToTimedelta().total_seconds() == 9
    assert made.answer_time.ToSeconds() == 1_700_000_011
    assert conversion.call(None) is None


def test_session_tells_no_login_time_when_logged_out(conversion: Conversion) -> None:
    online = conversion.session(SessionPhase.ONLINE, "ann", 5.0)
    assert {field.name for field, _ in online.ListFields()} == {f.name for f in online.DESCRIPTOR.fields}
    assert not conversion.session(SessionPhase.KICKED_OUT, "ann", 5.0).HasField("login_time")


def test_snapshot_is_whole(conversion: Conversion) -> None:
    made = convert_events.snapshot("run:1", conversion, PRESENT)
    assert {field.name for field, _ in made.ListFields()} == {field.name for field in made.DESCRIPTOR.fields}


@pytest.mark.parametrize(
    "kind",
    [VIEW.kind, WebrtcView("v=0"), WindowView(":0"), FileView("/tmp/x.mkv")],
    ids=lambda k: type(k).__name__,
)
def test_views_go_there_and_back(kind: ViewKind) -> None:
    made = convert.view(View("main", "bob", kind))
    assert (made.view_id, made.user_id) == ("main", "bob")
    assert convert.view_kind(made) == kind


def test_what_is_done_to_our_voice_is_told() -> None:
    told = convert.local_media(True, False, LOCAL).voice_processing
    echo, gain = media_pb2.VOICE_PROCESSING_ECHO_CANCELLATION, media_pb2.VOICE_PROCESSING_GAIN_CONTROL
    assert list(told) == [echo, gain]


def test_pictures_and_figures() -> None:
    made = convert.picture(
        Picture(b"x", FrameFormat.ENCODED, 1.5, None, VideoCodec.VP8, keyframe=True, sequence=2, dropped=1)
    )
    assert (made.codec, made.is_keyframe, made.sequence) == (view_pb2.VIDEO_CODEC_VP8, True, 2)
    stream = StreamStats(1, 2, 3, 4, 5, 6)
    stats = PeerStats(stream, stream, stream, stream, VideoCodec.H264, 0.02, 0.5)
    figures = PeerFigures("bob", stats, 0.1, 0.2, 0.3, 7, Size(640, 480), 8, 9)
    peer = convert.peer_stats(figures)
    assert {field.name for field, _ in peer.ListFields()} == {field.name for field in peer.DESCRIPTOR.fields}
    assert peer.audio_sent.dropped == 6
    bare = convert.peer_stats(PeerFigures("bob", PeerStats(stream, stream, stream, stream, None, None, 0.0)))
    assert not bare.HasField("round_trip")


def test_one_instant_is_one_timestamp_until_the_clock_is_set() -> None:
    now, drift = 100.0, 0.0
    clock = WallClock(lambda: now, lambda: 1_000.0 + now + drift)
    first = clock.timestamp(50.0)
    drift = 0.01
    assert clock.timestamp(50.0) == first
    drift = 3600.0
    assert clock.timestamp(50.0).ToSeconds() == first.ToSeconds() + 3600


def test_durations() -> None:
    assert seconds(duration(1.25)) == 1.25
