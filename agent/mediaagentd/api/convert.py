"""Values of the house to messages of the contract and back. Total: everything has its counterpart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from google.protobuf.timestamp_pb2 import Timestamp
from mediaagent.v1 import agent_pb2, call_pb2, media_pb2, session_pb2, view_pb2

from mediaagentd.api import words
from mediaagentd.api.clock import WallClock, duration
from mediaagentd.call.types import Call, Participant, SessionPhase, State
from mediaagentd.media.settings import LocalMedia, PeerFigures
from mediaagentd.media.types import StreamStats, VideoProfile
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


@dataclass(frozen=True, slots=True)
class Present:
    """The present state of everything, as values. `login_time` is on the machine's clock."""

    state: State
    login_time: float | None
    local: LocalMedia
    views: tuple[View, ...]


class Conversion:
    """Conversions that need to know the device and the wall clock."""

    def __init__(self, clock: WallClock, device_id: str, sdk_app_id: int) -> None:
        self.clock = clock
        self._device_id = device_id
        self._sdk_app_id = sdk_app_id

    def session(self, phase: SessionPhase, user_id: str, login_time: float | None) -> session_pb2.Session:
        """The session; `login_time` on the machine's clock, told only of a session that is logged in."""
        online = phase in (SessionPhase.ONLINE, SessionPhase.RECONNECTING)
        return session_pb2.Session(
            state=words.session_phase(phase),
            user_id=user_id,
            device_id=self._device_id,
            sdk_app_id=self._sdk_app_id,
            login_time=self._instant(login_time if online else None),
        )

    def call(self, call: Call | None) -> call_pb2.Call | None:
        """The call; None stays absent."""
        if call is None:
            return None
        hub = call.hub
        outgoing = call_pb2.CALL_DIRECTION_OUTGOING
        return call_pb2.Call(
            call_id=hub.call_id,
            invite_id=call.invite.invite_id,
            room_id=hub.room_id,
            type=words.call_type(hub.type),
            state=words.phase(call.phase),
            direction=outgoing if call.outgoing else call_pb2.CALL_DIRECTION_INCOMING,
            sponsor=hub.sponsor,
            invitees=[
                call_pb2.Invitee(
                    user_id=member.user_id,
                    state=words.INVITEE_STATES[member.state],
                    inviter=hub.invitation(member).sponsor,
                )
                for member in hub.members
                if member.user_id != hub.sponsor
            ],
            participants=[self._participant(participant) for participant in call.participants],
            group_id=hub.group_id,
            timeout=duration(call.invite.timeout) if call.invite.timeout is not None else None,
            invite_time=self._instant(call.invited),
            answer_time=self._instant(call.answered),
            end_time=self._instant(call.ended),
            end_reason=words.end_reason(call.end_reason),
            ended_by=call.ended_by,
            duration=duration(call.duration),
            other_device_id=call.other_device_id,
            is_group=hub.is_group,
            user_data=hub.user_data,
        )

    def _participant(self, participant: Participant) -> call_pb2.Participant:
        return call_pb2.Participant(
            user_id=participant.user_id,
            link=words.link(participant.link),
            is_audio_available=participant.audio,
            is_video_available=participant.video,
            enter_time=self._instant(participant.entered),
        )

    def _instant(self, instant: float | None) -> Timestamp | None:
        return None if instant is None else self.clock.timestamp(instant)


def _profile_or_unset(profile: VideoProfile | None) -> media_pb2.VideoProfile.ValueType:
    return media_pb2.VIDEO_PROFILE_UNSPECIFIED if profile is None else words.PROFILES[profile]


def local_media(camera: bool, muted: bool, local: LocalMedia) -> media_pb2.LocalMedia:
    """Camera and microphone: what the user wants, and what the devices are."""
    return media_pb2.LocalMedia(
        is_camera_open=camera,
        is_mic_muted=muted,
        profile=words.PROFILES[local.profile],
        active_profile=words.PROFILES[local.active_profile],
        camera=local.camera,
        microphone=local.microphone,
        speaker=local.speaker,
        video_encoder=local.encoder,
        highest_profile=_profile_or_unset(local.highest_profile),
        voice_processing=words.voice(local.processing),
    )


