"""`mediaagentd check`: what is there, what is missing, and what to do about it."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mediaagentd.config import Config, ConfigError, unknown_variables
from mediaagentd.errors import Refused
from mediaagentd.expiry import ending
from mediaagentd.greeting import GreetingError, greet
from mediaagentd.usersig import suited

if TYPE_CHECKING:
    from mediaagentd.media.capture.soundcard import Direction

_FAR = 253402300799
"""The end of the year 9999, Unix seconds: further no calendar goes."""

_CREDENTIAL = Path("/etc/credstore/mediaagent.user_sig")
"""What the unit loads (`LoadCredential=`)."""

CONNECT_WITHIN = 2.0
"""Seconds that the hub may take to take a connection."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `advice` is empty when it is good and stays so."""

    what: str
    found: str
    good: bool = True
    advice: str = ""


def findings(config: Config) -> tuple[Finding, ...]:
    """Looks at everything that the configuration needs. Opens no device and changes nothing."""
    return (
        Finding("configuration", "valid"),
        *_environment(),
        *_places(config),
        _hub(config),
        *_authorities(config),
        *_user_sig(config),
        _camera(config),
        _microphone(config),
        _speaker(config),
        _voice(config),
        *_codecs(config),
        _tuning(config),
    )


def show(found: tuple[Finding, ...]) -> None:
    """Prints a table for people, and a line each where no terminal reads."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    if not console.is_terminal:
        sys.stdout.writelines("\t".join(_row(finding)) + "\n" for finding in found)
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("", "what", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in found:
        table.add_row(*_row(finding), style="" if finding.good else "red")
    console.print(table)


def _row(finding: Finding) -> tuple[str, str, str, str]:
    return ("ok" if finding.good else "missing", finding.what, finding.found, finding.advice)


def _environment() -> Iterator[Finding]:
    for name in unknown_variables(os.environ):
        yield Finding("environment", name, False, "there is no such key: see agent.toml")


def _places(config: Config) -> Iterator[Finding]:
    for what, path in (("socket", config.socket.parent), ("state_dir", config.state_dir)):
        nearest = next(parent for parent in (path, *path.parents) if _is_there(parent))
        good = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
        yield Finding(what, str(path), good, "" if good else f"make {nearest} writable, or configure another")


def _is_there(path: Path, *, unseen: bool = False) -> bool:
    """`unseen` where this user may not look."""
    try:
        return path.exists()
    except PermissionError:
        return unseen


def _hub(config: Config) -> Finding:
    address, _, port = config.hub_target.rpartition(":")
    host = address.strip("[]")
    try:
        line = socket.create_connection((host, int(port)), CONNECT_WITHIN)
    except (OSError, ValueError, OverflowError):
        advice = "start it (mediaagentd hub), or configure hub_target"
        return Finding("hub", f"{config.hub_target} does not answer", False, advice)
    with line:
        try:
            greet(line, _tls(config) if config.hub_tls else None, host)
        except GreetingError as error:
            return Finding("hub", f"{config.hub_target} {error}", False, error.advice)
        except OSError as error:  # of `hub_ca`
            return Finding("hub", f"{config.hub_target} takes connections", False, str(error))
    return Finding("hub", f"{config.hub_target} answers")


def _tls(config: Config) -> ssl.SSLContext:
    """Trusts whom the agent trusts. Raises: OSError."""
    from mediaagentd import configured

    known = configured.hub_authorities(config)()
    return ssl.create_default_context(cadata=known.decode("ascii", "ignore") if known else None)


def _authorities(config: Config) -> Iterator[Finding]:
    """The files that must be there for a start."""
    from mediaagentd import configured

    for key, path in (("hub_ca", config.hub_ca), ("turn_ca", config.turn_ca)):
        if path is None:
            continue
        try:
            configured.authority(key, path)
            yield Finding(key, str(path))
        except OSError as error:
            yield Finding(key, str(path), False, str(error).removeprefix(f"{key}: "))


def _user_sig(config: Config) -> Iterator[Finding]:
    """What the configured UserSig says; whether the hub takes it, only the hub knows."""
    if not config.user_id:
        return
    user_sig, now = config.user_sig.get_secret_value() or _stored(), time.time()
    advice = f"make one: mediaagentd usersig {config.user_id} --expire SECONDS"
    if not user_sig:
        advice = f"put it into {_CREDENTIAL} (only root sees whether it is there), or configure it"
        yield Finding("user_sig", "not seen", os.geteuid() != 0, advice)
        return
    try:
        claims = suited(user_sig, user_id=config.user_id, sdk_app_id=config.sdk_app_id)
    except Refused as refused:
        yield Finding("user_sig", refused.message, False, advice)
        return
    until = time.strftime("%Y-%m-%d", time.gmtime(min(claims.ends, _FAR)))
    if claims.ends < now:
        yield Finding("user_sig", f"expired on {until}", False, advice)
    elif ending(user_sig, now) is not None:
        yield Finding("user_sig", f"good until {until} only", advice=advice)
    else:
        yield Finding("user_sig", f"good until {until}")


def _stored() -> str:
    """The UserSig that systemd gives to the unit; empty where there is none, or not for us to see."""
    try:
        return _CREDENTIAL.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _camera(config: Config) -> Finding:
    from mediaagentd.media import devices
    from mediaagentd.media.types import VideoProfile

    name = devices.resolve_camera(config.camera)
    told = devices.shown(name) + (" (auto)" if config.camera == "auto" else "")
    try:
        if name != "none":
            devices.make_camera(name, VideoProfile.P720, "")
    except Refused:
        return Finding("camera", told, False, "there is none of that name: configure another camera")
    if name == "none" or name.startswith("synthetic") or ("://" in name and not name.startswith("file:")):
        return Finding("camera", told)
    path = Path(name.removeprefix("file:"))
    if not _is_there(path, unseen=True):
        return Finding("camera", told, False, "connect it, or configure another camera")
    if not os.access(path, os.R_OK):
        return Finding("camera", told, False, "let the daemon read it (group video)")
    if not (path.is_file() if name.startswith("file:") else path.is_char_device()):
        return Finding("camera", told, False, "it is no camera (a video is file:/path): configure another")
    return Finding("camera", told)


def _microphone(config: Config) -> Finding:
    from mediaagentd.media import devices

    name = devices.resolve_microphone(config.microphone)
    told = name + (" (auto)" if config.microphone == "auto" else "")
    try:
        devices.make_microphone(name)
    except Refused:
        return Finding("microphone", told, False, "there is none of that name; a tone has 20 to 20000 Hz")
    if name == "none" or name.startswith("synthetic"):
        return Finding("microphone", told)
    if name.startswith("file:"):
        good = os.access(name.removeprefix("file:"), os.R_OK)
        return Finding("microphone", told, good, "" if good else "let the daemon read that file")
    return _card("microphone", told, name, "input")


def _speaker(config: Config) -> Finding:
    from mediaagentd.media import devices

    name = devices.resolve_speaker(config.speaker)
    told = name + (" (auto)" if config.speaker == "auto" else "")
    if name in ("null", "none"):
        return Finding("speaker", told)
    if name.startswith("wav:"):
        good = os.access(Path(name.removeprefix("wav:")).parent, os.W_OK | os.X_OK)
        return Finding("speaker", told, good, "" if good else "make its directory, writable for the daemon")
    return _card("speaker", told, name, "output")


def _card(what: str, told: str, name: str, direction: Direction) -> Finding:
    from mediaagentd.media.capture import soundcard

    if soundcard.CARDS.has(direction, name):
        return Finding(what, told)
    if soundcard.CARDS.has(direction):
        return Finding(what, told, False, "there is none of that name: `python -m sounddevice` lists them")
    return Finding(what, told, False, "connect one; apt install libportaudio2")


def _voice(config: Config) -> Finding:
    """Echo cancellation and its kin: what the devices ask for, and whether the package is there."""
    from mediaagentd import configured
    from mediaagentd.media import devices
    from mediaagentd.media.voice import MISSING

    try:
        wish = configured.voice_wish(config)
    except ConfigError as error:
        key, _, rule = str(error).partition(": ")
        return Finding("voice", key, False, rule)
    wanted = wish.suited(
        configured.sound_style(config),
        from_card=devices.is_sound_card(devices.resolve_microphone(config.microphone)),
        to_card=devices.is_sound_card(devices.resolve_speaker(config.speaker)),
    )
    if not wanted:
        return Finding("voice", "sent as it is heard")
    good = configured.has_voice_processing()
    return Finding("voice", ", ".join(wanted.words), good, "" if good else MISSING)


def _codecs(config: Config) -> Iterator[Finding]:
    import av

    needed = [("Opus", "libopus"), *((name, _ENCODERS[name]) for name in config.video_codecs)]
    for name, encoder in needed:
        if encoder in av.codecs_available:
            yield Finding(f"codec {name}", encoder)
        else:
            yield Finding(f"codec {name}", f"no {encoder} in this PyAV", False, "install the wheel of av")


def _tuning(config: Config) -> Finding:
    """How video is encoded: configured, or measured at the first starts and kept."""
    from mediaagentd.media.codec import remembered

    if config.video_effort != "auto" or config.video_encoder != "auto":
        return Finding("encoding", f"{config.video_encoder} {config.video_effort} (configured)")
    choice = remembered.kept(config.state_dir)
    if choice is None:
        return Finding("encoding", "not measured yet: the first start does it")
    codecs = ", ".join(codec.value for codec in choice.codecs)
    encoder = f"{choice.tuning.h264} {choice.tuning.effort}"
    return Finding("encoding", f"{codecs}; {encoder}; holds {choice.highest.name[1:]}p (measured)")


_ENCODERS = {"H264": "libx264", "VP8": "libvpx"}
