"""One user on several devices: all ring, the first to answer wins, the others learn which it was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest
import pytest_asyncio
from mediaagent import AgentError, Event
from mediaagent.v1 import call_pb2, session_pb2
from mediaagentd.children import free_port
from mediaagentd.demo.actor import Actor, having

from tests.integration import processes

pytestmark = pytest.mark.asyncio(loop_scope="module")

DEVICES = ("alice", "kitchen", "hall")


@dataclass
class Home:
    """Alice on one device, bob on two."""

    hub: processes.Hub
    alice: Actor
    kitchen: Actor
    hall: Actor

    async def rings(self, kind: str = "audio", timeout: float = 30) -> tuple[str, dict[str, int]]:
        """Alice calls bob; both of his devices ring. The invitation, and where each journal was."""
        marks = {name: getattr(self, name).mark for name in DEVICES}
        await self.alice.agent.call("bob", kind, timeout)
        invited = [
            await device.expect(Event.INVITED, marks[device.name]) for device in (self.kitchen, self.hall)
        ]
        assert invited[0].invite_id == invited[1].invite_id
        return str(invited[0].invite_id), marks


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    directory = tmp_path_factory.mktemp("devices")
    port = free_port()
    hub = processes.hub(directory, port=port, login_policy="multi")
    target = f"127.0.0.1:{port}"
    daemons = (processes.agent(directory, name, target, video_profile="480p") for name in DEVICES)
    async with AsyncExitStack() as stack:
        the_hub, agents = await stack.enter_async_context(processes.household(hub, *daemons))
        actors = [
            await stack.enter_async_context(Actor(name, agent.socket))
            for name, agent in zip(DEVICES, agents, strict=True)
        ]
        yield Home(the_hub, *actors)


@pytest_asyncio.fixture(loop_scope="module")
async def home(house: Home) -> AsyncIterator[Home]:
    await house.alice.agent.login("alice", house.hub.mint("alice"))
    for device in (house.kitchen, house.hall):
        await device.agent.login("bob", house.hub.mint("bob"))
    yield house
    for actor in (house.alice, house.kitchen, house.hall):
        await actor.agent.logout()


async def test_the_first_to_answer_wins_and_has_the_call_for_itself(home: Home) -> None:
    invite_id, marks = await home.rings("video")
    await home.kitchen.agent.accept(invite_id)
    end = (await home.hall.expect(Event.CALL_END, marks["hall"])).call
    assert (end.end_reason, end.other_device_id) == (call_pb2.END_REASON_ANSWERED_ELSEWHERE, "kitchen")
    await home.alice.expect(Event.USER_ENTER, marks["alice"], having(user_id="bob"))
    # No media and no command in the call for the device that did not answer.
    with pytest.raises(AgentError, match="INVITE_UNKNOWN"):
        await home.hall.agent.accept(invite_id)
    with pytest.raises(AgentError, match="SWITCH_NOT_ALLOWED"):
        await home.hall.agent.switch_to_audio_call()
    with pytest.raises(AgentError, match="NO_CALL"):
        await home.hall.agent.invite_users(["alice"])
    with pytest.raises(AgentError, match="CALL_IN_PROGRESS"):
        await home.hall.agent.call("alice", "audio")
    with pytest.raises(AgentError, match="USER_NOT_IN_CALL"):
        await home.hall.agent.take_snapshot("alice", timeout=0.1)
    assert await home.hall.agent.hangup() is None
    assert not (await home.hall.agent.local_media()).is_camera_open
    assert not (await home.hall.agent.stats()).peers
    await home.kitchen.agent.switch_to_audio_call()
    await home.kitchen.agent.hangup()
    await home.alice.expect(Event.CALL_END, marks["alice"])
    record = (await home.hall.agent.history.page(size=1)).records[0]
    assert (record.is_missed, record.other_device_id) == (False, "kitchen")


async def test_what_one_device_declines_is_declined(home: Home) -> None:
    invite_id, marks = await home.rings()
    await home.hall.agent.reject(invite_id)
    await home.alice.expect(Event.REJECT, marks["alice"], having(user_id="bob"))
    end = (await home.kitchen.expect(Event.CALL_END, marks["kitchen"])).call
    assert (end.end_reason, end.other_device_id) == (call_pb2.END_REASON_DECLINED_ELSEWHERE, "hall")


async def test_both_answer_at_once(home: Home) -> None:
    invite_id, marks = await home.rings()
    answers = await asyncio.gather(
        *(device.agent.accept(invite_id) for device in (home.kitchen, home.hall)), return_exceptions=True
    )
    lost = [answer for answer in answers if isinstance(answer, AgentError)]
    assert [error.reason for error in lost] == ["INVITE_UNKNOWN"]
    loser, winner = (home.kitchen, home.hall) if answers[0] is lost[0] else (home.hall, home.kitchen)
    end = (await loser.expect(Event.CALL_END, marks[loser.name])).call
    assert (end.end_reason, end.other_device_id) == (
        call_pb2.END_REASON_ANSWERED_ELSEWHERE,
        winner.name,
    )
    await home.alice.expect(Event.USER_ENTER, marks["alice"], having(user_id="bob"))


async def test_nobody_answers_anywhere(home: Home) -> None:
    _, marks = await home.rings(timeout=1)
    for device in (home.kitchen, home.hall):
        await device.expect(Event.CALLING_TIMEOUT, marks[device.name])
        await device.expect(Event.MISSED_CALL, marks[device.name])


async def test_one_device_leaves_and_the_other_stays(home: Home) -> None:
    await home.hall.agent.logout()
    session = await home.kitchen.agent.session()
    assert session.state == session_pb2.SESSION_STATE_ONLINE
    marks = home.kitchen.mark, home.alice.mark
    await home.alice.agent.call("bob", "audio", timeout=30)
    invited = await home.kitchen.expect(Event.INVITED, marks[0])
    await home.kitchen.agent.accept(invited.invite_id)
    await home.alice.expect(Event.USER_ENTER, marks[1], having(user_id="bob"))
