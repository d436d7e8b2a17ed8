"""The configuration in the words of those who are built from it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from mediaagentd.config import Config, ConfigError
from mediaagentd.media.codec.tuning import Effort, Tuning
from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import SoundStyle, VideoCodec, VideoProfile
from mediaagentd.media.voice import MISSING, ProcessingWish
from mediaagentd.renewed import Renewed

_PROCESSING = ("audio_echo_cancellation", "audio_noise_suppression", "audio_gain_control")
_SWITCH = {"auto": None, "on": True, "off": False}


def hub_authorities(config: Config) -> Callable[[], bytes | None]:
    """Who may have signed the hub's certificate, as PEM: the authority that is configured, else those that
    the system knows; None for gRPC's own where it knows none. As their file is when it is asked for.

    Raises: OSError.
    """
    path = authority("hub_ca", config.hub_ca)
    if path is not None:
        return Renewed("hub_ca", [path], lambda: _certificates("hub_ca", path)).now
    system = ssl.get_default_verify_paths()
    known = Path(system.cafile or system.openssl_cafile)
    return Renewed("the system's authorities", [known], lambda: _known(known)).now


def authority(key: str, path: Path | None) -> Path | None:
    """The file of that key, which holds certificates; else nothing would say why no connection stands.

    Raises: OSError.
    """
    if path is not None:
        _certificates(key, path)
    return path


def _certificates(key: str, path: Path) -> bytes:
    """The file's text. Raises OSError, with the key."""
    try:
        pem = path.read_bytes()
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except ssl.SSLError:
        raise OSError(f"{key}: no certificates in PEM: {path}") from None
    except OSError as error:
        raise OSError(f"{key}: {error.strerror}: {path}") from None
    return pem


def _known(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def sound_style(config: Config) -> SoundStyle:
    """How our sound is sent."""
    return SoundStyle(config.audio_mode == "music", config.audio_stereo, config.audio_bitrate)


def voice_wish(config: Config) -> ProcessingWish:
    """What is to be done to our voice. What is asked for by name must be there, else nothing would say why
    the far end hears itself.

    Raises: ConfigError.
    """
    wishes = {key: _SWITCH[getattr(config, key)] for key in _PROCESSING}
    asked = [key for key, wish in wishes.items() if wish]
    if asked and not has_voice_processing():
        raise ConfigError(f"{asked[0]}: the package for it is missing: {MISSING}")
    return ProcessingWish(*wishes.values())


def has_voice_processing() -> bool:
    """Whether the package for it is installed."""
    return find_spec("livekit") is not None and find_spec("livekit.rtc") is not None


def media_settings(config: Config, device_id: str, echo: bool) -> MediaSettings:
    """What is "auto" is measured, unless effort or encoder are told: who tells one has tried it.

    Raises: ConfigError, OSError.
    """
    measures = config.video_effort == config.video_encoder == "auto"
    effort = "fast" if config.video_effort == "auto" else config.video_effort
    profile = "720p" if config.video_profile == "auto" else config.video_profile
    return MediaSettings(
        camera=config.camera,
        microphone=config.microphone,
        speaker=config.speaker,
        video_codecs=tuple(VideoCodec(name) for name in config.video_codecs),
        profile=VideoProfile[f"P{profile.removesuffix('p')}"],
        tuning=Tuning(config.video_encoder.replace("auto", "libx264"), Effort(effort)),
        measured=config.state_dir if measures else None,
        fixed_codecs="video_codecs" in config.model_fields_set,
        fixed_profile=config.video_profile != "auto",
        label=config.user_id or device_id,
        echo=echo,
        sound=sound_style(config),
        processing=voice_wish(config),
        reconnect_budget=config.reconnect_budget,
        turn_ca=authority("turn_ca", config.turn_ca),
    )
