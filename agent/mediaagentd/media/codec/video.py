"""One video encoder and one video decoder, blocking: for the codec threads, not for the event loop."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import av
import structlog
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from mediaagentd.media.capture.convert import converted
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.codec.live_rate import set_vpx_rate, set_x264_rate
from mediaagentd.media.codec.tuning import SOFTWARE, Tuning, options
from mediaagentd.media.rate import Cadence
from mediaagentd.media.types import VIDEO_CLOCK, Size, VideoCodec, VideoFrame

_log = structlog.stdlib.get_logger()

_TIME_BASE = Fraction(1, VIDEO_CLOCK)

DEFAULT = Tuning()

_NV12 = frozenset({"h264_qsv", "h264_v4l2m2m"})
"""Encoders that take the chroma planes interleaved."""

ENDLESS = 1_000_000
"""Pictures between two keyframes that nobody asked for."""

SAME_RATE = 0.05
"""A smaller change of the bitrate, as a share of it, is not worth the while."""

REBUILT_UP = 4.0
REBUILT_DOWN = 0.5
"""Seconds that an encoder lives at least before it is rebuilt for a higher, and for a lower, bitrate: each
time costs a keyframe.
"""


LARGEST = 4096 * 2304
"""Pixels of the largest picture that is decoded: H.264's level 5.2. A far end may name 16,384 by 16,384 and
send 14 bytes a picture, of which a decoder keeps 17 of 400 MB each.
"""


def rebuild_due(age: float, rate: int, wanted: int) -> bool:
    """Whether an encoder that began `age` seconds ago is to be rebuilt; rates in bits a second."""
    least = REBUILT_UP if wanted > rate else REBUILT_DOWN
    return age >= least and abs(wanted - rate) > SAME_RATE * rate


class VideoEncoder:
    """Encodes pictures of any size; a new size begins a new stream with a keyframe. `bitrate` in bits a
    second. Constant bitrate, no lookahead, keyframes only on request. Timestamps count from `origin`, an
    instant of `time.monotonic()`, so that streams that follow each other do not jump; without it from
    the first picture. `tuning` says by which encoder.
    """

    def __init__(
        self,
        codec: VideoCodec,
        fps: int,
        bitrate: int,
        origin: float | None = None,
        tuning: Tuning = DEFAULT,
    ) -> None:
        self.codec = codec
        self._tuning = tuning
        self._fps = fps
        self._cadence = Cadence(fps)
        self._pace = 1.0
        self._bitrate = self._wanted = bitrate
        self._buffer = _buffer(bitrate)
        self._began = -math.inf
        self._context: VideoCodecContext | None = None
        self._origin = origin
        self._pts = -1

    @property
    def bitrate(self) -> int:
        """Bits a second that are aimed at."""
        return self._wanted

    def set_bitrate(self, bitrate: int, pace: float = 1.0) -> None:
        """From the next picture on. Where only another encoder can do it (which costs a keyframe), with the
        next keyframe, or when `rebuild_due` says so. `pace`: the share of the pictures a second that shall
        come; fewer may. x264 counts pictures, not time (told to go by timestamps it holds each picture back
        until the next), so it is allowed more for each.
        """
        if pace != self._pace:
            self._pace = pace
            self._cadence.expect(pace)
        buffer = _buffer(bitrate)
        if self.codec is VideoCodec.H264:
            bitrate = round(bitrate / self._cadence.share)
        if _alike(bitrate, self._wanted) and _alike(buffer, self._buffer):
            return
        self._wanted, self._buffer = bitrate, buffer
        if self._context is None or self._follows(self._context, bitrate, buffer):
            self._bitrate = bitrate

    @staticmethod
    def _follows(context: VideoCodecContext, bitrate: int, buffer: int) -> bool:
        match context.codec.name:
            case "libx264":
                return set_x264_rate(context, bitrate, buffer)
            case "libvpx":
                return set_vpx_rate(context, bitrate)
            case _:  # of hardware: no way that could be tried
                return False

    def begin_anew(self) -> None:
        """After a failure: the next picture is a keyframe of a new stream, by an encoder of software."""
        self._context, self._tuning = None, replace(self._tuning, h264=SOFTWARE[VideoCodec.H264])

    def encode(self, picture: RawPicture, *, keyframe: bool) -> VideoFrame | None:
        """The encoded picture; None when the encoder left it out to keep its rate.

        Raises: av.FFmpegError when the library fails.
        """
        frame = picture.frame
        context = self._context
        if context is not None and self._rebuilds(picture.captured, keyframe=keyframe):
            _log.info("video_encoder_rebuilt", codec=self.codec.value, bitrate=self._wanted)
            context = None
        if context is None or (context.width, context.height) != (frame.width, frame.height):
            self._bitrate, self._began = self._wanted, picture.captured
            context = self._context = self._open(Size(frame.width, frame.height))
        self._cadence.note(picture.captured)
        pts = self._next_pts(picture.captured)
        with picture.guard:
            if context.pix_fmt != "yuv420p":
                frame = converted(frame, pixel_format=context.pix_fmt)
            frame.pts, frame.time_base = pts, _TIME_BASE
            frame.pict_type = PictureType.I if keyframe else PictureType.NONE
            packets = context.encode(frame)
        if not packets:
            return None
        data = b"".join(bytes(packet) for packet in packets)
        return VideoFrame(self.codec, data, pts, packets[0].is_keyframe, picture.captured)

    def _rebuilds(self, now: float, *, keyframe: bool) -> bool:
        age = math.inf if keyframe else now - self._began
        return rebuild_due(age, self._bitrate, self._wanted)

    def _next_pts(self, captured: float) -> int:
        if self._origin is None:
            self._origin = captured
        self._pts = max(self._pts + 1, round((captured - self._origin) * VIDEO_CLOCK))
        return self._pts

    def _open(self, size: Size) -> VideoCodecContext:
        name = self._tuning.encoder(self.codec)
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = size.width, size.height
        context.pix_fmt = "nv12" if name in _NV12 else "yuv420p"
        context.time_base, context.framerate = _TIME_BASE, Fraction(self._fps)
        context.bit_rate = self._bitrate // 1000 * 1000
        context.gop_size = ENDLESS
        context.thread_count = 1
        context.options = options(name, self._tuning.effort, context.bit_rate, self._buffer)
        context.open()
        return context


def _buffer(bitrate: int) -> int:
    """VBV buffer in bits: half a second, so that the rate is kept within about one second."""
    return bitrate // 2


def _alike(one: int, other: int) -> bool:
    return abs(one - other) <= SAME_RATE * other


class VideoDecoder:
    """Decodes the pictures of one stream; `frames` must begin with a keyframe."""

    def __init__(self, codec: VideoCodec) -> None:
        self.codec = codec
        context = av.CodecContext.create("h264" if codec is VideoCodec.H264 else "vp8", "r")
        assert isinstance(context, VideoCodecContext)
        context.options = {"max_pixels": str(LARGEST)}
        context.thread_count = 1
        context.flags |= av.codec.context.Flags.low_delay
        self._context = context

    def decode(self, frame: VideoFrame) -> RawPicture | None:
        """The picture; None when the decoder gives none. Raises: av.FFmpegError for damaged data
        and pictures beyond `LARGEST`.
        """
        packet = av.Packet(frame.data)
        packet.pts, packet.time_base = frame.pts, _TIME_BASE
        pictures = self._context.decode(packet)
        return RawPicture(pictures[-1], frame.captured) if pictures else None
