"""The local streams: camera, microphone and their encoders, started and stopped as the router says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial

import structlog

from mediaagentd.errors import Refused
from mediaagentd.lending import hand_over
from mediaagentd.media.capture.errors import failed
from mediaagentd.media.capture.types import Captured, CaptureSink, Lost, PictureSink, RawSound, VideoSource
from mediaagentd.media.codec.opus import OpusEncoder
from mediaagentd.media.codec.shared import SharedEncoder
from mediaagentd.media.codec.video import VideoEncoder
from mediaagentd.media.devices import Hardware
from mediaagentd.media.grading import Shape, Stream
from mediaagentd.media.listening import Listening
from mediaagentd.media.passage import Passage
from mediaagentd.media.playout.processing import Unprocessed, VoiceProcessor
from mediaagentd.media.router import Plan
from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.stamps import Stamps
from mediaagentd.media.types import (
    AUDIO_CLOCK,
    AUDIO_FRAME,
    UNKNOWN_LOSS,
    UNSAID,
    VIDEO_CLOCK,
    AudioFrame,
    Hearing,
    SoundStyle,
    VideoCodec,
    VideoFrame,
    VideoProfile,
)
from mediaagentd.media.voice import Processing
from mediaagentd.media.workers import Workers

_log = structlog.stdlib.get_logger()

PASSED = Stream(VideoCodec.H264)
"""The stream that a camera may encode itself."""

BLOCK = AUDIO_FRAME / AUDIO_CLOCK
"""Seconds of a block, which is complete when its last sample is: a timestamp is that of the first."""


class LocalStreams:
    """On the event loop; devices are opened, probed and closed in one thread for each kind, in order.

    `camera_lost` is called when a running camera has stopped for good, not when one cannot be opened;
    `microphone_lost` and `microphone_found` as `Listening` says.
    """

    def __init__(
        self,
        settings: MediaSettings,
        workers: Workers,
        hardware: Hardware,
        *,
        on_video: Callable[[Stream, VideoFrame], None],
        on_audio: Callable[[AudioFrame], None],
        camera_lost: Callable[[Refused], None],
        microphone_lost: Callable[[Refused], None],
        microphone_found: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._workers = workers
        self._on_video = on_video
        self._camera_lost = camera_lost
        self._loop = asyncio.get_running_loop()
        self._hardware = hardware
        self._cameras = hardware.cameras
        self._probing: asyncio.Future[None] | None = None
        self._origin = time.monotonic()
        self._names = (settings.camera, settings.microphone)
        self._profile = settings.profile
        self.codecs = settings.video_codecs
        """In order of preference."""
        self.tuning = settings.tuning
        """How the encoders that are made from now on encode."""
        self._camera: VideoSource | None = None
        self._encoders: dict[Stream, SharedEncoder] = {}
        self._takers: tuple[PictureSink, ...] = ()
        self._sinks: tuple[PictureSink, ...] = ()
        self._passage = Passage(settings.profile)
        self._passing = self._leaving = False
        self._passed = -1
        self._allowed = settings.profile.bitrate
        self.is_camera_lost: Callable[[], bool] = lambda: False
        """Whether there is no camera, on purpose."""
        self._sound = _SoundEncoder(settings.sound, self._origin, self._loop, on_audio)
        self._listening = Listening(
            hardware.microphones,
            make=lambda: hardware.microphone(self._names[1], stereo=settings.sound.stereo),
            take=self._sound.take,
            lost=microphone_lost,
            found=microphone_found,
        )

    @property
    def names(self) -> tuple[str, str]:
        """Names of camera and microphone, `auto` resolved once `use` was called."""
        return self._names

    def use(self, names: tuple[str, str], processor: VoiceProcessor) -> None:
        """Camera and microphone from now on, and what the microphone's sound passes on its way to the
        encoder. A camera of another name that runs is stopped, `apply` starts the new one.
        """
        if names[0] != self._names[0]:
            self._stop_camera()
        self._names, self._sound.processor = names, processor

    @property
    def processing(self) -> Processing:
        """What is done to our voice."""
        return self._sound.processor.does

    async def probe(self) -> None:
        """Raises: Refused when the camera does not work. Who asks meanwhile gets the same answer."""
        if self.is_camera_lost():
            raise camera_lost()
        if self._probing is None or self._probing.done():
            source = self._camera or self._make_camera()
            self._probing = self._loop.run_in_executor(self._cameras, source.probe)
        await asyncio.shield(self._probing)

    def set_profile(self, profile: VideoProfile) -> None:
        """For what is started from now on; what runs is stopped, `apply` starts it anew."""
        if profile is self._profile:
            return
        self._profile = profile
        self._stop_camera()
        self._close_encoders(frozenset())

    def apply(self, plan: Plan, sinks: tuple[PictureSink, ...]) -> None:
        """Runs what the plan says; `sinks` get the raw pictures."""
        self._close_encoders(plan.encoders)
        for stream in plan.encoders - self._encoders.keys():
            encoder = VideoEncoder(
                stream.codec, self._profile.fps, self._profile.bitrate, self._origin, self.tuning
            )
            deliver = partial(self._on_encoded, stream)
            self._encoders[stream] = SharedEncoder(encoder, self._workers, self._loop, deliver)
        self._sinks = sinks
        if PASSED not in plan.encoders:
            self._passing = self._leaving = False
        self._retake()
        if plan.capture and self._camera is None:
            self._start_camera()
        elif not plan.capture:
            self._stop_camera()
        self._listening.want(plan.microphone)

    def want_keyframe(self, stream: Stream) -> None:
        """Of that encoder, with one of its next pictures: many requests become one."""
        if stream in self._encoders:
            self._encoders[stream].request_keyframe()

    def set_rate(self, stream: Stream, bitrate: int, shape: Shape) -> None:
        """Of that encoder, if it runs; bits a second."""
        if stream in self._encoders:
            self._encoders[stream].set_rate(bitrate, shape)
        if stream == PASSED:
            self._allowed = bitrate

    def set_hearers(self, loss: float, hearing: Hearing) -> None:
        """The fraction of sound, 0 to 1, that its encoder is to expect to be lost, and how it is heard."""
        self._sound.heard = (loss, hearing)

    @property
    def shown(self) -> Stream:
        """Of the streams, the one that local views get: the largest in the codec that comes first."""
        codecs = self.codecs
        running = (Stream(codec) for codec in codecs if Stream(codec) in self._encoders)
        return next(running, Stream(codecs[0]))

    @property
    def streams(self) -> frozenset[Stream]:
        """What is being encoded."""
        return frozenset(self._encoders)

    def close(self) -> tuple[Future[None], ...]:
        """Stops everything; the results come when the devices are closed."""
        self.apply(Plan(), ())
        microphones = self._hardware.microphones
        done = self._cameras.submit(lambda: None), microphones.submit(self._sound.close)
        self._cameras.shutdown(wait=False)
        microphones.shutdown(wait=False)
        return done

    def _make_camera(self) -> VideoSource:
        if self.is_camera_lost():
            raise camera_lost()
        name, label = self._names[0], self._settings.label
        return self._hardware.camera(name, self._profile, label, lambda: bool(self._takers))

    def _start_camera(self) -> None:
        try:
            source = self._make_camera()
        except Refused as refused:
            self._loop.call_soon(self._camera_lost, refused)
            return
        self._camera = source
        self._passage = Passage(self._profile)

        def lost(refused: Refused) -> None:
            self._loop.call_soon_threadsafe(self._on_lost, source, refused)

        def take(captured: Captured) -> None:
            """In the camera's thread; a camera that is being stopped may still deliver."""
            if self._camera is not source:
                return
            if isinstance(captured, VideoFrame):
                hand_over(self._loop, self._on_passing, source, captured)
                return
            for taker in self._takers:
                taker(captured)

        self._cameras.submit(_begin, source, take, lost)

    def _retake(self) -> None:
        """Who gets raw pictures: nobody for a stream that the camera encodes itself."""
        passed = self._passing and not self._leaving
        offers = [each.offer for stream, each in self._encoders.items() if not (passed and stream == PASSED)]
        self._takers = (*offers, *self._sinks)

    def _on_passing(self, source: VideoSource, frame: VideoFrame) -> None:
        """What the camera has encoded itself. It takes the encoder's place at a keyframe."""
        if self._camera is not source:
            return
        fits = self._passage.look(frame, self._allowed)
        if PASSED not in self._encoders:
            return
        if fits and (self._leaving or (frame.keyframe and not self._passing)):
            _log.info("camera_passes")
            self._passing, self._leaving = True, False
            self._retake()
        elif not fits and self._passing and not self._leaving:
            _log.info("camera_is_encoded")
            self._leaving = True
            self._encoders[PASSED].request_keyframe()
            self._retake()
        if self._passing:
            self._passed = round((frame.captured - self._origin) * VIDEO_CLOCK)
            self._on_video(PASSED, frame._replace(pts=self._passed))

    def _on_encoded(self, stream: Stream, frame: VideoFrame) -> None:
        """What an encoder gives. It takes the camera's place at a keyframe likewise."""
        if stream == PASSED and self._passing:
            if not (self._leaving and frame.keyframe):
                return
            self._passing = self._leaving = False
        if stream == PASSED and frame.pts <= self._passed:
            # It was captured before the camera's last one came.
            self._passed += 1
            frame = frame._replace(pts=self._passed)
        self._on_video(stream, frame)

    def _stop_camera(self) -> None:
        self._passing = self._leaving = False
        source, self._camera = self._camera, None
        if source is not None:
            self._cameras.submit(source.stop)

    def _on_lost(self, source: VideoSource, refused: Refused) -> None:
        if self._camera is source:
            self._stop_camera()
            self._camera_lost(refused)

    def _close_encoders(self, keep: frozenset[Stream]) -> None:
        for stream in self._encoders.keys() - keep:
            self._encoders.pop(stream).close()


