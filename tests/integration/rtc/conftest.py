"""Two peers in one process, real ICE and DTLS over 127.0.0.1."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from mediaagentd.media.rtc.peer import Peer
from mediaagentd.media.types import VideoCodec

from tests.fakes.rtc import Recorder, connect, peer


@dataclass
class End:
    """A peer and what it told."""

    seen: Recorder
    peer: Peer


@dataclass
class Stage:
    """Makes ends and closes them."""

    ends: list[End] = field(default_factory=list)

    def end(self, *codecs: VideoCodec) -> End:
        seen = Recorder()
        self.ends.append(End(seen, peer(seen, *codecs)))
        return self.ends[-1]

    async def pair(self, *codecs: VideoCodec) -> tuple[End, End]:
        alice, bob = self.end(*codecs), self.end(*codecs)
        await connect(alice.peer, bob.peer, alice.seen, bob.seen)
        return alice, bob


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    yield stage
    await asyncio.gather(*(end.peer.close() for end in stage.ends))
