"""The enums of the house and of the contract, both ways. Ours carry the contract's numbers."""

from __future__ import annotations

from mediaagent.v1 import call_pb2, media_pb2, session_pb2, view_pb2

from mediaagentd.call.types import CallType, EndReason, Link, MemberState, Phase, SessionPhase
from mediaagentd.media.types import VideoCodec, VideoProfile
from mediaagentd.media.voice import Processing

INVITEE_STATES = {
    MemberState.PENDING: call_pb2.INVITEE_STATE_PENDING,
    MemberState.JOINED: call_pb2.INVITEE_STATE_ACCEPTED,
    MemberState.LEFT: call_pb2.INVITEE_STATE_ACCEPTED,
    MemberState.REJECTED: call_pb2.INVITEE_STATE_REJECTED,
    MemberState.BUSY: call_pb2.INVITEE_STATE_BUSY,
    MemberState.NO_RESPONSE: call_pb2.INVITEE_STATE_NO_RESPONSE,
    MemberState.CANCELLED: call_pb2.INVITEE_STATE_CANCELLED,
}
"""What became of an invitee; that one left later does not change that the invitation was accepted."""

PROFILES = {
    VideoProfile.P480: media_pb2.VIDEO_PROFILE_480P,
    VideoProfile.P720: media_pb2.VIDEO_PROFILE_720P,
    VideoProfile.P1080: media_pb2.VIDEO_PROFILE_1080P,
}
"""Video qualities."""

CODECS = {
    VideoCodec.H264: view_pb2.VIDEO_CODEC_H264,
    VideoCodec.VP8: view_pb2.VIDEO_CODEC_VP8,
}
"""Video codecs."""


def call_type(value: CallType) -> call_pb2.CallType.ValueType:
    """To the contract."""
    return call_pb2.CallType.ValueType(value.value)


def call_type_from(value: call_pb2.CallType.ValueType) -> CallType | None:
    """From the contract, None when unspecified."""
    return CallType(value) if value else None


def phase(value: Phase) -> call_pb2.CallState.ValueType:
    """To the contract."""
    return call_pb2.CallState.ValueType(value.value)


def link(value: Link) -> call_pb2.LinkState.ValueType:
    """To the contract."""
    return call_pb2.LinkState.ValueType(value.value)


def end_reason(value: EndReason | None) -> call_pb2.EndReason.ValueType:
    """To the contract, unspecified for a call that goes on."""
    return call_pb2.EndReason.ValueType(value.value if value is not None else 0)


def session_phase(value: SessionPhase) -> session_pb2.SessionState.ValueType:
    """To the contract."""
    return session_pb2.SessionState.ValueType(value.value)


def profile_from(value: media_pb2.VideoProfile.ValueType) -> VideoProfile:
    """From the contract; validation has refused the others."""
    return next(ours for ours, theirs in PROFILES.items() if theirs == value)


def voice(processing: Processing) -> list[media_pb2.VoiceProcessing.ValueType]:
    """To the contract: what is done."""
    kinds = (
        (processing.echo_cancellation, media_pb2.VOICE_PROCESSING_ECHO_CANCELLATION),
        (processing.noise_suppression, media_pb2.VOICE_PROCESSING_NOISE_SUPPRESSION),
        (processing.gain_control, media_pb2.VOICE_PROCESSING_GAIN_CONTROL),
    )
    return [kind for does, kind in kinds if does]


def codec(value: VideoCodec | None) -> view_pb2.VideoCodec.ValueType:
    """To the contract, unspecified for none."""
    return CODECS[value] if value is not None else view_pb2.VIDEO_CODEC_UNSPECIFIED
