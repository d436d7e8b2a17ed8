"""A call of sound alone, whose sockets are read by whoever sends: two peers on a loop that lends its turn,
and a microphone's thread for each.
"""

from __future__ import annotations

import asyncio
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from mediaagentd.lending import LendingLoop, hand_over
from mediaagentd.media.capture.synthetic import Pace
from mediaagentd.media.rtc import consent, polling
from mediaagentd.media.types import AUDIO_CLOCK, AUDIO_FRAME, AudioFrame, VideoCodec

from tests.fakes.rtc import Picture, Recorder, connect, opus, peer
from tests.integration.rtc.conftest import End

PATIENCE = 10.0


class Quiet(Recorder):
    """Wakes nobody for sound, and remembers where and when it was told of it."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []
        self.told: list[float] = []

    def on_audio(self, frame: AudioFrame) -> None:
        self.audio.append(frame)
        self.threads.append(threading.get_ident())
        self.told.append(time.monotonic())


class Microphone:
    """Sends a packet of sound every 20 ms, or as many fewer times `burst` at once, in a thread of its own."""

    def __init__(self, end: End, burst: int = 1) -> None:
        self.sent: list[float] = []
        self._burst = burst
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def ident(self) -> int:
        assert self._thread.ident is not None
        return self._thread.ident

    def stop(self) -> None:
        """May be called in this very thread, which runs what the loop would."""
        self._stopping.set()
        if self._thread is not threading.current_thread():  # which has the turn, and so tells the story
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        pace = Pace(self._burst * AUDIO_FRAME / AUDIO_CLOCK)
        while pace.wait(self._stopping):
            for _ in range(self._burst):
                self.sent.append(time.monotonic())
                hand_over(self._loop, self._end.peer.send_audio, opus(len(self.sent) - 1))


Story = Callable[[End, End], Awaitable[None]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[Story], None]:
    """Tells a story of two ends that are connected; they find out ten times a second whether it is calm."""
    monkeypatch.setattr(consent, "INTERVAL", 0.1)
    monkeypatch.setattr(polling, "CALM", 0.5)

    async def whole(story: Story) -> None:
        ends = [End(seen, peer(seen)) for seen in (Quiet(), Quiet())]
        await connect(ends[0].peer, ends[1].peer, ends[0].seen, ends[1].seen)
        try:
            await story(ends[0], ends[1])
        finally:
            await asyncio.gather(*(end.peer.close() for end in ends))

    def tell(story: Story) -> None:
        with asyncio.Runner(loop_factory=LendingLoop) as runner:
            runner.run(whole(story))

    return tell


async def until(condition: Callable[[], bool]) -> None:
    """Looks whenever anything happens in this loop, every tenth of a second at the least."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0.1)


@contextmanager
def microphones(*ends: End, burst: int = 1) -> Iterator[list[Microphone]]:
    running = [Microphone(end, burst) for end in ends]
    try:
        yield running
    finally:
        for each in running:
            each.stop()


def polls(end: End) -> bool:
    return end.peer._polling.polls


def quiet(end: End) -> Quiet:
    assert isinstance(end.seen, Quiet)
    return end.seen


def test_what_comes_is_read_by_who_sends_and_counts_from_when_it_came(told: Callable[[Story], None]) -> None:
    async def story(alice: End, bob: End) -> None:
        with microphones(alice, bob) as (hers, his):
            await until(lambda: polls(alice) and polls(bob))
            begun = len(quiet(bob).told) + 1
            await until(lambda: len(quiet(bob).told) >= begun + 100)
        threads = quiet(bob).threads[begun:]
        read = sum(threads.count(each.ident) for each in (hers, his))  # they share a loop
        assert read >= 0.8 * len(threads)
        await until(lambda: len(quiet(bob).audio) == len(hers.sent))
        assert [frame.data for frame in quiet(bob).audio] == [opus(n).data for n in range(len(hers.sent))]
        came = [frame.captured - sent for frame, sent in zip(quiet(bob).audio, hers.sent, strict=True)]
        assert statistics.median(came[begun:]) < 0.005
        assert all(
            told >= frame.captured for frame, told in zip(quiet(bob).audio, quiet(bob).told, strict=True)
        )

    told(story)


