"""A login and a logout that are given up at any turn of the loop, and sessions whose parts fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import structlog
from google.protobuf.duration_pb2 import Duration
from mediaagent.hub.v1 import hub_pb2
from mediaagentd.call.types import Accept, HubFailed, SessionChanged, SessionPhase
from mediaagentd.calls import Calls
from mediaagentd.errors import Reason, Refused
from mediaagentd.hub.usersig import mint
from mediaagentd.signalling.client import HubClient
from mediaagentd.usersig import MADE_IN_THE_FUTURE

from tests.fakes.hub_ears import Ears
from tests.fakes.hub_rpc import LiveRpc
from tests.fakes.media_port import FakeMedia
from tests.fakes.records import FakeRecords


class Room:
    """A client and its hub; the last thing that the listener was told of the session."""

    def __init__(self) -> None:
        self.rpc, self.ears = LiveRpc(), Ears()
        self.client = HubClient("nowhere", device_id="hall", sdk_app_id=1, listener=self.ears)
        self.client._rpc = self.rpc

    @property
    def phases(self) -> list[SessionPhase]:
        return [it.session for it in self.ears.heard if isinstance(it, SessionChanged)]

    async def login(self) -> None:
        await self.client.login("ann", "sig")

    @property
    def believes(self) -> bool:
        return bool(self.phases) and self.phases[-1] is not SessionPhase.LOGGED_OUT


@pytest.fixture
async def room() -> AsyncIterator[Room]:
    made = Room()
    yield made
    await made.client.close()


async def given_up(work: Coroutine[Any, Any, None], turns: int) -> bool:
    """Cancels it after so many turns of the loop; whether it had ended by itself."""
    task = asyncio.create_task(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    ended = task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return ended


Act = Callable[[Room], Coroutine[Any, Any, None]]


@pytest.mark.parametrize("logged_in", [True, False], ids=["logged in", "logged out"])
@pytest.mark.parametrize(
    "act", [lambda room: room.login(), lambda room: room.client.logout()], ids=["login", "logout"]
)
async def test_what_is_told_is_true_whenever_it_is_given_up(act: Act, logged_in: bool) -> None:
    turns = 0
    while True:
        room = Room()
        if logged_in:
            await room.login()
        ended = await given_up(act(room), turns)
        assert room.believes == room.client.has_session, turns
        await room.login()
        assert room.believes
        assert room.client.has_session
        await room.client.close()
        if ended:
            break
        turns += 1
    assert turns >= (6 if logged_in else 1)


class Silent:
    """A publisher that nobody reads."""

    def publish(self, event: object) -> None:
        pass


class House(Room):
    """The same behind the call machine's shell, as clients of the daemon see it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = Calls(self.client, FakeMedia(), Silent(), FakeRecords())
        self.ears.also = self.calls.handle


async def test_a_client_that_goes_stops_neither_login_nor_logout() -> None:
    turns, ended = 1, False
    while not ended:
        house = House()
        await given_up(house.calls.login("ann", "sig"), turns)
        await house.ears.phase(SessionPhase.ONLINE)
        ended = await given_up(house.calls.logout(), turns)
        await house.ears.phase(SessionPhase.LOGGED_OUT)
        await house.calls.login("ann", "sig")
        assert [name for name, _ in house.rpc.asked].count("Logout") == 1
        assert house.calls.state.session is SessionPhase.ONLINE
        assert house.client.has_session
        await house.calls.stop()
        await house.client.close()
        turns += 1
    assert turns > 5


async def test_a_login_that_is_under_way_is_given_up_when_the_daemon_stops() -> None:
    house = House()
    house.rpc.stay = True
    login = asyncio.create_task(house.calls.login("ann", "sig"))
    await house.rpc.came.wait()
    async with asyncio.timeout(1):
        await house.calls.stop()
    with pytest.raises(Refused) as refused:
        await login
    assert refused.value.reason is Reason.SHUTTING_DOWN
    assert not house.client.has_session
    assert house.phases == []


# --------------------------------------------------------------------------------- parts that fail


@pytest.mark.looptime
@pytest.mark.parametrize("part", ["hub-signals", "hub-commands"])
async def test_a_part_that_fails_does_not_leave_a_session_that_only_seems_to_live(
    room: Room, part: str
) -> None:
    await room.login()
    since = len(room.ears.heard)
    with structlog.testing.capture_logs() as logs:
        if part == "hub-signals":
            room.client.send_signal("c", "bob", None)  # type: ignore[arg-type]
        else:
            room.client.perform(1, None)  # type: ignore[arg-type]
        await room.ears.phase(SessionPhase.RECONNECTING, since)
        await room.ears.phase(SessionPhase.ONLINE, since)
    (line,) = [line for line in logs if line["event"] == "hub_session_part_ended"]
    assert line["part"] == part
    assert line["where"]
    failed = [it for it in room.ears.heard if isinstance(it, HubFailed)]
    assert [it.error.reason for it in failed] == [Reason.INTERNAL] * (part == "hub-commands")
    room.client.perform(2, Accept("i"))
    await room.ears.until(lambda it: getattr(it, "op", 0) == 2)
    assert "Accept" in [name for name, _ in room.rpc.asked]


