"""Group calls of real daemons: everyone sees everyone, comes, goes, and is told of the others."""

from __future__ import annotations

import asyncio

import pytest
from mediaagent import AgentError, Event
from mediaagent.v1 import call_pb2
from mediaagentd.demo.actor import having
from mediaagentd.demo.pictures import counter_of
from mediaagentd.demo.watching import watching

from tests.integration.group.crowd import Crowd, pairs, portrait

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_five_see_each_other(crowd: Crowd) -> None:
    actors = crowd.actors
    await crowd.talk(actors)
    for viewer in actors:
        others = [other.name for one, other in pairs(actors) if one is viewer]
        for name in others:
            async with watching(viewer, name) as watch, asyncio.timeout(20):
                await watch.more_numbers(3)
            assert watch.numbers == sorted(set(watch.numbers))
        assert counter_of(await portrait(viewer, others[0])) is not None
        stats = await viewer.agent.stats()
        assert {peer.user_id for peer in stats.peers} == set(others)
        assert all(peer.video_received.frames > 10 for peer in stats.peers)
        assert all(peer.audio_received.packets > 10 for peer in stats.peers)
    marks = [actor.mark for actor in actors]
    for number, leaver in enumerate(actors[:4]):
        await leaver.agent.hangup()
        await actors[number + 1].expect(Event.USER_LEAVE, marks[number + 1], having(user_id=leaver.name))
    end = (await actors[4].expect(Event.CALL_END, marks[4])).call
    assert (end.end_reason, end.ended_by) == (call_pb2.END_REASON_HANGUP, "dave")


async def test_each_outcome_reaches_the_caller_and_then_it_is_over(crowd: Crowd) -> None:
    alice, bob, carol, dave, eve = crowd.actors
    marks = {actor.name: actor.mark for actor in crowd.actors}
    await alice.agent.group_call(["bob", "carol", "dave", "eve"], "audio", timeout=1.5)
    await bob.agent.reject((await bob.expect(Event.INVITED, marks["bob"])).invite_id)
    await carol.agent.reject((await carol.expect(Event.INVITED, marks["carol"])).invite_id, is_busy=True)
    await alice.expect(Event.REJECT, marks["alice"], having(user_id="bob"))
    await alice.expect(Event.LINE_BUSY, marks["alice"], having(user_id="carol"))
    silent = await alice.expect(Event.NO_RESP, marks["alice"])
    assert list(silent.user_id_list) == ["dave", "eve"]
    end = (await alice.expect(Event.CALL_END, marks["alice"])).call
    assert end.end_reason == call_pb2.END_REASON_NO_RESPONSE
    for actor in (dave, eve):
        await actor.expect(Event.CALLING_TIMEOUT, marks[actor.name])
        missed = await actor.expect(Event.MISSED_CALL, marks[actor.name])
        assert (missed.record.sponsor, missed.record.owner_id) == ("alice", actor.name)


async def test_a_call_of_two_grows_and_one_joins_by_itself(crowd: Crowd) -> None:
    alice, bob, carol, dave, _ = crowd.actors
    marks = {actor.name: actor.mark for actor in crowd.actors}
    await alice.agent.call("bob", "audio", timeout=30)
    await crowd.answer(bob, marks["bob"])
    await bob.expect(Event.USER_ENTER, marks["bob"])
    # Bob, who was called, asks carol and dave in: what becomes of that is told to him.
    grown = await bob.agent.invite_users(["carol", "dave"], timeout=20)
    assert grown.is_group
    invited = await carol.expect(Event.INVITED, marks["carol"])
    assert (invited.sponsor, sorted(invited.user_id_list)) == ("bob", ["carol", "dave"])
    await carol.agent.accept(invited.invite_id)
    asked = await dave.expect(Event.INVITED, marks["dave"])
    await dave.agent.reject(asked.invite_id)
    await bob.expect(Event.REJECT, marks["bob"], having(user_id="dave"))
    await alice.expect(Event.USER_ENTER, marks["alice"], having(user_id="carol"))
    assert "REJECT" not in [alice._name(event) for event in alice._journal[marks["alice"] :]]
    # Who said no may think better of it.
    await dave.agent.join_group_call(call_id=grown.call_id)
    for actor in (alice, bob, carol):
        await actor.expect(Event.USER_ENTER, marks[actor.name], having(user_id="dave"))
    with pytest.raises(AgentError, match="SWITCH_NOT_ALLOWED"):
        await alice.agent.switch_to_video_call()


async def test_a_group_is_called_with_one_message_and_joined_by_its_name(crowd: Crowd) -> None:
    alice, bob, carol, dave, _ = crowd.actors
    await alice.agent.groups.create(["bob", "carol"], group_id="team", name="Team")
    marks = {actor.name: actor.mark for actor in crowd.actors}
    with pytest.raises(AgentError, match="NOT_A_GROUP_MEMBER"):
        await alice.agent.group_call(["dave"], "audio", "team")
    with pytest.raises(AgentError, match="CALL_UNKNOWN"):
        await carol.agent.join_group_call(group_id="team")
    await alice.agent.group_call(group_id="team", type="audio", timeout=30)
    invited = await bob.expect(Event.INVITED, marks["bob"])
    assert (invited.is_from_group, sorted(invited.user_id_list)) == (True, ["bob", "carol"])
    await bob.agent.accept(invited.invite_id)
    await carol.agent.join_group_call(group_id="team")  # It rings here: joining answers it.
    await alice.expect(Event.USER_ENTER, marks["alice"], having(user_id="carol"))
    assert (await bob.agent.groups.get("team")).active_call_id == invited.call.call_id
    with pytest.raises(AgentError, match="NOT_A_GROUP_MEMBER"):
        await dave.agent.join_group_call(group_id="team")
    with pytest.raises(AgentError, match="GROUP_RIGHTS"):
        await bob.agent.groups.delete("team")
    for actor in (bob, carol):
        await actor.agent.hangup()
    await alice.expect(Event.CALL_END, marks["alice"])
    await alice.agent.groups.delete("team")
    assert [group.group_id async for group in alice.agent.groups.list()] == []


async def test_more_than_a_call_may_have_is_refused_with_the_limit(crowd: Crowd) -> None:
    eve = crowd.actors[4]
    for name in ("fay", "eve"):  # The hub knows whoever was logged in once.
        await eve.agent.logout()
        await eve.agent.login(name, crowd.hub.mint(name))
    with pytest.raises(AgentError) as refusal:
        await crowd.actors[0].agent.group_call(["bob", "carol", "dave", "eve", "fay"])
    assert refusal.value.reason == "CALL_FULL"
    assert refusal.value.metadata["value"] == "5"
    assert "5" in refusal.value.message
