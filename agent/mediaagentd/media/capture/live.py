"""Cameras whose pictures come when they come: V4L2 devices and network cameras.

One that encodes H.264 itself hands out what it encoded, and pictures only while somebody wants any.
"""

from __future__ import annotations

import stat
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import structlog
from av.container import InputContainer

from mediaagentd.errors import Refused
from mediaagentd.media.capture.container import as_picture, open_container
from mediaagentd.media.capture.errors import NO_CAMERA, check_readable, failed, from_os_error, not_found
from mediaagentd.media.capture.types import Captured, RawPicture
from mediaagentd.media.codec import h264
from mediaagentd.media.rate import RateBudget
from mediaagentd.media.settings import without_credentials
from mediaagentd.media.types import VideoCodec, VideoFrame, VideoProfile

_log = structlog.stdlib.get_logger()

DAMAGED = 60
"""Pictures in a row that cannot be decoded, after which the camera has failed. One is left out: a cable gives
one now and then, and opening a camera takes a second or two.
"""


class LiveCamera(ABC):
    """A `VideoReader`: `open_device` says from where. `raw_wanted` is asked for each packet whether somebody
    wants pictures; without it everybody does, and nothing that is encoded is handed out.
    """

    def __init__(
        self, name: str, profile: VideoProfile, raw_wanted: Callable[[], bool] | None = None
    ) -> None:
        self._name = name
        self._profile = profile
        self._raw_wanted = raw_wanted
        self._container: InputContainer | None = None
        self._packets: Iterator[av.Packet[av.VideoStream]] = iter(())
        self._sets = b""
        self._passes = self._borrowed = False
        self._decoding = True
        self._ready: deque[Captured] = deque()
        self._budget = RateBudget(profile.fps)
        self._damaged = 0
        self._told = False

    @abstractmethod
    def open_device(self) -> InputContainer:
        """Opens it. Raises: Refused."""

    def open(self) -> None:
        """See `VideoReader.open`."""
        self._container = self.open_device()
        if not self._container.streams.video:
            raise failed(self._name, "there is no picture in it")
        stream = self._container.streams.video[0]
        context = stream.codec_context
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.low_delay
        self._borrowed = context.name == "rawvideo"
        self._passes = self._raw_wanted is not None and context.name == "h264"
        sets = h264.units(context.extradata or b"")
        self._sets = b"".join(b"\0\0\0\1" + unit for unit in sets if h264.kind(unit) in (h264.SPS, h264.PPS))
        self._packets = self._container.demux(stream)

    def read(self, stopping: threading.Event) -> Captured | None:
        """See `VideoReader.read`; leaves out pictures beyond the profile's rate."""
        while not stopping.is_set():
            if self._ready:
                return self._ready.popleft()
            try:
                self._receive(next(self._packets))
            except StopIteration:
                raise failed(self._name, "it ended") from None
            except OSError as error:
                raise from_os_error(self._name, error) from None
            except av.FFmpegError as error:
                raise failed(self._name, str(error)) from None
        return None

    def close(self) -> None:
        """See `VideoReader.close`."""
        if self._container is not None:
            self._container.close()

    def _receive(self, packet: av.Packet[av.VideoStream]) -> None:
        if not packet.size:  # what the driver marks as damaged; a decoder takes it for the end
            return
        keyframe = True
        if self._passes:
            encoded = self._encoded(bytes(packet), time.monotonic())
            keyframe = encoded.keyframe
            self._ready.append(encoded)
        if self._decodes(packet, keyframe):
            try:
                self._decode(packet)
            except (av.FFmpegError, ValueError) as error:
                self._leave_out(str(error))

    def _decode(self, packet: av.Packet[av.VideoStream]) -> None:
        for frame in packet.decode():
            now = time.monotonic()
            if self._budget.allows(now):
                # One that is not compressed is the driver's memory, which goes when the device is closed.
                picture = as_picture(frame, self._profile.size, copy=self._borrowed)
                self._ready.append(RawPicture(picture, now))
            self._damaged = 0

    def _leave_out(self, why: str) -> None:
        """A damaged picture. Raises: Refused for one too many in a row."""
        self._damaged += 1
        if self._damaged >= DAMAGED:
            raise failed(self._name, why)
        if not self._told:
            self._told = True
            _log.info("camera_picture_damaged", camera=self._name, error=why)

    def _decodes(self, packet: av.Packet[av.VideoStream], keyframe: bool) -> bool:
        """Whether this packet is decoded. A decoder that was left out begins at a keyframe."""
        if not self._passes or self._raw_wanted is None:
            return True
        if not self._raw_wanted():
            self._decoding = False
        elif not self._decoding and keyframe:
            packet.stream.codec_context.flush_buffers()
            self._decoding = True
        return self._decoding

    def _encoded(self, data: bytes, now: float) -> VideoFrame:
        """The access unit, with parameter sets in front of a keyframe; its pts is given to it later."""
        kinds = {h264.kind(unit) for unit in h264.units(data)}
        keyframe = h264.IDR in kinds
        if keyframe and h264.SPS not in kinds:
            data = self._sets + data
        return VideoFrame(VideoCodec.H264, data, 0, keyframe, now)


class V4l2Camera(LiveCamera):
    """A camera of this machine, for example `/dev/video0`. Webcams give 30 pictures a second at 720p
    as MJPEG, a few as H.264; one without either is asked for what it has.
    """

    def __init__(
        self, path: Path, profile: VideoProfile, raw_wanted: Callable[[], bool] | None = None
    ) -> None:
        super().__init__(str(path), profile, raw_wanted)
        self._path = path

    def open_device(self) -> InputContainer:
        """See `LiveCamera.open_device`."""
        check_readable(self._path)
        if not stat.S_ISCHR(self._path.stat().st_mode):
            raise not_found(f"{self._path} is not a camera")
        size = self._profile.size
        options = {"video_size": f"{size.width}x{size.height}", "framerate": str(self._profile.fps)}
        for coding in ("mjpeg",) if self._raw_wanted is None else ("h264", "mjpeg"):
            try:
                return self._open(options | {"input_format": coding})
            except Refused:  # it does not have that one
                continue
        return self._open(options)

    def _open(self, options: dict[str, str]) -> InputContainer:
        return open_container(
            str(self._path), str(self._path), code=NO_CAMERA, container_format="v4l2", options=options
        )


class NetworkCamera(LiveCamera):
    """A camera with a URL: RTSP over TCP, or whatever else FFmpeg reads from a network."""

    def __init__(self, url: str, profile: VideoProfile, raw_wanted: Callable[[], bool] | None = None) -> None:
        super().__init__(without_credentials(url), profile, raw_wanted)
        self._url = url

    def open_device(self) -> InputContainer:
        """See `LiveCamera.open_device`."""
        # Not `fflags=nobuffer`: it throws away the packets that were probed, the first keyframe with them,
        # and some cameras send the next one after ten seconds.
        options = {"analyzeduration": "300000", "fpsprobesize": "0"}
        if self._url.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"
        return open_container(self._name, self._url, code=NO_CAMERA, options=options)