@pytest.mark.looptime
async def test_a_login_refused_before_the_welcome_says_why(room: Room) -> None:
    """The hub forgets the session at once and takes the UserSig no more."""
    room.rpc.refuse_stream = Refused(Reason.SESSION_UNKNOWN, "who?")
    room.rpc.script = [room.rpc.answer("Login"), Refused(Reason.USER_SIG_MISMATCH, "no")]
    with pytest.raises(Refused) as refused:
        await room.login()
    assert refused.value.reason is Reason.USER_SIG_MISMATCH
    assert not room.client.has_session


# ------------------------------------------------------------------------------- kicked out by itself


@pytest.mark.looptime
async def test_who_was_kicked_out_by_itself_waits_for_the_hub_without_seeming_to_be_there(room: Room) -> None:
    room.rpc.script = [opened("first")]
    await room.login()
    full = Refused(Reason.LIMIT_EXCEEDED, "later")
    room.rpc.script = [full] * 4
    room.rpc.stream.say(kicked("hall"))
    since = len(room.ears.heard)
    await room.ears.phase(SessionPhase.ONLINE, since)
    assert room.phases == [SessionPhase.ONLINE, SessionPhase.RECONNECTING, SessionPhase.ONLINE]
    assert room.rpc.script == []


@pytest.mark.looptime
@pytest.mark.parametrize(("seconds", "over"), [(60.0, True), (601.0, False)])
async def test_a_second_time_soon_it_is_another_device_of_that_name(
    room: Room, seconds: float, over: bool
) -> None:
    await room.login()
    for token, pause in (("second", seconds), ("third", 1.0)):
        room.rpc.script = [opened(token)]
        room.rpc.stream.say(kicked("hall"))
        await asyncio.sleep(pause)
    assert room.phases.count(SessionPhase.KICKED_OUT) == over
    assert room.client.has_session != over


def opened(token: str) -> hub_pb2.LoginResponse:
    return hub_pb2.LoginResponse(session_token=token, lease=Duration(seconds=30))


def kicked(device_id: str) -> hub_pb2.SubscribeResponse:
    return hub_pb2.SubscribeResponse(kicked_out=hub_pb2.KickedOut(device_id=device_id))


# --------------------------------------------------------------------------------- another UserSig

UNKNOWN = Refused(Reason.SESSION_UNKNOWN, "who?")


def sig(days: float, made: float = 0.0, user_id: str = "ann", app_id: int = 1) -> str:
    """One that was made `made` days from now."""
    return mint(app_id, "key", user_id, now=time.time() + made * 86400, expire=round(days * 86400))


def used(room: Room) -> list[str]:
    """The UserSigs of the logins that the hub took."""
    return [request.user_sig for _, request in room.rpc.asked if isinstance(request, hub_pb2.LoginRequest)]


async def lose(room: Room, *says: Refused) -> None:
    """The hub loses the session, and says so to the next logins."""
    since = len(room.ears.heard)
    room.rpc.script = list(says)
    room.rpc.stream.say(UNKNOWN)
    await room.ears.phase(SessionPhase.ONLINE, since)


@pytest.mark.looptime
async def test_another_user_sig_opens_the_next_session(room: Room) -> None:
    first, second, third = sig(1), sig(2), sig(3)
    await room.client.login("ann", first)
    room.client.renew(first)
    room.client.renew(second)
    room.client.renew(third)
    assert room.phases == [SessionPhase.ONLINE], "the session goes on"
    await lose(room)
    assert used(room) == [first, third]
    await lose(room)
    assert used(room) == [first, third, third]
    room.rpc.script = [Refused(Reason.USER_SIG_MISMATCH, "no")]
    room.rpc.stream.say(UNKNOWN)
    await room.ears.phase(SessionPhase.LOGGED_OUT)
    assert len(used(room)) == 3, "those before are forgotten once it is proven"


@pytest.mark.looptime
async def test_the_one_before_is_used_while_another_is_not_proven(room: Room) -> None:
    first = sig(1)
    await room.client.login("ann", first)
    room.client.renew(sig(2))
    room.client.renew(sig(3))
    await lose(room, Refused(Reason.USER_SIG_MISMATCH, "forged"))
    assert used(room) == [first, first]
    assert SessionPhase.LOGGED_OUT not in room.phases


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ("nonsense", Reason.USER_SIG_MALFORMED),
        (sig(1, user_id="bob"), Reason.USER_SIG_WRONG_USER),
        (sig(1, app_id=7), Reason.USER_SIG_WRONG_APP),
        (sig(1, made=-2), Reason.USER_SIG_EXPIRED),
    ],
)
async def test_one_that_is_no_good_is_refused_and_changes_nothing(
    room: Room, other: str, reason: Reason
) -> None:
    first = sig(1)
    await room.client.login("ann", first)
    with pytest.raises(Refused) as refused:
        room.client.renew(other)
    assert refused.value.reason is reason
    await lose(room)
    assert used(room) == [first, first]


@pytest.mark.looptime
async def test_a_hub_with_a_wrong_clock_ends_no_session(room: Room) -> None:
    first = sig(1)
    await room.client.login("ann", first)
    future = Refused(Reason.USER_SIG_EXPIRED, "compare the clocks", {"rule": MADE_IN_THE_FUTURE})
    ahead = Refused(Reason.USER_SIG_EXPIRED, "expired")
    with structlog.testing.capture_logs() as logs:
        await lose(room, *[future] * 20, *[ahead] * 20)
    assert room.phases == [SessionPhase.ONLINE, SessionPhase.RECONNECTING, SessionPhase.ONLINE]
    assert [line["event"] for line in logs].count("login_again_refused") == 1
