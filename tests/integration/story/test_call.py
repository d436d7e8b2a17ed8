"""A video call between two daemons, from the first ring to the last word."""

from __future__ import annotations

import asyncio

import pytest
from mediaagent import AgentError, Event
from mediaagent.v1 import call_pb2, media_pb2
from mediaagentd.demo.actor import Actor, having
from mediaagentd.demo.pictures import counter_of, luma_of_image, shows_label
from mediaagentd.demo.watching import watching

from tests.integration.story.scenes import both_end, invite, talk
from tests.integration.story.sound import level_of, listen, pitch_of
from tests.integration.story.stage import TONES, Stage

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_both_see_the_other_live(alice: Actor, bob: Actor) -> None:
    await talk(alice, bob)
    async with watching(alice, "bob") as of_bob, watching(bob, "alice") as of_alice:
        async with asyncio.timeout(20):
            await asyncio.gather(of_bob.more_numbers(40), of_alice.more_numbers(40))
        of_bob.check(1, least_fps=10)
        of_alice.check(1, least_fps=10)
    stats = (await bob.agent.stats()).peers[0]
    assert stats.user_id == "alice"
    assert (stats.decoded_width, stats.decoded_height) == (640, 480)
    assert stats.HasField("first_frame_time")
    assert stats.video_received.frames > 30


async def test_a_snapshot_shows_who_it_is(alice: Actor, bob: Actor) -> None:
    await talk(bob, alice)
    reply = await alice.agent.take_snapshot("bob")
    luma = luma_of_image(reply.image)
    assert luma.shape == (480, 640)
    assert counter_of(luma) is not None
    assert shows_label(luma, "bob")
    assert not shows_label(luma, "eve")
    assert (await alice.agent.take_snapshot("bob", "jpeg")).media_type == "image/jpeg"
    own = luma_of_image((await alice.agent.take_snapshot()).image)
    assert shows_label(own, "alice")


async def test_each_hears_the_others_tone(stage: Stage, alice: Actor, bob: Actor) -> None:
    await talk(alice, bob)
    async with watching(alice, "bob") as of_bob, watching(bob, "alice") as of_alice:
        sounds = await asyncio.gather(
            listen(stage.heard("alice"), of_bob, 2), listen(stage.heard("bob"), of_alice, 2)
        )
    for listener, speaker, sound in ((alice, "bob", sounds[0]), (bob, "alice", sounds[1])):
        assert pitch_of(sound) == pytest.approx(TONES[speaker], abs=3)
        assert level_of(sound, TONES[speaker]) > 2_000
        assert level_of(sound, TONES[listener.name]) < 200


async def test_a_muted_microphone_is_not_heard_and_the_other_knows(
    stage: Stage, alice: Actor, bob: Actor
) -> None:
    await talk(alice, bob)
    async with watching(alice, "bob") as watch:
        for mute in (True, False):
            mark = alice.mark
            assert (await bob.agent.set_mic_mute(mute)).is_mic_muted == mute
            expected = having(user_id="bob", is_audio_available=not mute)
            await alice.expect(Event.USER_AUDIO_AVAILABLE, mark, expected)
            sound = await listen(stage.heard("alice"), watch, 2)
            assert (level_of(sound, TONES["bob"]) < 200) == mute


async def until_no_video(end: Actor, user_id: str) -> None:
    """Until a snapshot is refused: the event comes by the hub, and may be sooner than the last picture."""
    while True:
        try:
            await end.agent.take_snapshot(user_id, timeout=1)
        except AgentError as error:
            if error.reason == "NO_VIDEO":
                return
            if error.reason != "TIMED_OUT":
                raise


async def test_a_camera_that_goes_off_and_on(alice: Actor, bob: Actor) -> None:
    await talk(alice, bob)
    async with watching(bob, "alice") as watch:
        await watch.first_picture()
        mark = bob.mark
        assert not (await alice.agent.close_camera()).is_camera_open
        await bob.expect(Event.USER_VIDEO_AVAILABLE, mark, having(user_id="alice", is_video_available=False))
        async with asyncio.timeout(15):
            await until_no_video(bob, "alice")
        mark = bob.mark
        assert (await alice.agent.open_camera()).is_camera_open
        await bob.expect(Event.USER_VIDEO_AVAILABLE, mark, having(user_id="alice", is_video_available=True))
        async with asyncio.timeout(15):
            await watch.more_numbers(10)


