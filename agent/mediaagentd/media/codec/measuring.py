"""Measures what encoders take on this machine; blocking, under two seconds of CPU, in a thread of its own."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import time
from collections.abc import Iterator

import av
import numpy as np
import structlog

from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.codec.tuning import HARDWARE, SOFTWARE, Cost, Effort, Tuning
from mediaagentd.media.codec.video import VideoDecoder, VideoEncoder
from mediaagentd.media.priority import MEASURING, give_way
from mediaagentd.media.types import VideoCodec, VideoProfile

_log = structlog.stdlib.get_logger()

WARM_UP = 3
PICTURES = 24
SECONDS = 0.4
"""CPU that one encoder may take to be measured; a slow machine sees fewer pictures."""

LIKENESS = 20.0
"""Mean error in levels of luma beyond which an encoder of hardware is not trusted."""


def measure() -> list[Cost]:
    """Hardware that works, then software with every effort."""
    give_way(MEASURING)  # a call that begins meanwhile goes first
    scene = SyntheticCamera(VideoProfile.P720.size, VideoProfile.P720.fps)
    scene.open()
    pictures = [scene.picture(number * 3) for number in range(WARM_UP + PICTURES)]
    costs = [cost for codec, tuning in _candidates() if (cost := _cost(codec, tuning, pictures)) is not None]
    del scene, pictures
    _give_back()
    return costs


def _give_back() -> None:
    """Returns to the system what was needed once: 80 MiB, measured. Pictures go with the cycles that hold
    them, and the C library keeps what it is given back unless it is asked.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # a C library without it
        ctypes.CDLL(None).malloc_trim(0)


def _candidates() -> Iterator[tuple[VideoCodec, Tuning]]:
    for name in HARDWARE:
        if name in av.codecs_available:
            yield VideoCodec.H264, Tuning(name)
    for codec, name in SOFTWARE.items():
        if name in av.codecs_available:
            for effort in Effort:
                yield codec, Tuning(effort=effort)


def _cost(codec: VideoCodec, tuning: Tuning, pictures: list[RawPicture]) -> Cost | None:
    """None for an encoder that does not work."""
    try:
        return _measured(codec, tuning, pictures)
    except (av.FFmpegError, OSError, ValueError) as error:
        _log.debug("encoder_unusable", encoder=tuning.encoder(codec), error=str(error))
        return None


def _measured(codec: VideoCodec, tuning: Tuning, pictures: list[RawPicture]) -> Cost | None:
    """None for an encoder of hardware that delays pictures or spoils them."""
    name, profile = tuning.encoder(codec), VideoProfile.P720
    encoder = VideoEncoder(codec, profile.fps, profile.bitrate, tuning=tuning)
    decoder = VideoDecoder(codec)
    encoding = decoding = 0.0
    done, begun = 0, time.thread_time()
    for number, picture in enumerate(pictures):
        before = time.thread_time()
        frame = encoder.encode(RawPicture(picture.frame, number / profile.fps), keyframe=number == 0)
        between = time.thread_time()
        seen = decoder.decode(frame) if frame is not None else None
        if name in HARDWARE and (seen is None or not _alike(seen, picture)):
            return None
        if number >= WARM_UP:
            encoding += between - before
            decoding += time.thread_time() - between
            done += 1
            if time.thread_time() - begun > SECONDS:
                break
    return Cost(name, tuning.effort, encoding / done * 1000, decoding / done * 1000)


def _alike(seen: RawPicture, original: RawPicture) -> bool:
    one, two = luma_of(seen.frame), luma_of(original.frame)
    return one.shape == two.shape and bool(np.abs(one.astype(np.int16) - two).mean() < LIKENESS)
