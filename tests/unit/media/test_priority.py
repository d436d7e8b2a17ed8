"""Encoders and decoders give way to what answers and to what plays."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from mediaagentd.media.priority import CODECS, give_way
from mediaagentd.media.workers import WorkerThreads


def _nice() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_only_the_thread_that_gives_way_does() -> None:
    with WorkerThreads(1, "codec", partial(give_way, CODECS)) as codecs:
        assert codecs.submit(_nice).result() == max(CODECS, os.nice(0))
    assert _nice() == os.nice(0)


def test_who_has_less_priority_already_does_not_ask_for_more() -> None:
    def twice() -> int:
        give_way(19)
        give_way(CODECS)
        return _nice()

    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(twice).result() == 19
