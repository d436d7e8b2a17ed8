"""A connection is made anew under the same call: picture, sound, views and recordings go on."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path

import av
import pytest
from aioice.ice import StunProtocol
from mediaagentd.call.signal import Offer, Rebuild, Signal
from mediaagentd.call.types import PeerDown, PeerUp
from mediaagentd.media import continuity
from mediaagentd.media.capture.pattern import read_counter
from mediaagentd.media.capture.planes import luma_of
from mediaagentd.media.link import Link
from mediaagentd.media.rtc import consent, seams
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import VideoCodec
from mediaagentd.media.views.types import FileView, View

from tests.integration.media.pair import CALL, Pair, Side, settings, until


def link(side: Side) -> Link:
    return side.engine._board._links[side.other.user_id]


def present(side: Side) -> Peer:
    """This side's connection as it is now."""
    leg = link(side)._current
    assert leg is not None
    assert isinstance(leg.peer, Peer)
    return leg.peer


def ears(side: Side) -> list[StunProtocol]:
    """Where the far end's present connection takes what this side sends."""
    return list(seams.ice_transport(present(side.other)._connection)._connection._protocols)


def deafen(side: Side) -> None:
    """What this side's present connection sends is lost from now on."""
    for protocol in ears(side):
        protocol.__dict__["datagram_received"] = lambda *_: None


def generation(side: Side) -> int | None:
    return link(side)._state.current


async def adopted(pair: Pair, wanted: int) -> None:
    await until(lambda: generation(pair.alice) == generation(pair.bob) == wanted)


@pytest.mark.parametrize("who", ["alice", "bob", "both"])
async def test_after_a_change_of_the_network_everything_goes_on(who: str, tmp_path: Path) -> None:
    codecs = (VideoCodec.VP8,)
    async with Pair(
        settings("alice", codecs=codecs), settings("bob", microphone="synthetic:1000", codecs=codecs)
    ) as pair:
        await pair.bob.open_camera()
        await pair.connect()
        recording = tmp_path / "bob.mkv"
        await pair.alice.engine.start_view(View("tape", "bob", FileView(str(recording))))
        before = await pair.alice.sees()
        await until(lambda: pair.alice.figures().audio_slots_played > 20)
        old = pair.alice.figures()
        for side in (pair.alice, pair.bob):
            if who in (side.user_id, "both"):
                assert side.engine.network_changed(None) == 1
        await adopted(pair, 1)
        assert await pair.alice.sees() > before
        await until(lambda: pair.alice.figures().audio_slots_played > old.audio_slots_played + 50)
        new = pair.alice.figures()
        assert new.stats.video_received.frames > old.stats.video_received.frames, "totals go on"
        assert new.audio_slots_concealed - old.audio_slots_concealed <= 10
        assert not any(isinstance(report, PeerDown) for report in pair.alice.reports + pair.bob.reports)
        if who == "both":
            await until(lambda: len(link(pair.alice)._legs) == 1)
    with av.open(str(recording), "r") as tape:
        times = []
        for frame in tape.decode(video=0):
            assert read_counter(luma_of(frame)), "each picture is whole"
            times.append(frame.time or 0.0)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    assert min(gaps) > 0
    assert max(gaps) < 1.0


async def test_a_path_that_dies_is_regained_over_a_new_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("PROBE", 0.2), ("PROBE_PAUSE", 0.1), ("SILENCE", 0.5), ("DOUBT", 1.0)):
        monkeypatch.setattr(continuity, name, seconds)
    monkeypatch.setattr(consent, "INTERVAL", 0.1)
    async with Pair(settings("alice"), settings("bob")) as pair:
        await pair.connect(audio=False)
        silent = asyncio.get_running_loop().time() + continuity.SILENCE
        await until(lambda: min(present(side).heard for side in (pair.alice, pair.bob)) > silent)
        assert generation(pair.alice) == 0
        assert pair.alice.reports == pair.bob.reports == [], "nobody sends a thing, and nobody is lost"
        deafen(pair.alice)
        lost = await pair.bob.reported(PeerDown)
        assert not lost.final
        await pair.bob.reported(PeerUp)
        await adopted(pair, 1)
        await pair.bob.open_camera()
        await pair.alice.sees()
        assert not any(isinstance(report, PeerDown) and report.final for report in pair.alice.reports)


async def test_a_short_silence_is_told_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(continuity, "SILENCE", 1.2)
    async with Pair(settings("alice"), settings("bob")) as pair:
        await pair.bob.open_camera()
        await pair.connect()
        await pair.alice.sees()
        deafen(pair.bob)
        await pair.alice.reported(PeerDown)
        for protocol in ears(pair.bob):
            del protocol.__dict__["datagram_received"]
        await pair.alice.reported(PeerUp)
        await pair.alice.sees()
        assert generation(pair.alice) == 0


async def test_what_cannot_be_regained_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("SILENCE", 0.5), ("PROBE", 0.3), ("UNANSWERED", 0.5)):
        monkeypatch.setattr(continuity, name, seconds)
    async with Pair(settings("alice"), settings("bob")) as pair:
        await pair.connect()
        for side in (pair.alice, pair.bob):
            monkeypatch.setattr(link(side), "_state", replace(link(side)._state, budget=1.0))
            side.engine._board._send_signal = lambda *_: None
            deafen(side)
        for side in (pair.alice, pair.bob):
            assert not (await side.reported(PeerDown)).final
            assert (await side.reported(PeerDown)).final


async def test_a_flood_of_offers_is_bounded() -> None:
    async with Pair(settings("alice"), settings("bob")) as pair:
        await pair.connect()
        board = pair.alice.engine._board
        for number in range(1, 200):
            board.receive(CALL, "bob", Signal(2, Offer("v=0"), number))
            board.receive(CALL, "bob", Signal(2, Rebuild(), number))
        assert link(pair.alice)._state.newest <= 6
        await until(lambda: len(link(pair.alice)._legs) == 1)
        assert generation(pair.alice) == 0
        assert not any(isinstance(report, PeerDown) for report in pair.alice.reports)
