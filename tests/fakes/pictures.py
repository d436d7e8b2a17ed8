"""Pictures as files, read by tests."""

from __future__ import annotations

import io

import av
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of


def read_counter_in_image(image: bytes) -> int | None:
    """The number in a PNG or JPEG file; None when there is none. Raises: av.FFmpegError for other data."""
    with av.open(io.BytesIO(image), "r") as container:
        frame = next(container.decode(video=0))
    return read_counter(luma_of(frame.reformat(format="gray")))
