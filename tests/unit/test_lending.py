"""A loop that lends its turn: what other threads do in it is as if the loop had done it."""

from __future__ import annotations

import asyncio
import selectors
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from mediaagentd.lending import APART, STALL, LendingLoop, attend, hand_over, stop_polling

T = TypeVar("T")

PATIENCE = 10.0


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner(loop_factory=LendingLoop) as runner:
        yield runner


def lending() -> LendingLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LendingLoop)
    return loop


async def elsewhere(work: Callable[[], T]) -> T:
    """Its result, in another thread."""
    return await asyncio.wait_for(asyncio.to_thread(work), PATIENCE)


def until_lent(loop: LendingLoop, callback: Callable[[], object]) -> None:
    """Tries until the loop waits: a turn of it may be under way."""
    deadline = time.monotonic() + PATIENCE
    while not loop.lend(callback):
        assert time.monotonic() < deadline


def test_while_it_waits_work_is_done_in_the_thread_that_brings_it(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, seen = lending(), []

        def work() -> int:
            until_lent(loop, lambda: seen.append((threading.get_ident(), asyncio.get_running_loop())))
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            return threading.get_ident()

        async def work_of_another_loop() -> asyncio.AbstractEventLoop:
            until_lent(loop, lambda: None)
            return asyncio.get_running_loop()

        thread = await elsewhere(work)
        assert seen == [(thread, loop)]
        assert await elsewhere(lambda: asyncio.run(work_of_another_loop())) is not loop

    runner.run(story())


def test_while_it_works_it_does_what_is_brought_itself(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, seen, brought = lending(), [], threading.Event()

        def bring() -> None:
            hand_over(loop, lambda: seen.append(threading.get_ident()))
            brought.set()

        thread = threading.Thread(target=bring)
        thread.start()
        assert brought.wait(PATIENCE), "who brings work never waits for the loop"
        assert seen == []
        await asyncio.sleep(0)
        assert seen == [threading.get_ident()]
        thread.join()

    runner.run(story())


def test_work_is_done_in_the_order_in_which_it_was_brought_and_by_one_at_a_time(
    runner: asyncio.Runner,
) -> None:
    async def story() -> None:
        loop, seen, at_work = lending(), [], threading.Lock()
        threads: set[int] = set()

        def take(number: int) -> None:
            assert at_work.acquire(blocking=False)
            threads.add(threading.get_ident())
            seen.append(number)
            at_work.release()

        def bring() -> None:
            number, deadline = 0, time.monotonic() + PATIENCE
            while (number < 3000 or len(threads) < 2) and time.monotonic() < deadline:
                hand_over(loop, take, number)
                number += 1

        bringing = asyncio.ensure_future(elsewhere(bring))
        while not bringing.done():
            assert at_work.acquire(blocking=False)
            sum(range(500))
            at_work.release()
            await asyncio.sleep(0.0002 if len(seen) % 2 else 0)
        await bringing
        await asyncio.sleep(0)
        assert seen == list(range(len(seen)))
        assert len(seen) >= 3000
        assert len(threads) == 2

    runner.run(story())


def test_work_that_waits_for_its_turn_is_not_overtaken(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        loop, looked = lending(), selectors.DefaultSelector.select
        seen: list[str] = []
        lent: list[bool] = []

        def look(selector: selectors.DefaultSelector, timeout: float | None = None) -> list[Any]:
            if timeout == 0 and not lent:  # the loop has something to do, and looks at its sockets before
                thread = threading.Thread(target=lambda: lent.append(loop.lend(seen.append, "second")))
                thread.start()
                thread.join()
            return looked(selector, timeout)

        monkeypatch.setattr(selectors.DefaultSelector, "select", look)
        await elsewhere(lambda: loop.call_soon_threadsafe(seen.append, "first"))
        assert lent == [False]
        assert seen == ["first"]

    runner.run(story())


@pytest.mark.parametrize("what", ["an event", "a timer", "a task"])
def test_what_follows_from_borrowed_work_wakes_the_loop(runner: asyncio.Runner, what: str) -> None:
    async def story() -> None:
        loop, done = lending(), asyncio.Event()

        async def task() -> None:
            done.set()

        tasks: list[asyncio.Task[None]] = []
        follow: dict[str, Callable[[], object]] = {
            "an event": done.set,
            "a timer": lambda: loop.call_later(0.01, done.set),
            "a task": lambda: tasks.append(asyncio.create_task(task())),
        }
        bringing = threading.Thread(target=until_lent, args=(loop, follow[what]))
        bringing.start()
        late = loop.call_later(PATIENCE, done.set)  # else the loop would wait for ever
        began = loop.time()
        await done.wait()
        assert loop.time() - began < PATIENCE / 2
        late.cancel()
        bringing.join()

    runner.run(story())


def test_borrowed_work_may_stop_the_loop() -> None:
    loop = LendingLoop()
    late = loop.call_later(PATIENCE, loop.stop)
    bringing = threading.Thread(target=until_lent, args=(loop, loop.stop))
    bringing.start()
    began = loop.time()
    loop.run_forever()
    assert loop.time() - began < PATIENCE / 2
    late.cancel()
    bringing.join()
    loop.close()


def test_what_goes_wrong_in_borrowed_work_is_told_as_of_any_callback(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, told = lending(), []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        await elsewhere(lambda: until_lent(loop, lambda: 1 / 0))
        assert [type(error) for error in told] == [ZeroDivisionError]

    runner.run(story())


def test_a_loop_in_debug_mode_lends_nothing_since_it_checks_threads(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, done = lending(), asyncio.Event()
        loop.set_debug(True)
        assert not await elsewhere(lambda: loop.lend(done.set))
        await elsewhere(lambda: hand_over(loop, done.set))
        await asyncio.wait_for(done.wait(), PATIENCE)

    runner.run(story())


def test_a_loop_that_is_closed_or_not_running_lends_nothing() -> None:
    loop, seen = LendingLoop(), []
    assert not loop.lend(lambda: seen.append(1))
    hand_over(loop, lambda: seen.append(2))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert seen == [2]
    with pytest.raises(RuntimeError, match="closed"):
        hand_over(loop, lambda: seen.append(3))


async def test_another_loop_is_woken() -> None:
    loop: Any = asyncio.get_running_loop()
    assert not isinstance(loop, LendingLoop)
    done = asyncio.Event()
    waiting: Awaitable[bool] = done.wait()
    await elsewhere(lambda: hand_over(loop, done.set))
    assert await asyncio.wait_for(waiting, PATIENCE)


def test_it_tells_how_often_it_was_borrowed_and_how_long_it_has_been_idle(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, told = lending(), list[tuple[float, float]]()
        count, at_work = loop.borrowed, time.monotonic()
        await elsewhere(lambda: until_lent(loop, lambda: told.append((loop.idle, time.monotonic()))))
        assert loop.borrowed == count + 1
        [(idle, now)] = told
        assert 0 <= idle <= now - at_work

    runner.run(story())


def test_turns_that_follow_one_another_at_once_count_as_one(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        loop, now = lending(), [time.monotonic()]
        monkeypatch.setattr("mediaagentd.lending.time", SimpleNamespace(monotonic=lambda: now[0]))
        count = loop.borrowed

        def burst() -> None:
            for _ in range(5):
                until_lent(loop, lambda: None)

        def bursts() -> None:
            for _ in range(3):
                now[0] += APART
                burst()

        await elsewhere(bursts)
        assert loop.borrowed == count + 3

    runner.run(story())


class Noted:
    """Something to poll, that notes in which thread it was."""

    def __init__(self) -> None:
        self.threads: list[int] = []
        self.stopped = asyncio.Event()

    def poll(self) -> None:
        self.threads.append(threading.get_ident())

    def stop(self) -> None:
        lending().leave(self)
        self.stopped.set()


def test_what_is_polled_is_so_by_who_borrows_and_by_a_loop_that_wakes(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, noted, before = lending(), Noted(), list[int]()
        loop.poll(noted)

        def work() -> int:
            until_lent(loop, lambda: before.append(len(noted.threads)))
            return threading.get_ident()

        thread = await elsewhere(work)
        assert noted.threads[before[0]] == thread, "it is polled behind what was brought"
        assert noted.threads[-1] == threading.get_ident(), "the loop has woken for the end of that thread"
        count = len(noted.threads)
        loop.leave(noted)
        await elsewhere(lambda: until_lent(loop, lambda: None))
        assert len(noted.threads) == count

    runner.run(story())


def test_when_nobody_borrows_any_more_what_is_polled_is_told(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, noted = lending(), Noted()
        loop.poll(noted)
        began = loop.time()

        def wake() -> None:
            loop.call_later(STALL / 4, wake)

        wake()
        await asyncio.wait_for(noted.stopped.wait(), PATIENCE)
        assert loop.time() - began >= STALL
        assert noted.threads

    runner.run(story())


def test_who_attends_polls_and_waits_for_a_loop_at_work_for_a_moment_only(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, noted, tried = lending(), Noted(), threading.Event()
        attend(loop)  # nothing is polled
        loop.poll(noted)

        def work() -> int:
            attend(loop)  # the loop is at work until this has come back
            tried.set()
            deadline = time.monotonic() + PATIENCE
            while threading.get_ident() not in noted.threads and time.monotonic() < deadline:
                attend(loop)  # or the loop polls, which it has been woken for
            return threading.get_ident()

        thread = threading.Thread(target=work)
        thread.start()
        assert tried.wait(PATIENCE)
        assert not noted.threads
        loop.leave(noted)
        loop.poll(noted)
        await elsewhere(thread.join)
        assert thread.ident in noted.threads

    runner.run(story())


def test_a_poll_that_goes_wrong_is_told_and_no_other_is_left_out(runner: asyncio.Runner) -> None:
    class Broken(Noted):
        def poll(self) -> None:
            raise ZeroDivisionError

    async def story() -> None:
        loop, noted, told = lending(), Noted(), []
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        loop.poll(Broken())
        loop.poll(noted)
        await elsewhere(lambda: until_lent(loop, lambda: None))
        assert {type(error) for error in told} == {ZeroDivisionError}
        assert noted.threads

    runner.run(story())


def test_all_that_is_polled_is_told_at_once_that_nobody_will(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, polled = lending(), [Noted(), Noted()]
        for each in polled:
            loop.poll(each)
        stop_polling(loop)
        assert all(each.stopped.is_set() for each in polled)

    runner.run(story())


FAR = 1000.0
"""Seconds: the loop's own alarm, when it is not to ring."""


def ran(loop: LendingLoop, delay: float) -> tuple[list[int], asyncio.Task[None]]:
    """In which thread a timer is run, and the task that it wakes."""
    threads, timer = list[int](), asyncio.Event()

    def due() -> None:
        threads.append(threading.get_ident())
        timer.set()

    async def follow() -> None:
        await timer.wait()
        threads.append(threading.get_ident())

    loop.call_later(delay, due)
    return threads, asyncio.create_task(follow())


def borrow_until(loop: LendingLoop, followed: asyncio.Task[None]) -> int:
    """The thread that borrows the turn, again and again, until then."""
    deadline = time.monotonic() + PATIENCE
    while not followed.done():
        assert time.monotonic() < deadline
        hand_over(loop, lambda: None)
        time.sleep(0.001)
    return threading.get_ident()


def test_while_all_is_polled_timers_and_what_follows_are_run_by_who_borrows(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, noted = lending(), Noted()
        loop.alarm = loop.time() + FAR
        loop.poll(noted)
        threads, followed = ran(loop, 0.05)
        thread = await elsewhere(lambda: borrow_until(loop, followed))
        assert threads == [thread, thread]

    runner.run(story())


@pytest.mark.parametrize("hurried", [False, True])
def test_the_loop_runs_timers_itself_when_nobody_borrows_or_one_is_in_a_hurry(
    runner: asyncio.Runner, hurried: bool
) -> None:
    async def story() -> None:
        loop, noted, own = lending(), Noted(), threading.get_ident()
        loop.expect(2 if hurried else 1)
        loop.poll(noted)
        began = loop.time()
        loop.alarm = began + (FAR if hurried else 0.2)
        threads, followed = ran(loop, 0.01)
        await asyncio.wait_for(followed, PATIENCE)
        assert threads == [own, own]
        if not hurried:
            assert loop.time() - began >= 0.2, "timers are left to others until the alarm"

    runner.run(story())


@pytest.mark.parametrize("what", ["it is polled no more", "another is in a hurry"])
def test_timers_that_were_left_to_others_are_the_loops_when_patience_ends(
    runner: asyncio.Runner, what: str
) -> None:
    async def story() -> None:
        loop, noted = lending(), Noted()
        loop.alarm = loop.time() + FAR
        loop.poll(noted)
        end: Callable[[], object] = (
            (lambda: loop.leave(noted)) if what == "it is polled no more" else (lambda: loop.expect(2))
        )
        threads, followed = ran(loop, 0.1)
        bringing = threading.Thread(target=until_lent, args=(loop, end))
        bringing.start()
        await asyncio.wait_for(followed, PATIENCE)
        assert threads == [threading.get_ident()] * 2
        bringing.join()

    runner.run(story())


class Turn:
    """The turn, that tells when the loop's own thread asks for it."""

    def __init__(self, lock: threading.Lock) -> None:
        self.wanted = threading.Event()
        self.release = lock.release
        self._lock = lock
        self._own = threading.get_ident()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if threading.get_ident() == self._own:
            self.wanted.set()
        return self._lock.acquire(blocking, timeout)


def test_a_socket_that_is_waited_for_anew_while_the_loop_wakes_for_it_is_read(
    runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the loop has woken for is then another's, or nobody's: a file's number is soon used again."""

    async def story() -> None:
        loop, came = lending(), asyncio.Event()
        turn = Turn(loop._turn)
        for who in (loop, loop._waiting):
            monkeypatch.setattr(who, "_turn" if who is loop else "turn", turn)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            loop.add_reader(ours, came.set)

            def again() -> None:
                turn.wanted.clear()
                theirs.send(b"something")
                assert turn.wanted.wait(PATIENCE)
                loop.remove_reader(ours)
                loop.add_reader(ours, came.set)

            await elsewhere(lambda: until_lent(loop, again))
            await asyncio.wait_for(came.wait(), PATIENCE)
            loop.remove_reader(ours)

    runner.run(story())


def test_what_makes_itself_ready_for_ever_holds_up_nobody(runner: asyncio.Runner) -> None:
    async def story() -> None:
        loop, noted, over = lending(), Noted(), asyncio.Event()
        loop.alarm = loop.time() + FAR
        loop.poll(noted)

        def again() -> None:
            if not over.is_set():
                loop.call_soon(again)

        await elsewhere(lambda: until_lent(loop, again))
        over.set()

    runner.run(story())


async def test_any_other_loop_is_attended_to_by_itself() -> None:
    attend(asyncio.get_running_loop())
    stop_polling(asyncio.get_running_loop())
