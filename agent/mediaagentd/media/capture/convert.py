"""Pictures in another size or format; blocking."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Any, Final

import av
from av.video.reformatter import Interpolation, VideoReformatter

KEPT: Final = 4
"""Conversions for which a thread keeps what it has set up."""

_Conversion = tuple[int, int, str, int, int, str, Interpolation]


class _OfThread(threading.local):
    """The converters of this thread, the one used last behind the others."""

    def __init__(self) -> None:
        self.kept = OrderedDict[_Conversion, VideoReformatter]()


_OWN = _OfThread()


def converted(
    frame: av.VideoFrame,
    width: int | None = None,
    height: int | None = None,
    pixel_format: str | None = None,
    *,
    interpolation: Interpolation = Interpolation.BILINEAR,
    **colours: Any,
) -> av.VideoFrame:
    """The picture in that size and format; itself when it is so. `colours`: of PyAV's `VideoReformatter`.

    Not `frame.reformat`: that keeps one converter in the frame, for all threads that have the frame. The
    library works without the interpreter's lock, and two at once in one converter end the process. It also
    starts threads for each new converter; one picture in one thread takes less.
    """
    source = frame.width, frame.height, frame.format.name
    wanted = width or frame.width, height or frame.height, pixel_format or frame.format.name
    conversion = (*source, *wanted, interpolation)
    kept = _OWN.kept
    converter = kept.pop(conversion, None) or VideoReformatter()
    kept[conversion] = converter
    if len(kept) > KEPT:
        kept.popitem(last=False)
    return converter.reformat(frame, *wanted, interpolation=interpolation, threads=1, **colours)
