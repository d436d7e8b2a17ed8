"""Which camera, microphone and speaker: what there is, and what a configured name means."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import structlog

from mediaagentd.media.capture import soundcard
from mediaagentd.media.capture.camera import ThreadedCamera
from mediaagentd.media.capture.clapper import ClappingCamera, ClappingMicrophone
from mediaagentd.media.capture.container import (
    FileCamera,
    FileMicrophone,
)
from mediaagentd.media.capture.errors import NO_MICROPHONE, not_found
from mediaagentd.media.capture.live import NetworkCamera, V4l2Camera
from mediaagentd.media.capture.microphone import SoundCardReader, ThreadedMicrophone
from mediaagentd.media.capture.synthetic import SyntheticCamera, SyntheticMicrophone
from mediaagentd.media.capture.types import AudioReader, AudioSource, VideoReader, VideoSource
from mediaagentd.media.settings import without_credentials
from mediaagentd.media.types import VideoProfile

log = structlog.stdlib.get_logger()

NETWORK_PATIENCE = 15.0
"""Seconds in which a network camera is opened again before it is told lost."""

DEVICE_PATIENCE = 3.0
"""The same of a camera of this machine."""


NOTHING_REAL = ("synthetic", "null")
"""What `auto` stands for where there is no device."""


def plugged_in() -> tuple[str, ...]:
    """What is there of cameras and sound cards, told so quickly that one may ask again and again: it changes
    when something is plugged in.
    """
    return (soundcard.present(), *sorted(str(node) for node in Path("/dev").glob("video*")))


def cameras() -> tuple[str, ...]:
    """Paths of this machine's cameras, lasting names (`/dev/v4l/by-id/...`) where there are any.

    A camera has further nodes for metadata; udev tells which ones capture.
    """
    try:
        import pyudev

        devices = list(pyudev.Context().list_devices(subsystem="video4linux"))
    except (ImportError, OSError) as error:  # no libudev: rare, and no reason not to start
        log.info("media.devices.no_udev", error=str(error))
        return ()
    paths = []
    for device in devices:
        if ":capture:" in device.get("ID_V4L_CAPABILITIES", "") and device.device_node:
            links = sorted(link for link in device.device_links if "/by-id/" in link)
            paths.append(links[0] if links else str(device.device_node))
    return tuple(sorted(paths))


def is_sound_card(name: str) -> bool:
    """Whether that microphone or speaker is a real one: not a file, a tone, nothing."""
    return not name.startswith(("synthetic", "none", "null", "file:", "wav:"))


def resolve_camera(name: str) -> str:
    """What `auto` stands for: the first real camera, else `synthetic`. Asks udev: not for the loop."""
    return next(iter(cameras()), "synthetic") if name == "auto" else name


def resolve_microphone(name: str) -> str:
    """What `auto` stands for: `default` where there is a microphone, else `synthetic`."""
    if name != "auto":
        return name
    return "default" if soundcard.CARDS.has("input") else "synthetic"


def resolve_speaker(name: str) -> str:
    """What `auto` stands for: `default` where there is a speaker, else `null`."""
    if name != "auto":
        return name
    return "default" if soundcard.CARDS.has("output") else "null"


def shown(name: str) -> str:
    """A device's name fit to be shown: a camera's URL without its password."""
    return without_credentials(name)


def make_camera(
    name: str, profile: VideoProfile, label: str, raw_wanted: Callable[[], bool] | None = None
) -> VideoSource:
    """The camera of a resolved name; `raw_wanted` as `LiveCamera` says.

    Raises: Refused DEVICE_NOT_FOUND for `none` and unknown names.
    """
    factory: Callable[[], VideoReader]
    patience = DEVICE_PATIENCE
    if name == "synthetic":
        factory = lambda: SyntheticCamera(profile.size, profile.fps, label)  # noqa: E731 # one of six alike
    elif name == "synthetic:clap":
        factory = lambda: ClappingCamera(profile.size, profile.fps, label)  # noqa: E731
    elif name.startswith("file:"):
        factory = lambda: FileCamera(Path(name.removeprefix("file:")), profile)  # noqa: E731
    elif name.startswith("/"):
        factory = lambda: V4l2Camera(Path(name), profile, raw_wanted)  # noqa: E731
    elif "://" in name:
        patience = NETWORK_PATIENCE
        factory = lambda: NetworkCamera(name, profile, raw_wanted)  # noqa: E731
    else:
        raise not_found(f"camera {name!r}")
    return ThreadedCamera(factory, shown(name), patience=patience)


def make_microphone(name: str, *, stereo: bool = False) -> AudioSource | None:
    """The microphone of a resolved name, of two channels when `stereo` is wanted and it has them; None for
    `none`. Raises: Refused DEVICE_NOT_FOUND for a tone that is no number.
    """
    factory: Callable[[], AudioReader]
    if name == "none":
        return None
    if name == "synthetic":
        factory = SyntheticMicrophone
    elif name == "synthetic:clap":
        factory = ClappingMicrophone
    elif name.startswith("synthetic:"):
        hertz = _hertz(name)
        factory = lambda: SyntheticMicrophone(hertz)  # noqa: E731
    elif name.startswith("file:"):
        factory = lambda: FileMicrophone(Path(name.removeprefix("file:")), stereo=stereo)  # noqa: E731
    else:
        factory = lambda: SoundCardReader(name, stereo=stereo)  # noqa: E731
    return ThreadedMicrophone(factory, name)


class MakeMicrophone(Protocol):
    """`make_microphone`, or another's."""

    def __call__(self, name: str, *, stereo: bool = False) -> AudioSource | None:
        """See there."""


@dataclass(frozen=True, slots=True)
class Hardware:
    """Where cameras and microphones come from, and the threads in which each kind is opened, probed and
    closed, one after the other: a camera that does not answer holds up no microphone.
    """

    cameras: Executor
    microphones: Executor
    camera: Callable[[str, VideoProfile, str, Callable[[], bool]], VideoSource] = make_camera
    microphone: MakeMicrophone = make_microphone


def _hertz(name: str) -> float:
    try:
        hertz = float(name.removeprefix("synthetic:"))
    except ValueError:
        raise not_found(f"microphone {name!r}", NO_MICROPHONE) from None
    if not 20 <= hertz <= 20_000:
        raise not_found(f"microphone {name!r}: a tone has 20 to 20000 Hz", NO_MICROPHONE)
    return hertz