def test_a_clock_that_is_set_makes_no_packet_hours_late(
    told: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(alice: End, bob: End) -> None:
        with microphones(alice, bob):
            await until(lambda: polls(alice) and polls(bob))
            monkeypatch.setattr(polling, "time", SimpleNamespace(time=lambda: time.time() + 3600))
            begun = len(quiet(bob).told)
            await until(lambda: len(quiet(bob).told) >= begun + 50)
        late = [when - frame.captured for when, frame in zip(quiet(bob).told, quiet(bob).audio, strict=True)]
        assert 0 < max(late[begun:]) < 1

    told(story)


async def _picture(alice: End, bob: End) -> None:
    alice.peer.send_video(Picture(VideoCodec.H264).frame())
    await bob.seen.until(lambda: bool(bob.seen.video))


async def _loss(alice: End, bob: End) -> None:
    alice.peer._audio_out._sequence += 1
    await until(lambda: alice.peer.stats().audio_sent.repaired == 0 and not polls(bob))


@pytest.mark.parametrize("happens", [_picture, _loss], ids=["pictures", "a loss"])
def test_the_first_sign_of_anything_else_ends_it(told: Callable[[Story], None], happens: Story) -> None:
    async def story(alice: End, bob: End) -> None:
        with microphones(alice, bob):
            await until(lambda: polls(alice) and polls(bob))
            await happens(alice, bob)
            await until(lambda: not polls(alice) and not polls(bob))
            begun = len(quiet(bob).threads) + 1
            await until(lambda: len(quiet(bob).threads) >= begun + 10)
            assert set(quiet(bob).threads[begun : begun + 5]) == {threading.main_thread().ident}
            await until(lambda: polls(alice) and polls(bob))

    told(story)


def test_who_stops_sending_waits_for_what_comes(told: Callable[[Story], None]) -> None:
    async def story(alice: End, bob: End) -> None:
        with microphones(alice, bob):
            await until(lambda: polls(alice) and polls(bob))
        await until(lambda: not polls(alice) and not polls(bob))
        count = len(quiet(bob).audio)
        alice.peer.send_audio(opus(count))
        await until(lambda: len(quiet(bob).audio) == count + 1)
        assert quiet(bob).threads[-1] == threading.main_thread().ident

    told(story)


class Echo:
    """Sends a packet of sound every 20 ms from the loop itself."""

    def __init__(self, end: End) -> None:
        self.sent = 0
        self._end = end
        self._send()

    def _send(self) -> None:
        self._end.peer.send_audio(opus(self.sent))
        self.sent += 1
        self.timer = asyncio.get_running_loop().call_later(AUDIO_FRAME / AUDIO_CLOCK, self._send)


def test_where_nobody_borrows_the_turn_nobody_polls(told: Callable[[Story], None]) -> None:
    async def story(alice: End, bob: End) -> None:
        seen: set[bool] = set()
        echoes = [Echo(alice), Echo(bob)]

        def calm() -> bool:
            seen.update((polls(alice), polls(bob)))
            return min(each.sent for each in echoes) > 100

        await until(calm)
        assert seen == {False}
        for each in echoes:
            each.timer.cancel()

    told(story)


def test_a_microphone_that_delivers_in_bursts_polls_nothing(told: Callable[[Story], None]) -> None:
    async def story(alice: End, bob: End) -> None:
        seen: set[bool] = set()

        def calm() -> bool:
            seen.update((polls(alice), polls(bob)))
            return len(hers.sent) > 150

        with microphones(alice, burst=5) as (hers,):
            await until(calm)
        assert seen == {False}

    told(story)


def test_what_came_while_the_loop_was_at_work_counts_from_when_it_could_be_read(
    told: Callable[[Story], None],
) -> None:
    async def story(alice: End, bob: End) -> None:
        loop = asyncio.get_running_loop()

        def work() -> float:
            alice.peer.send_audio(opus(10_000))
            until = loop.time() + 0.05
            while loop.time() < until:
                pass
            return loop.time()

        with microphones(alice, bob):
            await until(lambda: polls(alice) and polls(bob))
            done = work()
            await until(lambda: opus(10_000).data in [frame.data for frame in quiet(bob).audio])
        came = next(frame.captured for frame in quiet(bob).audio if frame.data == opus(10_000).data)
        assert came >= done - 0.005

    told(story)


def test_what_came_while_who_had_the_turn_was_at_work_counts_from_when_it_could_be_read(
    told: Callable[[Story], None],
) -> None:
    async def story(alice: End, bob: End) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, LendingLoop)
        done: list[tuple[int, float]] = []

        def work() -> None:
            alice.peer.send_audio(opus(10_000))
            until = loop.time() + 0.05
            while loop.time() < until:
                pass
            done.append((threading.get_ident(), loop.time()))

        with microphones(alice, bob) as running:
            await until(lambda: polls(alice) and polls(bob))
            loop.alarm = loop.time() + 1000.0  # timers are left to the microphones
            loop.call_later(0.1, work)
            await until(lambda: opus(10_000).data in [frame.data for frame in quiet(bob).audio])
            loop.alarm = 0.0
        [(thread, ended)] = done
        assert thread in [each.ident for each in running]
        came = next(frame.captured for frame in quiet(bob).audio if frame.data == opus(10_000).data)
        assert came >= ended - 0.005

    told(story)


def test_a_flood_is_no_calm(told: Callable[[Story], None]) -> None:
    async def story(alice: End, bob: End) -> None:
        with microphones(alice, bob):
            await until(lambda: polls(alice) and polls(bob))
            count = len(quiet(bob).audio)
            for number in range(3 * polling.FEW):
                alice.peer.send_audio(opus(10_000 + number))
            await until(lambda: not polls(bob))
            await until(lambda: len(quiet(bob).audio) >= count + 3 * polling.FEW)

    told(story)


def test_it_ends_with_the_connection(told: Callable[[Story], None]) -> None:
    async def story(alice: End, bob: End) -> None:
        with microphones(alice, bob):
            await until(lambda: polls(alice) and polls(bob))
            await alice.peer.close()
            await bob.seen.until(lambda: bool(bob.seen.closed))
            assert bob.seen.closed == ["closed by the far end"]
            assert not polls(alice)
            await until(lambda: not polls(bob))

    told(story)
