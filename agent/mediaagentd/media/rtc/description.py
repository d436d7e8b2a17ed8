"""The structure of a remote description, checked before the library changes anything by it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from aiortc import sdp as library
from aiortc.codecs import CODECS
from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecCapability

from mediaagentd.errors import Reason, Refused
from mediaagentd.media.rtc.negotiation import H264_PARAMETERS, check_text, invalid
from mediaagentd.media.types import VideoCodec

_ICE_CHARS = re.compile(r"[A-Za-z0-9+/=_-]{4,256}")
_ROLES = {"offer": ("auto", "client", "server"), "answer": ("client", "server")}


def audio_preferences() -> list[RTCRtpCodecCapability]:
    """Opus and nothing else."""
    return [RTCRtpCodecCapability(mimeType="audio/opus", clockRate=48000, channels=2)]


def video_preferences(codecs: Sequence[VideoCodec]) -> list[RTCRtpCodecCapability]:
    """The codecs in order of preference, with retransmission."""
    parameters = {VideoCodec.VP8: {}, VideoCodec.H264: H264_PARAMETERS}
    found = [
        RTCRtpCodecCapability(
            mimeType=f"video/{codec.value}", clockRate=90000, parameters={**parameters[codec]}
        )
        for codec in codecs
    ]
    return [*found, RTCRtpCodecCapability(mimeType="video/rtx", clockRate=90000)]


def check(sdp: str, kind: str, codecs: Sequence[VideoCodec]) -> None:
    """Raises `Refused` unless the library can apply this description as `offer` or `answer`.

    The parser raises seven kinds of exception on bad input; the library applies a description section
    by section, so that a bad second one would leave it half applied.
    """
    check_text(sdp)
    try:
        description = library.SessionDescription.parse(sdp)
        str(description)
    except Exception:
        raise invalid("sdp: cannot be parsed") from None
    if not description.media:
        raise invalid("sdp: no media sections")
    kinds = [media.kind for media in description.media]
    if not set(kinds) <= {"audio", "video"} or len(set(kinds)) != len(kinds):
        raise invalid("sdp: only one audio and one video section are taken")
    mids = [media.rtp.muxId for media in description.media]
    if len(set(mids)) != len(mids) or not all(re.fullmatch(r"[!-~]{1,16}", mid) for mid in mids):
        raise invalid("sdp: a=mid missing, repeated or too long")
    if len(mids) > 1 and not any(
        group.semantic == "BUNDLE" and set(mids) <= set(group.items) for group in description.group
    ):
        raise invalid("sdp: sections are not bundled")
    for media in description.media:
        _check_transport(media, kind)
        _check_codecs(media, codecs)


def _check_transport(media: library.MediaDescription, kind: str) -> None:
    ice = media.ice
    if ice is None or not all(
        text and _ICE_CHARS.fullmatch(text) for text in (ice.usernameFragment, ice.password)
    ):
        raise invalid("sdp: ICE username fragment or password missing or malformed")
    if media.dtls is None or media.dtls.role not in _ROLES[kind]:
        raise invalid("sdp: a=setup missing or not allowed here")
    if not any(f.algorithm.lower() in X509_DIGEST_ALGORITHMS for f in media.dtls.fingerprints):
        raise invalid("sdp: no fingerprint of a known kind")
    if not media.rtcp_mux:
        raise invalid("sdp: a=rtcp-mux missing")
    if media.direction is None:
        raise invalid("sdp: a direction is missing")
    if any(not 1 <= extension.id <= 255 for extension in media.rtp.headerExtensions):
        raise invalid("sdp: a=extmap outside 1 to 255")
    if any(not 0 <= ssrc.ssrc < 1 << 32 for ssrc in media.ssrc):
        raise invalid("sdp: a=ssrc out of range")


def _check_codecs(media: library.MediaDescription, codecs: Sequence[VideoCodec]) -> None:
    wanted = audio_preferences() if media.kind == "audio" else video_preferences(codecs)
    try:
        common = find_common_codecs(CODECS[media.kind], media.rtp.codecs)
    except Exception:
        raise invalid("sdp: malformed codec parameters") from None
    for codec in common:
        if any(
            codec.mimeType.lower() == want.mimeType.lower() and codec.parameters == want.parameters
            for want in wanted
            if want.mimeType != "video/rtx"
        ):
            return
    raise Refused(Reason.CODEC_MISMATCH, f"sdp: no common {media.kind} codec")
