"""What is configured of media, and what media tells about itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from mediaagentd.media.codec.tuning import Tuning
from mediaagentd.media.types import VOICE, PeerStats, Size, SoundStyle, VideoCodec, VideoProfile
from mediaagentd.media.voice import AS_SUITS, NOTHING, Processing, ProcessingWish


def without_credentials(url: str) -> str:
    """A camera's URL without user name and password, for messages and status."""
    return re.sub(r"(?<=://)[^/@]*@", "", url)


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Configuration of the media engine.

    Device names as in `agent/DESIGN.md`: camera `synthetic`, `synthetic:clap`, `none`, `/dev/video0`,
    `rtsp://...`, `file:/path`; microphone `synthetic`, `synthetic:440`, `synthetic:clap`, `none`,
    `default`, a device's name, `file:/path`; speaker `null`, `default`, a name, `wav:/path`; `auto` for
    each. `video_codecs` in order of preference. `label` is written into the synthetic picture. `echo`
    sends back to every peer what that peer sends; nothing is captured or encoded then. `processing`: what is
    done to the microphone's voice. A lost connection
    is given up after `reconnect_budget` seconds. `tuning` says how video is encoded; `turn_ca`: a file
    with a further authority that TURN servers over TLS are trusted by. `measured` is the directory of
    what was measured on this machine: with it, tuning, codecs and a lower profile follow the measurement,
    as far as `fixed_codecs` and `fixed_profile` leave them free.
    """

    camera: str = "auto"
    microphone: str = "auto"
    speaker: str = "auto"
    video_codecs: tuple[VideoCodec, ...] = (VideoCodec.H264, VideoCodec.VP8)
    profile: VideoProfile = VideoProfile.P720
    label: str = ""
    echo: bool = False
    sound: SoundStyle = VOICE
    processing: ProcessingWish = AS_SUITS
    reconnect_budget: float = 60.0
    turn_ca: Path | None = None
    tuning: Tuning = field(default_factory=Tuning)
    measured: Path | None = None
    fixed_codecs: bool = False
    fixed_profile: bool = False


@dataclass(frozen=True, slots=True)
class LocalMedia:
    """Profiles and the devices in use: what `auto` was resolved to. `encoder`: of our video, with its effort;
    `highest_profile`: what this machine was measured to hold both ways, None before. `processing`: of
    our voice.
    """

    profile: VideoProfile
    active_profile: VideoProfile
    camera: str
    microphone: str
    speaker: str
    encoder: str = ""
    highest_profile: VideoProfile | None = None
    processing: Processing = NOTHING


@dataclass(frozen=True, slots=True)
class PeerFigures:
    """Figures of the connection with one remote user.

    Times in seconds since `set_in_call(True)`, or since the peer was opened when that came first; None
    until it happened: `connect_time` connected, `first_arrival_time` first whole remote picture
    arrived (nothing needs to be decoded for it), `first_frame_time` first remote picture decoded.
    Slots are of 20 ms of sound. `lip_sync`: seconds by which pictures are shown after the sound that belongs
    to them; None while one of them does not play or the far end has told no time.
    """

    user_id: str
    stats: PeerStats
    connect_time: float | None = None
    first_arrival_time: float | None = None
    first_frame_time: float | None = None
    frames_decoded: int = 0
    decoded_size: Size | None = None
    audio_slots_played: int = 0
    audio_slots_concealed: int = 0
    lip_sync: float | None = None
