"""A recording of a call over a path that loses, in virtual time: repairs come late, and are in it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
from mediaagentd.media.types import VideoProfile
from mediaagentd.media.views.types import FileView, View

from tests.netlab.profiles import Impairment
from tests.virtual.clock import play
from tests.virtual.network import Network
from tests.virtual.trials import connected

SECONDS = 12


def test_what_a_path_loses_is_in_the_recording(tmp_path: Path) -> None:
    path = tmp_path / "tape.mkv"

    async def story(network: Network) -> None:
        network.impair(Impairment(delay=0.020, loss=0.1))
        ann, ben = await connected(network, VideoProfile.P480)
        ben.board.set_sending(False, False)
        await asyncio.sleep(2)
        await ben.board.gallery.start(View("tape", "alice", FileView(str(path))), ())
        recorder = ben.board.gallery._recorders["tape"]
        await asyncio.sleep(SECONDS)
        ben.board.gallery.stop("tape", None)
        recorder.join()  # its thread knows nothing of virtual time
        await asyncio.gather(ann.close(), ben.close())

    play(story, 3)
    with av.open(str(path)) as file:
        assert len(list(file.decode(video=0))) > 0.95 * SECONDS * 30
    with av.open(str(path)) as file:
        sound = [packet for packet in file.demux(audio=0) if packet.size]
    assert len(sound) > 0.97 * (SECONDS - 0.5) * 50
