"""Names that are none, and relays that nobody needs."""

from __future__ import annotations

import asyncio
import threading

import pytest
from mediaagentd.media.rtc.names import LOOKUPS, Names
from mediaagentd.media.rtc.servers import in_turn


async def test_what_is_no_name_has_no_address_and_blocks_no_other() -> None:
    names = Names()
    async with asyncio.timeout(10):
        for number in range(LOOKUPS + 1):
            assert await names.resolve(f"a..{number}") == ()
        assert await names.resolve("127.0.0.1") == ("127.0.0.1",)
    assert names._running == {}


async def test_of_two_that_succeed_at_once_one_is_given_back() -> None:
    ready, discarded = asyncio.Event(), list[int]()

    async def attempt(number: int) -> int:
        await ready.wait()
        return number

    asyncio.get_running_loop().call_later(0.02, ready.set)
    first = await in_turn([lambda: attempt(1), lambda: attempt(2)], 0.001, discarded.append)
    assert sorted([first, *discarded]) == [1, 2]


async def test_a_lookup_that_finds_no_thread_does_not_bar_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    names = Names()
    with monkeypatch.context() as crowded:
        crowded.setattr(threading.Thread, "start", start)
        assert await names.resolve("localhost") == ()
    assert await names.resolve("localhost")
