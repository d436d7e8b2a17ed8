"""Streams share the codec threads: whoever has much to do gives way after each picture."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial

import pytest
from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.capture.types import RawPicture
from mediaagentd.media.codec.shared import SharedDecoder, SharedEncoder
from mediaagentd.media.codec.video import VideoEncoder
from mediaagentd.media.types import Size, VideoCodec, VideoFrame
from mediaagentd.media.workers import WorkerThreads

PATIENCE = 10.0
SIZE = Size(64, 48)
MANY = 20


class Counted(WorkerThreads):
    """Says how often work was handed to it."""

    handed = 0

    def do(self, work: Callable[[], object]) -> None:
        self.handed += 1
        super().do(work)


class Slow(VideoEncoder):
    """While it encodes, the camera's next picture comes, `MANY` in all; `seen` is told before each."""

    def __init__(self, seen: Callable[[int], object]) -> None:
        super().__init__(VideoCodec.VP8, 30, 100_000)
        self.shared: SharedEncoder
        self._seen, self._count = seen, 0

    def encode(self, picture: RawPicture, *, keyframe: bool) -> VideoFrame | None:
        self._count += 1
        self._seen(self._count)
        if self._count < MANY:
            self.shared.offer(raw(self._count))
        return super().encode(picture, keyframe=keyframe)


def hold(worker: WorkerThreads) -> threading.Event:
    """Its only thread waits until that is set."""
    going, may_go = threading.Event(), threading.Event()

    def wait() -> None:
        going.set()
        may_go.wait(PATIENCE)

    worker.do(wait)
    assert going.wait(PATIENCE)
    return may_go


def raw(number: int) -> RawPicture:
    return RawPicture(SyntheticCamera(SIZE, 30).picture(number).frame, number / 30)


def encoded(count: int) -> list[VideoFrame]:
    encoder = VideoEncoder(VideoCodec.VP8, 30, 100_000)
    frames = [encoder.encode(raw(number), keyframe=False) for number in range(count)]
    return [frame for frame in frames if frame is not None]


def slow(workers: WorkerThreads, seen: Callable[[int], object]) -> SharedEncoder:
    encoder = Slow(seen)
    encoder.shared = SharedEncoder(encoder, workers, asyncio.get_running_loop(), lambda _: None)
    return encoder.shared


async def test_an_encoder_that_always_has_a_picture_gives_way_after_each() -> None:
    order: list[str] = []
    done = threading.Event()
    with WorkerThreads(1, "codec") as worker:

        def seen(number: int) -> None:
            order.append(f"picture {number}")
            if number in (1, 7):
                worker.do(partial(order.append, f"somebody else's in {number}"))
            if number == MANY:
                done.set()

        slow(worker, seen).offer(raw(0))
        assert await asyncio.to_thread(done.wait, PATIENCE)
    assert order[:4] == ["picture 1", "somebody else's in 1", "picture 2", "picture 3"]
    assert order.index("somebody else's in 7") == order.index("picture 7") + 1
    assert order[-1] == f"picture {MANY}"


async def test_where_nobody_else_waits_an_encoder_keeps_its_thread() -> None:
    with Counted(1, "codec") as worker:
        done = threading.Semaphore(0)
        slow(worker, lambda _: done.release()).offer(raw(0))
        for _ in range(MANY):
            assert await asyncio.to_thread(done.acquire, timeout=PATIENCE)
        assert worker.handed == 1


def test_a_decoder_with_much_to_catch_up_gives_way_after_each_picture() -> None:
    order: list[str] = []
    frames, done = encoded(3), threading.Event()

    def sink(picture: RawPicture) -> None:
        order.append(f"{picture.captured:.2f}")
        if len(order) == 4:
            done.set()

    with WorkerThreads(1, "codec") as worker:
        may_go = hold(worker)
        decoder = SharedDecoder(worker, lambda: pytest.fail("no keyframe is needed"))
        decoder.set_sinks((sink,))
        for frame in frames:
            decoder.push(frame)
        worker.do(lambda: order.append("somebody else's"))
        may_go.set()
        assert done.wait(PATIENCE)
    assert order == ["0.00", "somebody else's", "0.03", "0.07"]


def test_each_stream_is_in_order_and_in_one_thread_at_a_time() -> None:
    frames = encoded(MANY)
    with Counted(2, "codec") as workers:
        seen: list[list[float]] = [[] for _ in range(4)]
        inside, left = [threading.Lock() for _ in seen], threading.Semaphore(0)

        def sink(number: int, picture: RawPicture) -> None:
            assert inside[number].acquire(blocking=False), "two threads in one decoder"
            seen[number].append(picture.captured)
            inside[number].release()
            left.release()

        decoders = [SharedDecoder(workers, lambda: pytest.fail("a picture went wrong")) for _ in seen]
        for number, decoder in enumerate(decoders):
            decoder.set_sinks((partial(sink, number),))
        for frame in frames:
            for decoder in decoders:
                decoder.push(frame)
        assert all(left.acquire(timeout=PATIENCE) for _ in range(MANY * len(decoders)))
        assert workers.handed > len(decoders), "they take turns"
    assert seen == [[frame.captured for frame in frames]] * len(decoders)


def test_what_is_left_when_the_threads_end_is_dropped() -> None:
    """A stream that gives way to the end is not queued again."""
    workers = WorkerThreads(1, "codec")
    shown: list[RawPicture] = []

    def sink(picture: RawPicture) -> None:
        shown.append(picture)
        workers.shutdown(wait=False)

    decoder = SharedDecoder(workers, lambda: pytest.fail("no keyframe is needed"))
    decoder.set_sinks((sink,))
    may_go = hold(workers)
    for frame in encoded(3):
        decoder.push(frame)
    may_go.set()
    workers.shutdown()
    assert len(shown) == decoder.decoded == 1
