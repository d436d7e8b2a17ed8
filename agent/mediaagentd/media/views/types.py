"""What a view is, and what comes out of one (`mediaagent.v1`, view.proto)."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mediaagentd.media.types import Size, VideoCodec

LOCAL = ""
"""The user id that stands for the local camera."""

DEFAULT_JPEG_QUALITY = 85


class FrameFormat(enum.Enum):
    """How the pictures of a `frames` view are coded; the numbers are the contract's."""

    ENCODED = 1
    JPEG = 2
    I420 = 3


@dataclass(frozen=True, slots=True)
class FramesView:
    """A stream of pictures to the client. Sizes in pixels, 0 for the source's; `max_fps` 0 for all;
    `jpeg_quality` 1 to 100, 0 for `DEFAULT_JPEG_QUALITY`. ENCODED pictures come as they travel: no
    limit applies to them.
    """

    format: FrameFormat
    max_fps: float = 0.0
    max_width: int = 0
    max_height: int = 0
    jpeg_quality: int = 0


@dataclass(frozen=True, slots=True)
class WebrtcView:
    """A local web page receives the video over WebRTC."""

    offer_sdp: str


@dataclass(frozen=True, slots=True)
class WindowView:
    """A window or the bare display of the device; `display` as `sdl.driver_of` says."""

    display: str = ""
    fullscreen: bool = False


@dataclass(frozen=True, slots=True)
class FileView:
    """A recording; `path` is absolute."""

    path: str


ViewKind = FramesView | WebrtcView | WindowView | FileView


@dataclass(frozen=True, slots=True)
class View:
    """A named place that shows the video of `user_id`, of the local camera when that is `LOCAL`."""

    view_id: str
    user_id: str
    kind: ViewKind


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of a `frames` view.

    `codec` and `keyframe` are of an ENCODED picture, `size` of the others (an encoded one carries its
    own). `sequence` counts the pictures of this reader from 1, `dropped` those that it lost.
    `captured`: seconds since the epoch, of the capture or of the arrival from the far end.
    """

    data: bytes
    format: FrameFormat
    captured: float
    size: Size | None = None
    codec: VideoCodec | None = None
    keyframe: bool = False
    sequence: int = 0
    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One picture as a file: `media_type` is "image/png" or "image/jpeg"; `captured` as in `Picture`."""

    image: bytes
    media_type: str
    size: Size
    captured: float
