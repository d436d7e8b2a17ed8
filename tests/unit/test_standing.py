"""The configured user stays logged in for as long as the daemon runs. Time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine

import pytest
import structlog
from mediaagentd.call.types import SessionChanged, SessionPhase
from mediaagentd.calls import Calls
from mediaagentd.config import Config, ConfigError
from mediaagentd.errors import Reason, Refused
from mediaagentd.expiry import DAY
from mediaagentd.standing import StandingLogin
from mediaagentd.usersig import MADE_IN_THE_FUTURE
from pydantic import SecretStr

from tests.fakes.media_port import FakeMedia
from tests.fakes.records import FakeRecords
from tests.fakes.signalling import FakeSignalling

pytestmark = pytest.mark.looptime

ONLINE, LOGGED_OUT = SessionPhase.ONLINE, SessionPhase.LOGGED_OUT
FUTURE = Refused(Reason.USER_SIG_EXPIRED, "compare the clocks", {"rule": MADE_IN_THE_FUTURE})
EXPIRED = Refused(Reason.USER_SIG_EXPIRED, "expired")
UNREACHABLE = Refused(Reason.HUB_UNREACHABLE, "nobody there")


def config(user_sig: str = "first", user_id: str = "ann") -> Config:
    return Config(user_id=user_id, user_sig=SecretStr(user_sig))


class Silent:
    """A publisher that nobody reads."""

    def publish(self, event: object) -> None:
        pass


class House:
    """A daemon's calls and its standing login; `configured` is what the configuration says by now."""

    def __init__(self) -> None:
        self.signalling = FakeSignalling()
        self.calls = Calls(self.signalling, FakeMedia(), Silent(), FakeRecords())
        self.configured: Config | Exception = config()
        self.standing = StandingLogin(self.calls, config(), self._read)
        self.signalling.report = self._report
        self.online = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def begin(self, refusal: Refused | None = None) -> None:
        """The daemon starts; what the hub says to logins."""
        self.signalling.refuses_login = refusal
        self.task = asyncio.create_task(self.standing.run())

    def _report(self, report: object) -> None:
        assert isinstance(report, SessionChanged)
        self.calls.handle(report)
        self.standing.look()
        if report.session is ONLINE:
            self.online.set()

    def _read(self) -> Config:
        if isinstance(self.configured, Exception):
            raise self.configured
        return self.configured

    @property
    def logins(self) -> list[str]:
        return self.signalling.logins

    @property
    def session(self) -> SessionPhase:
        return self.calls.state.session

    def lose(self, phase: SessionPhase = LOGGED_OUT) -> None:
        """The session ends by the hub's word."""
        self.online.clear()
        self.signalling.has_session = False
        self._report(SessionChanged(phase, "" if phase is LOGGED_OUT else "ann", "hall"))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    yield made
    assert made.task is not None
    assert not made.task.done()
    made.task.cancel()
    await asyncio.wait([made.task])


@pytest.mark.parametrize(
    "reason", [Reason.HUB_UNREACHABLE, Reason.INTERNAL, Reason.LIMIT_EXCEEDED, Reason.SHUTTING_DOWN]
)
async def test_what_may_pass_is_tried_again_soon(house: House, reason: Reason) -> None:
    house.begin(Refused(reason, "no"))
    await asyncio.sleep(60)
    assert len(house.logins) > 8
    house.signalling.refuses_login = None
    await asyncio.sleep(8)
    assert house.session is ONLINE


async def test_a_hub_whose_clock_is_behind_is_tried_again_soon(house: House) -> None:
    house.begin(FUTURE)
    await asyncio.sleep(3600)
    house.signalling.refuses_login = None
    await asyncio.sleep(8)
    assert house.session is ONLINE


@pytest.mark.parametrize(
    "reason", [Reason.USER_SIG_EXPIRED, Reason.USER_SIG_MISMATCH, Reason.USER_ID_INVALID]
)
async def test_what_somebody_has_to_mend_is_tried_again_slowly_and_for_ever(
    house: House, reason: Reason
) -> None:
    house.begin(Refused(reason, "no"))
    await asyncio.sleep(14)
    assert len(house.logins) == 1
    await asyncio.sleep(7 * DAY)
    assert 7 * DAY / 600 < len(house.logins) < 7 * DAY / 290
    house.signalling.refuses_login = None
    await asyncio.sleep(601)
    assert house.session is ONLINE


async def test_each_slow_attempt_reads_the_configuration_again(house: House) -> None:
    house.begin(EXPIRED)
    await asyncio.sleep(3600)
    assert set(house.logins) == {"first"}
    house.configured = ConfigError("half written")
    await asyncio.sleep(3600)
    house.configured = config("of another user", user_id="bob")
    await asyncio.sleep(3600)
    assert set(house.logins) == {"first"}
    house.configured = OSError("/etc/mediaagent/agent.toml: there is no such file, or it may not be read")
    await asyncio.sleep(3600)
    house.configured = config("second")
    await asyncio.sleep(601)
    assert house.logins[-1] == "second"


async def test_a_defect_is_no_reason_to_stay_away(house: House) -> None:
    house.begin(EXPIRED)
    house.configured = RuntimeError("can't start new thread")
    with structlog.testing.capture_logs() as logs:
        await asyncio.sleep(3600)
    assert {"event": "standing_login_failed", "log_level": "error", "error": "RuntimeError"} in logs
    house.signalling.refuses_login = None
    await asyncio.sleep(601)
    assert house.session is ONLINE


