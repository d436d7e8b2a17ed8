"""Ends: ours, theirs, and those that nobody wanted."""

from __future__ import annotations

import asyncio
import gc
import re
from typing import Any

import pytest
from mediaagentd.errors import Refused
from mediaagentd.media.rtc import consent, peer, seams
from mediaagentd.media.types import VideoCodec
from structlog.testing import capture_logs

from tests.fakes.rtc import Picture, opus, until_no_tasks_but
from tests.integration.media.pair import until
from tests.integration.rtc.conftest import Stage


async def test_our_close_is_seen_there_and_not_told_here(stage: Stage) -> None:
    alice, bob = await stage.pair()
    await alice.peer.close()
    await bob.seen.until(lambda: bool(bob.seen.closed))
    assert bob.seen.closed == ["closed by the far end"]
    assert alice.seen.closed == []
    alice.peer.send_audio(opus(0))
    bob.peer.send_video(Picture(VideoCodec.H264).frame())
    bob.peer.request_keyframe()
    with pytest.raises(Refused):
        await alice.peer.create_offer()


async def test_close_while_gathering_leaves_no_socket(stage: Stage) -> None:
    before = asyncio.all_tasks()
    alice = stage.end()
    offering = asyncio.create_task(alice.peer.create_offer())
    await asyncio.sleep(0)
    await alice.peer.close()
    await asyncio.gather(offering, return_exceptions=True)
    assert seams.ice_transport(alice.peer._connection)._connection._protocols == []
    await until_no_tasks_but(before)


async def test_a_stranger_with_another_certificate_is_not_taken(stage: Stage) -> None:
    alice, bob, mallory = stage.end(), stage.end(), stage.end()
    answer = await bob.peer.accept_offer(await alice.peer.create_offer())
    other = await mallory.peer.create_offer()
    prints = re.compile(r"a=fingerprint:.*")
    forged = iter(prints.findall(other) * 2)
    await alice.peer.accept_answer(prints.sub(lambda _: next(forged), answer))
    await alice.seen.until(lambda: bool(alice.seen.closed))
    assert alice.seen.closed == ["connection failed"]
    assert alice.seen.connected == 0


async def test_close_may_be_repeated_and_shared(stage: Stage) -> None:
    alice, _ = await stage.pair()
    await asyncio.gather(*(alice.peer.close() for _ in range(5)))
    await alice.peer.close()


@pytest.mark.parametrize("phase", ["new", "offered", "answered", "connecting"])
async def test_close_in_each_phase_leaves_nothing(stage: Stage, phase: str) -> None:
    before = asyncio.all_tasks()
    alice, bob = stage.end(), stage.end()
    if phase != "new":
        offer = await alice.peer.create_offer()
    if phase in ("answered", "connecting"):
        answer = await bob.peer.accept_offer(offer)
    if phase == "connecting":
        checking = asyncio.Event()
        seams.ice_transport(alice.peer._connection).on("statechange", checking.set)
        await alice.peer.accept_answer(answer)
        async with asyncio.timeout(peer.CLOSE_TIMEOUT):
            await checking.wait()
    async with asyncio.timeout(peer.CLOSE_TIMEOUT):
        await asyncio.gather(alice.peer.close(), bob.peer.close())
    await until_no_tasks_but(before)
    assert alice.seen.closed == bob.seen.closed == []


@pytest.mark.parametrize("step", ["ice", "dtls"])
async def test_a_close_that_overtakes_the_library_leaves_nothing(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It goes on to connect, with ICE or with what is behind DTLS, when all has been closed meanwhile."""
    before, told = asyncio.all_tasks(), list[str]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["message"]))
    alice, bob = stage.end(), stage.end()
    connection = alice.peer._connection
    transport: Any = {"ice": seams.ice_transport, "dtls": seams.dtls_transport}[step](connection)
    start, reached, go_on = transport.start, asyncio.Event(), asyncio.Event()

    async def held_up(remote: Any) -> None:
        if step == "dtls":
            await start(remote)
        reached.set()
        await go_on.wait()
        if step == "ice":
            await start(remote)

    monkeypatch.setitem(transport.__dict__, "start", held_up)
    await alice.peer.accept_answer(await bob.peer.accept_offer(await alice.peer.create_offer()))
    async with asyncio.timeout(10):
        await reached.wait()
        await asyncio.gather(alice.peer.close(), bob.peer.close())
    go_on.set()
    await until_no_tasks_but(before)
    gc.collect()  # what nobody asked for is told when it goes
    assert told == []


async def test_no_checks_begin_in_a_connection_that_was_closed_a_moment_before(stage: Stage) -> None:
    alice, _ = await stage.pair()
    await alice.peer.close()
    await asyncio.wait_for(alice.peer._consent.keep(), 1)


async def test_close_has_a_deadline(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = await stage.pair()
    transport = seams.ice_transport(alice.peer._connection)

    async def forever() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(transport._connection, "close", forever)
    sockets = [p.transport for p in transport._connection._protocols]
    started = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await alice.peer.close()
    assert asyncio.get_running_loop().time() - started < peer.CLOSE_TIMEOUT + 0.2
    assert "close_overdue" in [entry["event"] for entry in logs]
    assert all(sock.is_closing() for sock in sockets)
    await bob.seen.until(lambda: bool(bob.seen.closed))


async def test_a_far_end_that_vanishes_is_noticed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "EXPIRY", 0.7)
    monkeypatch.setattr(consent, "INTERVAL", 0.1)
    alice, bob = await stage.pair()
    renewed = asyncio.get_running_loop().time() + consent.EXPIRY
    await until(lambda: alice.peer.heard > renewed)
    assert not alice.seen.closed
    for protocol in seams.ice_transport(bob.peer._connection)._connection._protocols:
        protocol.transport.__dict__["sendto"] = lambda *_: None
    await alice.seen.until(lambda: bool(alice.seen.closed))
    assert alice.seen.closed == ["connection lost"]


async def test_a_connection_that_never_comes_is_given_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "CONNECT_TIMEOUT", 0.2)
    alice, bob = stage.end(), stage.end()
    offer = await alice.peer.create_offer()
    await bob.peer.accept_offer(offer)
    await bob.seen.until(lambda: bool(bob.seen.closed))
    assert bob.seen.closed == ["not connected in time"]
    assert bob.seen.connected == 0


async def test_many_calls_leave_no_tasks_and_no_sockets(stage: Stage) -> None:
    before = asyncio.all_tasks()
    for _ in range(5):
        alice, bob = await stage.pair()
        await asyncio.gather(alice.peer.close(), bob.peer.close())
    await until_no_tasks_but(before)
