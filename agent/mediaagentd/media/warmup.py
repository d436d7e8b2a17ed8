"""What is slow the first time is done once before the first call: it would cost that call a third of a
second until its first picture.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor

import av
import numpy as np
import structlog

from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.codec.opus import OpusDecoder, OpusEncoder
from mediaagentd.media.codec.video import VideoDecoder, VideoEncoder
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import (
    AUDIO_FRAME,
    AudioFrame,
    Feedback,
    VideoCodec,
    VideoFrame,
    VideoProfile,
)

_log = structlog.stdlib.get_logger()


class _Nobody:
    """Observes a peer that is never connected."""

    def on_connected(self) -> None: ...
    def on_closed(self, reason: str, *, by_far_end: bool = False) -> None: ...
    def on_candidate(self, candidate: str, mid: str) -> None: ...
    def on_video(self, frame: VideoFrame) -> None: ...
    def on_audio(self, frame: AudioFrame) -> None: ...
    def on_keyframe_request(self) -> None: ...
    def on_feedback(self, feedback: Feedback) -> None: ...
    def on_audio_loss(self, loss: float) -> None: ...


async def warm_up(
    executor: Executor, codecs: tuple[VideoCodec, ...], profile: VideoProfile, camera: str
) -> None:
    """Touches codecs, scene and WebRTC once; a failure is left to the call to find."""
    began = time.monotonic()
    loop = asyncio.get_running_loop()
    try:
        await loop.run_in_executor(executor, _warm_media, codecs[0], profile, camera)
        peer = Peer(ice_servers=(), video_codecs=codecs, observer=_Nobody())
        await peer.close()
    except RuntimeError:  # the executor is shut down: the engine stops
        return
    except Exception as error:
        _log.warning("media_warm_up_failed", error=repr(error))
    _log.debug("media_warm", seconds=round(time.monotonic() - began, 3))


def _warm_media(codec: VideoCodec, profile: VideoProfile, camera: str) -> None:
    if camera.startswith("synthetic"):
        source = SyntheticCamera(profile.size, profile.fps)
        source.open()
        picture = source.picture(0)
    else:
        picture = RawPicture(av.VideoFrame(320, 240, "yuv420p"), time.monotonic())
    frame = VideoEncoder(codec, profile.fps, profile.bitrate).encode(picture, keyframe=True)
    if frame is not None:
        VideoDecoder(codec).decode(frame)
    sound = OpusEncoder().encode(np.zeros(AUDIO_FRAME, np.int16))
    OpusDecoder().decode(sound)