def _begin(source: VideoSource, take: CaptureSink, lost: Lost) -> None:
    """In the thread of the cameras, which would keep what goes wrong there to itself."""
    try:
        source.start(take, lost)
    except Exception as error:
        _log.exception("camera_not_started")
        lost(failed("camera", f"{type(error).__name__}: {error}"))


def camera_lost() -> Refused:
    """What a camera says that was taken away on purpose."""
    return failed("camera", "it is lost, on purpose")


class _SoundEncoder:
    """Sound to Opus in the microphone's own thread: it takes 0.2 ms."""

    def __init__(
        self,
        style: SoundStyle,
        origin: float,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[AudioFrame], None],
    ) -> None:
        self._style = style
        self._origin = origin
        self._loop = loop
        self._deliver = deliver
        self._encoder: OpusEncoder | None = None
        self._stamps = Stamps()
        self.processor: VoiceProcessor = Unprocessed()
        self.heard = self._adapted_to = (UNKNOWN_LOSS, UNSAID)

    def take(self, sound: RawSound) -> None:
        """Encodes 20 ms and hands them to the loop."""
        sound = self.processor.heard(sound)
        stamp = self._stamps.next(round((sound.captured - self._origin) * AUDIO_CLOCK))
        if stamp is None:
            return
        channels = sound.samples.ndim  # one has no second dimension
        if self._encoder is None or self._encoder.channels != channels:
            self.close()
            self._encoder = OpusEncoder(self._style, channels)
            self._encoder.adapt(*self.heard)
        if self.heard != self._adapted_to:
            self._adapted_to = self.heard
            self._encoder.adapt(*self._adapted_to)
        captured = self._origin + (stamp + self._stamps.usual) / AUDIO_CLOCK - BLOCK
        frame = AudioFrame(self._encoder.encode(sound.samples), stamp, captured)
        hand_over(self._loop, self._deliver, frame)

    def close(self) -> None:
        """Frees the encoder."""
        if self._encoder is not None:
            self._encoder.close()
            self._encoder = None
