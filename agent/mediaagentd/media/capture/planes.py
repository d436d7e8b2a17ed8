"""The planes of a picture as arrays, without a copy."""

from __future__ import annotations

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

Plane = NDArray[np.uint8]


def plane(frame: VideoFrame, index: int) -> Plane:
    """Plane `index` of an 8-bit planar picture as (height, width); writing to it writes to the picture."""
    source = frame.planes[index]
    rows: Plane = np.frombuffer(source, np.uint8)  # type: ignore[call-overload] # a plane is a buffer
    return rows.reshape(-1, source.line_size)[: source.height, : source.width]


def luma_of(frame: VideoFrame) -> Plane:
    """The brightness of a planar picture as (height, width)."""
    return plane(frame, 0)