# --------------------------------------------------------------------------------- views


def view(value: View) -> view_pb2.View:
    """A view."""
    made = view_pb2.View(view_id=value.view_id, user_id=value.user_id)
    match value.kind:
        case FramesView(format, max_fps, max_width, max_height, jpeg_quality):
            made.frames.CopyFrom(
                view_pb2.FramesView(
                    format=view_pb2.FrameFormat.ValueType(format.value),
                    max_fps=max_fps,
                    max_width=max_width,
                    max_height=max_height,
                    jpeg_quality=jpeg_quality,
                )
            )
        case WebrtcView(offer_sdp):
            made.webrtc.CopyFrom(view_pb2.WebrtcView(offer_sdp=offer_sdp))
        case WindowView(display, fullscreen):
            made.window.CopyFrom(view_pb2.WindowView(display=display, is_fullscreen=fullscreen))
        case FileView(path):
            made.file.CopyFrom(view_pb2.FileView(path=path))
        case _:
            assert_never(value.kind)
    return made


def views(values: Sequence[View]) -> list[view_pb2.View]:
    """Views, in their order."""
    return [view(value) for value in values]


def view_kind(
    request: view_pb2.StartRemoteViewRequest | view_pb2.StartLocalViewRequest | view_pb2.View,
) -> ViewKind:
    """The kind that a request names; validation has refused one that names none."""
    match request.WhichOneof("kind"):
        case "frames":
            frames = request.frames
            return FramesView(
                FrameFormat(frames.format),
                frames.max_fps,
                frames.max_width,
                frames.max_height,
                frames.jpeg_quality,
            )
        case "webrtc":
            return WebrtcView(request.webrtc.offer_sdp)
        case "window":
            return WindowView(request.window.display, request.window.is_fullscreen)
        case _:
            return FileView(request.file.path)


def picture(value: Picture) -> view_pb2.WatchViewResponse:
    """One picture of a stream."""
    return view_pb2.WatchViewResponse(
        data=value.data,
        format=view_pb2.FrameFormat.ValueType(value.format.value),
        codec=words.codec(value.codec),
        width=value.size.width if value.size is not None else 0,
        height=value.size.height if value.size is not None else 0,
        is_keyframe=value.keyframe,
        sequence=value.sequence,
        dropped=value.dropped,
        capture_time=epoch(value.captured),
    )


def epoch(seconds: float) -> Timestamp:
    """Seconds since the epoch, in whole microseconds."""
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1e6))
    return stamp


# --------------------------------------------------------------------------------- figures


def _stream(stats: StreamStats) -> agent_pb2.StreamStats:
    return agent_pb2.StreamStats(
        packets=stats.packets,
        bytes=stats.bytes,
        frames=stats.frames,
        keyframes=stats.keyframes,
        packets_lost=stats.packets_lost,
        dropped=stats.dropped,
    )


def peer_stats(figures: PeerFigures) -> agent_pb2.PeerStats:
    """Figures of one peer; what was not measured yet stays absent."""
    stats, size = figures.stats, figures.decoded_size
    times = {
        "round_trip": stats.round_trip,
        "connect_time": figures.connect_time,
        "first_frame_time": figures.first_frame_time,
    }
    return agent_pb2.PeerStats(
        user_id=figures.user_id,
        audio_sent=_stream(stats.audio_sent),
        audio_received=_stream(stats.audio_received),
        video_sent=_stream(stats.video_sent),
        video_received=_stream(stats.video_received),
        video_codec=words.codec(stats.video_codec),
        fraction_lost=stats.fraction_lost,
        frames_decoded=figures.frames_decoded,
        decoded_width=size.width if size is not None else 0,
        decoded_height=size.height if size is not None else 0,
        audio_slots_played=figures.audio_slots_played,
        audio_slots_concealed=figures.audio_slots_concealed,
        **{name: duration(value) for name, value in times.items() if value is not None},
    )
