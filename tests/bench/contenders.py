"""Two connected ends of a call, for each of those who are compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.bench import content
from tests.bench.peers import Peer, Words, peer, python

Pair = tuple[Peer, Peer]
MakePair = Callable[[Path], AbstractAsyncContextManager[Pair]]

OURS = "ours"
STOCK = "stock aiortc"
PINNED = "stock aiortc, rate pinned"


def route(*peers: tuple[str, Peer]) -> None:
    """Passes signals between peers of ours."""
    names = dict(peers)

    def pass_on(words: Words) -> None:
        names[words["to"]].tell(**{"from": words["from"], "data": words["data"]})

    for each in names.values():
        each.on_signal = pass_on


@asynccontextmanager
async def ours(directory: Path) -> AsyncIterator[Pair]:
    """Two engines of ours, each decoding all that arrives."""
    film = str(content.ensure())
    async with (
        peer(python("own_peer", "ann", film, "watch"), directory / "ann.log") as ann,
        peer(python("own_peer", "ben", film, "watch"), directory / "ben.log") as ben,
    ):
        route(("ann", ann), ("ben", ben))
        await asyncio.gather(
            ann.ask("open", user="ben", offers=False), ben.ask("open", user="ann", offers=True)
        )
        await asyncio.gather(ann.ask("connected", user="ben"), ben.ask("connected", user="ann"))
        yield ann, ben


@asynccontextmanager
async def described(commands: tuple[list[str], list[str]], directory: Path) -> AsyncIterator[Pair]:
    """Two peers that make and take complete descriptions."""
    content.ensure()
    async with (
        peer(commands[0], directory / "ann.log") as ann,
        peer(commands[1], directory / "ben.log") as ben,
    ):
        offer = await ann.ask("offer")
        answer = await ben.ask("answer", sdp=offer["sdp"])
        await ann.ask("accept", sdp=answer["sdp"])
        yield ann, ben


def stock(directory: Path) -> AbstractAsyncContextManager[Pair]:
    """The WebRTC library with its defaults."""
    return described((python("stock_peer"), python("stock_peer")), directory)


def pinned(directory: Path) -> AbstractAsyncContextManager[Pair]:
    """The same with the bitrate that everybody has."""
    command = python("stock_peer", "pinned")
    return described((command, command), directory)


CONTENDERS: dict[str, MakePair] = {OURS: ours, STOCK: stock, PINNED: pinned}
"""Those who are always there, in the order of running."""