async def test_a_session_that_is_lost_is_opened_again_with_what_is_configured_by_then(house: House) -> None:
    house.begin()
    await asyncio.sleep(1)
    house.configured = config("second")
    house.lose()
    await asyncio.sleep(1)
    assert house.logins == ["first", "second"]
    assert house.session is ONLINE


async def test_a_session_that_is_lost_at_once_each_time_is_opened_slowly(house: House) -> None:
    """Two hubs behind one address, one of which knows another key."""
    house.begin()
    for _ in range(100):
        await house.online.wait()
        house.lose()
    assert asyncio.get_running_loop().time() > 100 * 14


async def test_a_newer_login_and_a_clients_logout_are_respected(house: House) -> None:
    house.begin()
    await asyncio.sleep(1)
    house.lose(SessionPhase.KICKED_OUT)
    await asyncio.sleep(DAY)
    assert house.logins == ["first"]
    await house.calls.login("ann", "by hand")
    house.lose()
    await asyncio.sleep(31)
    assert house.logins == ["first", "by hand", "first"]
    await house.calls.logout()
    await asyncio.sleep(DAY)
    assert len(house.logins) == 3
    await house.calls.login("ann", "by hand")
    house.lose()
    await asyncio.sleep(31)
    assert house.logins[3:] == ["by hand", "first"]


async def test_a_login_that_is_refused_for_a_newer_one_waits_for_a_hand(house: House) -> None:
    house.begin(Refused(Reason.KICKED_OUT, "somebody else"))
    await asyncio.sleep(DAY)
    assert house.logins == ["first"]


async def test_a_logout_ends_the_attempts_and_a_login_by_hand_begins_them(house: House) -> None:
    house.begin(UNREACHABLE)
    await asyncio.sleep(60)
    await house.calls.logout()
    tried = len(house.logins)
    await asyncio.sleep(DAY)
    assert len(house.logins) <= tried + 1, "one may have been under way"
    house.signalling.refuses_login = None
    await house.calls.login("bob", "sig")
    await asyncio.sleep(DAY)
    assert house.calls.state.user_id == "bob"


async def test_a_user_sig_that_is_replaced_in_time_is_kept_for_the_next_session(house: House) -> None:
    house.begin()
    await asyncio.sleep(1)
    house.configured = config("second")
    await asyncio.sleep(2 * DAY)
    assert house.logins == ["first"], "the session is not touched"
    assert house.signalling.user_sig == "second"


async def test_it_is_kept_as_well_where_the_hub_is_lost_every_night(house: House) -> None:
    house.begin()
    await asyncio.sleep(1)
    house.configured = config("second")
    for _ in range(3):
        await asyncio.sleep(DAY - 60)
        for phase in (SessionPhase.RECONNECTING, ONLINE):
            house.calls.handle(SessionChanged(phase, "ann", "", "hall"))
            house.standing.look()
    assert house.logins == ["first"]
    assert house.signalling.user_sig == "second"


async def test_it_is_no_reason_to_push_out_a_newer_login(house: House) -> None:
    house.begin()
    await asyncio.sleep(1)
    house.lose(SessionPhase.KICKED_OUT)
    house.configured = config("second")
    await asyncio.sleep(3 * DAY)
    assert house.logins == ["first"]
    assert house.session is SessionPhase.KICKED_OUT


async def test_a_login_by_hand_that_fails_ends_a_logout_too(house: House) -> None:
    house.begin()
    await asyncio.sleep(1)
    await house.calls.logout()
    await asyncio.sleep(60)
    house.signalling.refuses_login = UNREACHABLE
    assert await given_up(house.calls.login("ann", "sig"))
    await asyncio.sleep(60)
    house.signalling.refuses_login = None
    await asyncio.sleep(8)
    assert house.session is ONLINE


async def test_a_logout_that_waits_for_another_login_to_fail_is_respected_too(house: House) -> None:
    """Whoever comes behind it: the standing login asks when its pause is over."""
    house.begin(UNREACHABLE)
    await asyncio.sleep(60)
    fails = asyncio.Event()

    async def slow(user_id: str, user_sig: str) -> None:
        await fails.wait()
        raise UNREACHABLE

    login, house.signalling.login = house.signalling.login, slow  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as clients:
        by_hand = clients.create_task(given_up(house.calls.login("bob", "sig")))
        await asyncio.sleep(0)
        clients.create_task(house.calls.logout())
        await asyncio.sleep(10)
        house.signalling.login, house.signalling.refuses_login = login, None  # type: ignore[method-assign]
        fails.set()
        assert await by_hand
    await asyncio.sleep(DAY)
    assert house.session is LOGGED_OUT


async def given_up(login: Coroutine[None, None, None]) -> bool:
    """Whether the hub was out of reach."""
    try:
        await login
    except Refused as refused:
        return refused.reason is Reason.HUB_UNREACHABLE
    return False


async def test_who_waits_for_the_login_hears_of_success_and_of_refusal(house: House) -> None:
    loop = asyncio.get_running_loop()
    house.begin(UNREACHABLE)
    await house.standing.settled(5.0)
    assert loop.time() == pytest.approx(5.0, abs=0.1)
    house.signalling.refuses_login = EXPIRED
    await house.standing.settled(100.0)
    assert loop.time() < 15
