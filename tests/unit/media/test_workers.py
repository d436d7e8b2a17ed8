"""Threads that do what they are given, and tell those who wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest
from mediaagentd.media.workers import WorkerThreads
from structlog.testing import capture_logs

PATIENCE = 10.0


@pytest.fixture
def workers() -> Iterator[WorkerThreads]:
    with WorkerThreads(2, "test") as workers:
        yield workers


def test_one_does_all_in_the_order_in_which_it_was_given() -> None:
    done: list[int] = []
    with WorkerThreads(1, "test") as worker:
        for number in range(100):
            worker.do(lambda number=number: done.append(number))  # type: ignore[misc]
        assert worker.submit(lambda: list(done)).result(PATIENCE) == list(range(100))


def test_two_work_at_once_and_each_has_begun(workers: WorkerThreads) -> None:
    meeting = threading.Barrier(2, timeout=PATIENCE)
    both = [workers.submit(meeting.wait) for _ in range(2)]
    assert sorted(each.result(PATIENCE) for each in both) == [0, 1]


def test_threads_begin_before_they_work() -> None:
    began: list[str] = []
    with WorkerThreads(1, "test", lambda: began.append(threading.current_thread().name)) as worker:
        assert worker.submit(lambda: list(began)).result(PATIENCE) == ["test_0"]


async def test_who_waits_is_told_what_went_wrong(workers: WorkerThreads) -> None:
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(workers, lambda: 1 / 0), PATIENCE)


def test_what_goes_wrong_unseen_is_logged_and_ends_no_thread() -> None:
    with WorkerThreads(1, "test") as worker, capture_logs() as logs:
        worker.do(lambda: 1 / 0)
        assert worker.submit(lambda: 5).result(PATIENCE) == 5
    assert [(line["event"], line["thread"]) for line in logs] == [("work_failed", "test")]


def test_what_still_waits_is_done_unless_it_is_dropped() -> None:
    done: list[str] = []
    kept, dropped = WorkerThreads(1, "kept"), WorkerThreads(1, "dropped")
    for worker, cancels in ((kept, False), (dropped, True)):
        may_go = hold(worker)
        worker.do(lambda worker=worker: done.append("kept" if worker is kept else "dropped"))  # type: ignore[misc]
        waiting = worker.submit(lambda: 7)
        worker.shutdown(wait=False, cancel_futures=cancels)
        may_go.set()
        if cancels:
            with pytest.raises(CancelledError):
                waiting.result(PATIENCE)
        else:
            assert waiting.result(PATIENCE) == 7
        with pytest.raises(RuntimeError, match="shut down"):
            worker.do(lambda: None)
        worker.shutdown()
    assert done == ["kept"]


def test_threads_end_when_they_are_shut_down() -> None:
    worker = WorkerThreads(1, "ending")
    thread = worker.submit(threading.current_thread).result(PATIENCE)
    worker.shutdown()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_it_is_crowded_while_something_waits_for_a_thread() -> None:
    with WorkerThreads(1, "test") as worker:
        may_go = hold(worker)
        assert not worker.crowded, "what is under way does not wait"
        waiting = worker.submit(lambda: worker.crowded)
        assert worker.crowded
        may_go.set()
        assert waiting.result(PATIENCE) is False


def hold(worker: WorkerThreads) -> threading.Event:
    """Its only thread waits until that is set."""
    going, may_go = threading.Event(), threading.Event()

    def wait() -> None:
        going.set()
        may_go.wait(PATIENCE)

    worker.do(wait)
    assert going.wait(PATIENCE)
    return may_go