async def test_a_video_call_becomes_an_audio_call_and_back(alice: Actor, bob: Actor) -> None:
    await talk(alice, bob)
    async with watching(alice, "bob") as watch:
        await watch.first_picture()
        assert (await alice.agent.switch_to_audio_call()).type == call_pb2.CALL_TYPE_AUDIO
        await bob.expect_call(having(type=call_pb2.CALL_TYPE_AUDIO))
        assert not (await bob.agent.local_media()).is_camera_open
        assert (await bob.agent.switch_to_video_call()).type == call_pb2.CALL_TYPE_VIDEO
        await alice.expect_call(having(type=call_pb2.CALL_TYPE_VIDEO))
        async with asyncio.timeout(15):
            await watch.more_numbers(10)


async def test_a_switch_without_a_call_is_refused_and_raises_60001(alice: Actor, bob: Actor) -> None:
    mark = alice.mark
    with pytest.raises(AgentError) as refusal:
        await alice.agent.switch_to_audio_call()
    assert (refusal.value.reason, refusal.value.code) == ("SWITCH_NOT_ALLOWED", 60001)
    await alice.expect(Event.ERROR, mark, having(code=60001))


async def test_hanging_up_ends_it_for_both_and_twice_is_no_error(alice: Actor, bob: Actor) -> None:
    await talk(alice, bob)
    marks = alice.mark, bob.mark
    ended = await bob.agent.hangup()
    assert ended is not None
    await alice.expect(Event.USER_LEAVE, marks[0], having(user_id="bob"))
    await both_end((alice, bob), marks, call_pb2.END_REASON_HANGUP, "bob")
    assert await bob.agent.hangup() is None
    assert not (await bob.agent.local_media()).is_camera_open
    assert list(await bob.agent.views()) == []


async def test_a_rejected_call(alice: Actor, bob: Actor) -> None:
    marks = alice.mark, bob.mark
    await bob.agent.reject(await invite(alice, bob))
    await alice.expect(Event.REJECT, marks[0], having(user_id="bob"))
    await both_end((alice, bob), marks, call_pb2.END_REASON_REJECTED)
    assert not (await alice.agent.local_media()).is_camera_open


async def test_a_rejection_that_says_busy(alice: Actor, bob: Actor) -> None:
    marks = alice.mark, bob.mark
    await bob.agent.reject(await invite(alice, bob), is_busy=True)
    await alice.expect(Event.LINE_BUSY, marks[0], having(user_id="bob"))
    await both_end((alice, bob), marks, call_pb2.END_REASON_BUSY)


async def test_a_cancelled_call(alice: Actor, bob: Actor) -> None:
    marks = alice.mark, bob.mark
    invite_id = await invite(alice, bob)
    await alice.agent.hangup()
    await bob.expect(Event.CALLING_CANCEL, marks[1], having(invite_id=invite_id, user_id="alice"))
    await both_end((alice, bob), marks, call_pb2.END_REASON_CANCELLED)
    with pytest.raises(AgentError, match="INVITE_UNKNOWN"):
        await bob.agent.accept(invite_id)


async def test_a_call_that_nobody_answers(alice: Actor, bob: Actor) -> None:
    marks = alice.mark, bob.mark
    invite_id = await invite(alice, bob, "audio", timeout=1)
    await bob.expect(Event.CALLING_TIMEOUT, marks[1], having(invite_id=invite_id))
    no_resp = await alice.expect(Event.NO_RESP, marks[0])
    assert (no_resp.user_id, list(no_resp.user_id_list)) == ("bob", ["bob"])
    await both_end((alice, bob), marks, call_pb2.END_REASON_NO_RESPONSE)


async def test_the_quality_waits_for_the_next_call(alice: Actor, bob: Actor) -> None:
    await talk(alice, bob)
    reply = await alice.agent.set_video_quality("720p")
    assert reply.effect == media_pb2.QUALITY_EFFECT_NEXT_CALL
    assert reply.media.active_profile == media_pb2.VIDEO_PROFILE_480P
    await alice.agent.hangup()
    await bob.expect_call(having(state=call_pb2.CALL_STATE_ENDED))
    assert (await alice.agent.set_video_quality("480p")).effect == media_pb2.QUALITY_EFFECT_NOW


async def test_logging_out_hangs_up_first(alice: Actor, bob: Actor) -> None:
    await talk(alice, bob)
    mark = bob.mark
    await alice.agent.logout()
    await bob.expect(Event.CALL_END, mark)
    with pytest.raises(AgentError, match="NOT_LOGGED_IN"):
        await alice.agent.call("bob")
