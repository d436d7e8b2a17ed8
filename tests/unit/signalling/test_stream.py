"""When the agent logs in again, and when it gives up: almost never."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from mediaagentd.call.types import SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.signalling.rpc import Session
from mediaagentd.signalling.stream import Stream

from tests.fakes.hub_ears import Ears
from tests.fakes.hub_rpc import UNREACHABLE, FakeRpc


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        (Reason.HUB_UNREACHABLE, None),
        (Reason.TIMED_OUT, None),
        (Reason.SHUTTING_DOWN, None),
        (Reason.LIMIT_EXCEEDED, None),
        (Reason.INTERNAL, None),
        (Reason.NOT_OFFERED, None),
        (Reason.SESSION_UNKNOWN, None),
        (Reason.KICKED_OUT, SessionPhase.KICKED_OUT),
        (Reason.USER_SIG_EXPIRED, SessionPhase.LOGGED_OUT),
        (Reason.USER_SIG_MISMATCH, SessionPhase.LOGGED_OUT),
        (Reason.USER_ID_INVALID, SessionPhase.LOGGED_OUT),
    ],
)
async def test_only_what_no_repetition_mends_ends_the_session(
    reason: Reason, ended: SessionPhase | None
) -> None:
    rpc = FakeRpc()
    rpc.script = [Refused(reason, "no", {"device_id": "kitchen"})]
    stream = Stream(rpc, Session("ann", "sig", "token"), Ears(), "hall", 5.0)
    over = await stream._log_in_again()
    assert (over and over.session) == ended
    if ended is SessionPhase.KICKED_OUT:
        assert over is not None
        assert over.kicked_by == "kitchen"


async def test_a_session_that_is_opened_again_begins_its_stream_anew() -> None:
    session = Session("ann", "sig", "old")
    stream = Stream(FakeRpc(), session, Ears(), "hall", 5.0)
    assert await stream._log_in_again() is None
    assert session.token == "new"


class DeadRpc(FakeRpc):
    """Nobody is there; what is tried is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.streams = self.reconnected = 0

    def subscribe(self, session: Session, cursor: int) -> Any:
        self.streams += 1
        raise UNREACHABLE

    async def reconnect(self) -> None:
        self.reconnected += 1


async def tried(rpc: DeadRpc, session: Session, seconds: float) -> int:
    """How often in so many seconds."""
    before = rpc.streams
    stream = Stream(rpc, session, Ears(), "hall", 5.0)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stream.run(), seconds)
    return rpc.streams - before


@pytest.mark.looptime
async def test_a_call_that_waits_for_the_hub_shortens_the_pauses() -> None:
    rpc = DeadRpc()
    assert await tried(rpc, Session("ann", "sig", "token"), 60.0) < 40
    assert await tried(rpc, Session("ann", "sig", "token", urgent=True), 60.0) > 200


@pytest.mark.looptime
async def test_a_doubted_connection_proves_itself_or_is_begun_anew() -> None:
    rpc = DeadRpc()
    stream = Stream(rpc, Session("ann", "sig", "token"), Ears(), "hall", 5.0)
    await stream.doubt(lost=False)
    rpc.script = [Refused(Reason.SESSION_UNKNOWN, "who?")]
    await stream.doubt(lost=False)
    assert rpc.reconnected == 0, "somebody has answered"
    rpc.down = True
    await stream.doubt(lost=False)
    await stream.doubt(lost=True)
    assert rpc.reconnected == 2
