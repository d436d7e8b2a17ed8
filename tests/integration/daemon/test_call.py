"""A whole video call between two daemons and a hub, each a process, with synthetic media."""

from __future__ import annotations

from pathlib import Path

from mediaagent.v1 import agent_pb2, call_pb2, event_pb2, media_pb2, session_pb2, view_pb2

from tests.integration.daemon.driver import WITHIN, Driver, drive
from tests.integration.processes import agent, house


async def test_two_daemons_call_each_other(tmp_path: Path) -> None:
    async with (
        house(tmp_path, "ann", "bob", video_profile="480p") as (the_hub, (left, right)),
        drive(left) as ann,
        drive(right) as bob,
    ):
        await ann.login(the_hub)
        await bob.login(the_hub)
        call = await _ann_calls_and_bob_accepts(ann, bob)
        await _each_sees_the_other(ann, bob)
        await _muted_and_switched(ann, bob, call)
        await _over_for_both(ann, bob, call)
        out = await ann.session.Logout(session_pb2.LogoutRequest(), timeout=WITHIN)
        assert out.session.state == session_pb2.SESSION_STATE_LOGGED_OUT


async def _ann_calls_and_bob_accepts(ann: Driver, bob: Driver) -> call_pb2.Call:
    call = await ann.dial("bob", call_pb2.CALL_TYPE_VIDEO)
    assert call.state == call_pb2.CALL_STATE_DIALLING
    invited = (await bob.event(event_pb2.EVENT_TYPE_INVITED)).invited
    assert (invited.sponsor, list(invited.user_id_list)) == ("ann", ["bob"])
    assert invited.call.call_id == call.call_id
    data = invited.invite_data
    accept = call_pb2.AcceptRequest(
        invite_id=invited.invite_id, room_id=data.room_id, call_type=data.call_type
    )
    await bob.call.Accept(accept, timeout=WITHIN)
    await ann.connected("bob")
    await bob.connected("ann")
    return call


async def _each_sees_the_other(ann: Driver, bob: Driver) -> None:
    for looker, other in ((ann, "bob"), (bob, "ann")):
        request = view_pb2.TakeSnapshotRequest(user_id=other)
        snapshot = await looker.view.TakeSnapshot(request, timeout=WITHIN)
        assert snapshot.image.startswith(b"\x89PNG")
        assert (snapshot.width, snapshot.height) == (640, 480)


async def _muted_and_switched(ann: Driver, bob: Driver, call: call_pb2.Call) -> None:
    await ann.media.SetMicMute(media_pb2.SetMicMuteRequest(is_mute=True))
    audio = await bob.event(event_pb2.EVENT_TYPE_USER_AUDIO_AVAILABLE)
    while audio.user_audio_changed.is_audio_available:
        audio = await bob.event(event_pb2.EVENT_TYPE_USER_AUDIO_AVAILABLE)
    assert audio.user_audio_changed.user_id == "ann"
    switched = await bob.call.SwitchToAudioCall(call_pb2.SwitchToAudioCallRequest(), timeout=WITHIN)
    assert switched.call.type == call_pb2.CALL_TYPE_AUDIO
    shown = (await bob.call.GetCall(call_pb2.GetCallRequest())).call
    assert (shown.call_id, shown.type) == (call.call_id, call_pb2.CALL_TYPE_AUDIO)
    session = (await bob.session.GetSession(session_pb2.GetSessionRequest())).session
    assert (session.user_id, session.state) == ("bob", session_pb2.SESSION_STATE_ONLINE)
    (peer,) = (await ann.agent.GetStats(agent_pb2.GetStatsRequest())).peers
    assert peer.user_id == "bob"
    assert peer.video_received.frames > 0


async def _over_for_both(ann: Driver, bob: Driver, call: call_pb2.Call) -> None:
    ended = await ann.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)
    assert ended.call.end_reason == call_pb2.END_REASON_HANGUP
    there = (await bob.event(event_pb2.EVENT_TYPE_CALL_END)).call_ended.call
    assert (there.call_id, there.ended_by) == (call.call_id, "ann"), there
    assert not (await ann.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)).HasField("call")
    assert not (await ann.call.GetCall(call_pb2.GetCallRequest())).HasField("call")
    assert not (await ann.status()).media.is_camera_open


async def test_echo_answers_and_a_client_that_comes_back_misses_nothing(tmp_path: Path) -> None:
    async with house(tmp_path, "ann") as (the_hub, (left,)):
        echo_settings = {"user_id": "echo", "user_sig": the_hub.mint("echo")}
        async with agent(tmp_path, "echo", the_hub, command="echo", **echo_settings), drive(left) as ann:
            await ann.login(the_hub)
            await ann.dial("echo", call_pb2.CALL_TYPE_AUDIO)
            await ann.connected("echo")
            await ann.call.Hangup(call_pb2.HangupRequest(), timeout=WITHIN)
            await ann.event(event_pb2.EVENT_TYPE_CALL_END)
