"""Two connected ends of a call, for each of those who are compared."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import content, ears
from tests.bench.peers import Peer, Words, peer, python

Pair = tuple[Peer, Peer]

OURS = "ours"
STOCK = "stock aiortc"
PINNED = "stock aiortc, rate pinned"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a pair sends both ways, and where it runs. `film`: of `content`, None for sound alone;
    `numbered`: the sound says its numbers and is played; `prefixes`: in front of the two commands.
    """

    film: Path | None = content.FILE
    numbered: bool = False
    prefixes: tuple[Sequence[str], Sequence[str]] = ((), ())

    @property
    def profile(self) -> str:
        """That suits the film."""
        return "720p" if self.film in (None, content.FILE) else "480p"


MakePair = Callable[[Path, Setting], AbstractAsyncContextManager[Pair]]

ON_THIS_MACHINE = Setting()


def route(*peers: tuple[str, Peer]) -> None:
    """Passes signals between peers of ours."""
    names = dict(peers)

    def pass_on(words: Words) -> None:
        names[words["to"]].tell(**{"from": words["from"], "data": words["data"]})

    for each in names.values():
        each.on_signal = pass_on


def own_command(name: str, how: Setting) -> list[str]:
    """The command of an end of ours."""
    arguments = ["--profile", how.profile, "--watch"]
    if how.film is not None:
        arguments += ["--pictures", str(content.ensure(how.film))]
    sound = str(ears.ensure()) if how.numbered else "synthetic"
    return python("own_peer", name, *arguments, "--sound", sound, *(["--listen"] if how.numbered else []))


@asynccontextmanager
async def ours(directory: Path, how: Setting = ON_THIS_MACHINE) -> AsyncIterator[Pair]:
    """Two engines of ours, each decoding all that arrives."""
    async with (
        peer([*how.prefixes[0], *own_command("ann", how)], directory / "ann.log") as ann,
        peer([*how.prefixes[1], *own_command("ben", how)], directory / "ben.log") as ben,
    ):
        route(("ann", ann), ("ben", ben))
        await asyncio.gather(
            ann.ask("open", user="ben", offers=False), ben.ask("open", user="ann", offers=True)
        )
        await asyncio.gather(ann.ask("connected", user="ben"), ben.ask("connected", user="ann"))
        yield ann, ben


@asynccontextmanager
async def described(
    command: Sequence[str], directory: Path, how: Setting = ON_THIS_MACHINE
) -> AsyncIterator[Pair]:
    """Two peers that make and take complete descriptions."""
    async with (
        peer([*how.prefixes[0], *command], directory / "ann.log") as ann,
        peer([*how.prefixes[1], *command], directory / "ben.log") as ben,
    ):
        offer = await ann.ask("offer")
        answer = await ben.ask("answer", sdp=offer["sdp"])
        await ann.ask("accept", sdp=answer["sdp"])
        yield ann, ben


def stock_command(how: Setting, *more: str) -> list[str]:
    """The command of an end of the library."""
    pictures = [] if how.film is None else ["--pictures", str(content.ensure(how.film))]
    return python("stock_peer", *pictures, *more)


def stock(directory: Path, how: Setting = ON_THIS_MACHINE) -> AbstractAsyncContextManager[Pair]:
    """The WebRTC library with its defaults."""
    return described(stock_command(how), directory, how)


def pinned(directory: Path, how: Setting = ON_THIS_MACHINE) -> AbstractAsyncContextManager[Pair]:
    """The same with the bitrate that everybody has."""
    return described(stock_command(how, "--pinned"), directory, how)


CONTENDERS: dict[str, MakePair] = {OURS: ours, STOCK: stock, PINNED: pinned}
"""Those who are always there, in the order of running."""
