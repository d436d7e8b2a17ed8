"""The engine over fake peers: connections, the camera, views, and what is reported."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from mediaagentd.call.signal import AnswerSdp, Candidate, Offer, Rebuild, Signal
from mediaagentd.call.types import CameraFailed, CameraOpened, PeerDown, PeerUp
from mediaagentd.errors import Reason, Refused
from mediaagentd.media.continuity import LACKING, PAUSE
from mediaagentd.media.leg import SIGNALS
from mediaagentd.media.link import OFFERS
from mediaagentd.media.types import UNKNOWN_LOSS, AudioFrame
from mediaagentd.media.views.types import LOCAL, FrameFormat, FramesView, View, WebrtcView, WindowView

from tests.unit.media.router.agent import PATIENCE, Agent, picture


async def test_who_offers_sends_the_offer_and_takes_the_answer(agent: Agent) -> None:
    agent.engine.open_peer("call", "bob", 2, True)
    await agent.signalled(1)
    assert agent.signals == [("call", "bob", Signal(2, Offer("offer")))]
    for body in (
        Candidate("bad", "0"),
        Candidate("good", "0"),
        AnswerSdp("one"),
        AnswerSdp("two"),
        Offer("x"),
    ):
        agent.engine.receive_signal("call", "bob", Signal(2, body))
    peer = agent.peers.of("bob")
    agent.engine.receive_signal("call", "bob", Signal(2, Candidate("last", "0")))
    while "last" not in peer.candidates:
        peer.changed.clear()
        await asyncio.wait_for(peer.changed.wait(), PATIENCE)
    assert peer.accepted == ["one"], "a second answer and a strange offer are ignored"
    assert peer.candidates == ["good", "last"], "a bad candidate costs no call"


async def test_who_is_offered_answers_also_what_came_early(agent: Agent) -> None:
    agent.engine.receive_signal("call", "bob", Signal(1, Offer("old")))
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("new")))
    agent.engine.receive_signal("other", "bob", Signal(2, Offer("of another call")))
    agent.engine.open_peer("call", "bob", 2, False)
    await agent.signalled(1)
    assert agent.signals == [("call", "bob", Signal(2, AnswerSdp("answer")))]
    assert agent.peers.of("bob").accepted == ["new"]


async def test_what_comes_of_a_connection_that_was_just_closed_is_nobodys(agent: Agent) -> None:
    peer = await agent.connect("bob")
    agent.engine.close_peer("call", "bob", 2)
    peer.link.on_video(picture())  # was on the event loop already
    agent.engine.open_peer("call", "bob", 4, True)
    peer.link.on_video(picture(1))
    assert agent.engine._board.arrived("bob") == 0


async def test_a_bad_description_is_final_and_a_flood_is_bounded(agent: Agent) -> None:
    agent.engine.open_peer("call", "bob", 2, False)
    for _ in range(SIGNALS * 2):
        agent.engine.receive_signal("call", "bob", Signal(2, Offer("bad")))
    await agent.reported(PeerDown("call", "bob", 2))
    assert len([report for report in agent.reports if isinstance(report, PeerDown)]) == 1


async def test_a_newer_attempt_replaces_the_older_one(agent: Agent) -> None:
    old = await agent.connect("bob", 2)
    new = await agent.connect("bob", 3)
    old.link.on_closed("late")
    agent.engine.close_peer("call", "bob", 2)
    assert not new.link._over
    await asyncio.wait_for(old.gone.wait(), PATIENCE)
    assert len(agent.peers.made) == 2
    assert not any(isinstance(report, PeerDown) for report in agent.reports)


async def test_a_relay_is_left_when_there_is_a_new_address(agent: Agent) -> None:
    old = await agent.connect("bob")
    old.is_relayed = True
    here = frozenset({old.local_address or "", "192.0.2.2"})
    assert agent.engine.network_changed(here) == 0, "the same as before"
    assert agent.engine.network_changed(here, frozenset({"192.0.2.2"})) == 1
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Offer("offer"), 1))
    assert not any(isinstance(report, PeerDown) for report in agent.reports)


async def test_a_connection_is_made_anew_beside_the_old_one(agent: Agent) -> None:
    old = await agent.connect("bob")
    assert agent.engine.network_changed(frozenset({old.local_address or ""})) == 0
    assert old.probes == 1, "an address that is still there has to prove itself"
    assert agent.engine.network_changed(frozenset({"192.0.2.1", "192.0.2.2"}), frozenset({"192.0.2.2"})) == 0
    assert agent.engine.network_changed(frozenset()) == 1, "it has gone"
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Offer("offer"), 1))
    new = agent.peers.of("bob")
    for generation in (0, 1, 2):
        agent.engine.receive_signal("call", "bob", Signal(2, AnswerSdp(f"answer {generation}"), generation))
    while not new.accepted:
        new.changed.clear()
        await asyncio.wait_for(new.changed.wait(), PATIENCE)
    assert new.accepted == ["answer 1"]
    agent.engine._board._links["bob"].send_audio(AudioFrame(b"before", 0, 0.0))
    new.link.on_connected()
    agent.engine._board._links["bob"].send_audio(AudioFrame(b"after", 0, 0.0))
    assert [frame.data for frame in old.audio] == [b"before"]
    assert [frame.data for frame in new.audio] == [b"after"]
    (figures,) = agent.engine.figures()
    assert figures.stats.audio_sent.packets == 2, "totals go on, also while the old one lingers"
    old.link.on_closed("late", by_far_end=True)
    assert not any(isinstance(report, PeerDown) for report in agent.reports)


async def test_one_that_is_being_made_goes_on_while_its_addresses_are_there(agent: Agent) -> None:
    agent.engine.open_peer("call", "bob", 2, True)
    await agent.signalled(1)
    peer, link = agent.peers.of("bob"), agent.engine._board._links["bob"]
    assert agent.engine.network_changed(peer.addresses) == 0
    assert agent.engine.network_changed(peer.addresses | {"fe80::1"}, frozenset({"fe80::1"})) == 0
    here = frozenset({"192.0.2.9"})
    assert agent.engine.network_changed(here, here) == 1, "its address has gone"
    assert agent.engine.network_changed(here) == 1
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Offer("offer"), 1))
    await asyncio.wait_for(peer.gone.wait(), PATIENCE)
    assert PAUSE <= link._state.begun - link._state.since < LACKING


async def test_one_generation_lingers_when_two_follow_each_other_soon(agent: Agent) -> None:
    peers = [await agent.connect("bob")]
    for generation in (1, 2):
        assert agent.engine.network_changed(None) == 1
        await agent.signalled(1 + generation)
        peers.append(agent.peers.of("bob"))
        peers[-1].link.on_connected()
    assert sorted(agent.engine._board._links["bob"]._legs) == [1, 2]
    await asyncio.wait_for(peers[0].gone.wait(), PATIENCE)
    assert not peers[1].gone.is_set()


async def test_nothing_is_known_of_the_losses_of_a_path_that_takes_anothers_place(agent: Agent) -> None:
    old = await agent.connect("bob")
    link = agent.engine._board._links["bob"]
    assert link.audio_loss == UNKNOWN_LOSS
    old.link.on_audio_loss(0.0)
    assert link.audio_loss == 0.0
    assert agent.engine._local._sound.heard[0] == 0.0
    assert agent.engine.network_changed(frozenset()) == 1
    await agent.signalled(2)
    agent.peers.of("bob").link.on_connected()
    assert link.audio_loss == UNKNOWN_LOSS
    assert agent.engine._local._sound.heard[0] == UNKNOWN_LOSS


async def test_who_does_not_offer_asks(agent: Agent) -> None:
    agent.engine.open_peer("call", "bob", 2, False)
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("first")))
    await agent.signalled(1)
    agent.peers.of("bob").link.on_connected()
    agent.peers.of("bob").link.on_closed("connection lost")
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Rebuild(), 1))
    await agent.reported(PeerDown("call", "bob", 2, final=False))
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("second"), 1))
    await agent.signalled(3)
    assert agent.signals[2] == ("call", "bob", Signal(2, AnswerSdp("answer"), 1))
    agent.reports.clear()
    agent.peers.of("bob").link.on_connected()
    await agent.reported(PeerUp("call", "bob", 2))


async def test_who_asks_for_one_connection_after_the_other_gets_few(agent: Agent) -> None:
    """Each is a certificate, sockets and an offer: in a group call the others would be heard no more."""
    await agent.connect("bob")
    for generation in range(1, 200):
        agent.engine.receive_signal("call", "bob", Signal(2, Rebuild(), generation))
        await asyncio.sleep(0)
    assert 1 < len(agent.peers.made) <= 1 + OFFERS


async def test_what_a_far_end_counts_does_not_run_over(agent: Agent) -> None:
    """The generation that follows would fit into no signal, and all signals of the session ended with it."""
    agent.engine.open_peer("call", "bob", 2, False)
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("first")))
    await agent.signalled(1)
    agent.peers.of("bob").link.on_connected()
    agent.engine.receive_signal("call", "bob", Signal(2, Offer("last"), 0xFFFFFFFF))
    agent.peers.of("bob").link.on_closed("connection lost")
    await agent.signalled(2)
    assert agent.signals[1] == ("call", "bob", Signal(2, Rebuild(), 1))


async def test_a_camera_that_is_not_there() -> None:
    agent = Agent(camera="/dev/video99")
    await agent.engine.start()
    agent.engine.probe_camera(7)
    async with asyncio.timeout(PATIENCE):
        while not agent.reports:
            await agent._changed.wait()
    failed = cast("CameraFailed", agent.reports[0])
    assert (failed.op, failed.error.reason) == (7, Reason.DEVICE_NOT_FOUND)
    assert failed.error.metadata["code"] == "60004"
    await agent.engine.stop()


async def test_a_camera_that_is_lost_is_told(agent: Agent) -> None:
    await agent.open_camera()
    agent.engine._on_camera_lost(Refused(Reason.DEVICE_FAILED, "gone"))
    assert isinstance(agent.reports[-1], CameraFailed)
    assert agent.reports[-1].op == 0
    with pytest.raises(Refused) as refused:
        await agent.engine.snapshot(LOCAL, None, 1.0)
    assert refused.value.reason is Reason.NO_VIDEO


async def test_a_release_during_the_probe_wins(agent: Agent) -> None:
    agent.engine.probe_camera(1)
    agent.engine.release_camera()
    await agent.reported(CameraOpened(1))
    assert not agent.engine._camera_open


async def test_views_are_refused_as_documented(agent: Agent) -> None:
    frames = FramesView(FrameFormat.JPEG)
    with pytest.raises(Refused) as refused:
        await agent.engine.start_view(View("v", "bob", frames))
    assert refused.value.reason is Reason.USER_NOT_IN_CALL
    await agent.connect("bob")
    await agent.engine.start_view(View("v", "bob", frames))
    await agent.engine.start_view(View("v", "bob", frames))
    for view, reason in (
        (View("v", LOCAL, frames), Reason.VIEW_EXISTS),
        (View("w", "bob", WindowView("tv")), Reason.FIELD_INVALID),
        (View("x", "bob", WebrtcView("offer")), Reason.SIGNAL_INVALID),
    ):
        with pytest.raises(Refused) as refused:
            await agent.engine.start_view(view)
        assert refused.value.reason is reason
    for view_id, user_id in (("v", LOCAL), ("v", "carol"), ("w", None)):
        with pytest.raises(Refused) as refused:
            agent.engine.stop_view(view_id, user_id)
        assert refused.value.reason is Reason.VIEW_UNKNOWN
    with pytest.raises(Refused):
        agent.engine.watch("w")
    assert agent.engine.views() == (View("v", "bob", frames),)
    agent.engine.stop_view("v", None)
    assert agent.engine.views() == ()


@pytest.mark.parametrize("kind", [WindowView("tv"), WebrtcView("offer")], ids=["window", "page"])
async def test_a_view_that_cannot_begin_ends_also_when_whoever_asked_has_left(
    agent: Agent, kind: WindowView | WebrtcView
) -> None:
    asks = asyncio.create_task(agent.engine.start_view(View("v", LOCAL, kind)))
    await asyncio.sleep(0)
    assert agent.engine.views()
    asks.cancel()
    async with asyncio.timeout(PATIENCE):
        while agent.engine.views():  # noqa: ASYNC110 # nothing tells of it
            await asyncio.sleep(0.01)
    assert asks.cancelled()


async def test_the_views_of_one_who_leaves_end_but_outlive_a_new_attempt(agent: Agent) -> None:
    await agent.connect("bob", 2)
    await agent.engine.start_view(View("v", "bob", FramesView(FrameFormat.ENCODED)))
    watching = agent.engine.watch("v")
    waiting = asyncio.ensure_future(anext(watching, None))
    agent.engine.close_peer("call", "bob", 2)
    again = await agent.connect("bob", 3)
    again.link.on_video(picture())
    seen = await asyncio.wait_for(waiting, PATIENCE)
    assert seen is not None
    assert seen.data == b"picture"
    waiting = asyncio.ensure_future(anext(watching, None))
    agent.engine.close_peer("call", "bob", 3)
    assert await asyncio.wait_for(waiting, PATIENCE) is None
    assert agent.engine.views() == ()


async def test_snapshots_are_refused_as_documented(agent: Agent) -> None:
    for user_id, reason in (("bob", Reason.USER_NOT_IN_CALL), (LOCAL, Reason.NO_VIDEO)):
        with pytest.raises(Refused) as refused:
            await agent.engine.snapshot(user_id, None, 1.0)
        assert refused.value.reason is reason
    bob = await agent.connect("bob")
    with pytest.raises(Refused) as refused:
        await agent.engine.snapshot("bob", None, 0.05)
    assert refused.value.reason is Reason.NO_VIDEO
    assert bob.keyframe_requests == 1, "a decoder that starts asks for a keyframe"
    waiting = asyncio.ensure_future(agent.engine.snapshot("bob", None, 0.3))
    await asyncio.sleep(0)
    bob.link.on_video(picture(keyframe=False))
    with pytest.raises(Refused) as refused:
        await waiting
    assert refused.value.reason is Reason.TIMED_OUT


async def test_a_snapshot_of_one_who_leaves_ends_at_once(agent: Agent) -> None:
    await agent.connect("bob")
    waiting = asyncio.ensure_future(agent.engine.snapshot("bob", None, PATIENCE))
    await asyncio.sleep(0)
    agent.engine.close_peer("call", "bob", 2)
    with pytest.raises(Refused) as refused:
        await asyncio.wait_for(waiting, 1.0)
    assert refused.value.reason is Reason.USER_NOT_IN_CALL
