"""When the agent logs in again, and when it gives up: almost never."""

from __future__ import annotations

import pytest
from mediaagentd.call.types import SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.signalling.rpc import Session
from mediaagentd.signalling.stream import Stream

from tests.fakes.hub_ears import Ears
from tests.fakes.hub_rpc import FakeRpc


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        (Reason.HUB_UNREACHABLE, None),
        (Reason.TIMED_OUT, None),
        (Reason.SHUTTING_DOWN, None),
        (Reason.LIMIT_EXCEEDED, None),
        (Reason.INTERNAL, None),
        (Reason.NOT_OFFERED, None),
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
