"""view, show and snapshot."""

from __future__ import annotations

import asyncio
import contextlib
import mimetypes
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.status import Status

from mediaagent.cli.app import DONE, Common, Count, Seconds, app, connected
from mediaagent.cli.output import Output, plain, while_read
from mediaagent.client import Agent
from mediaagent.places import frames
from mediaagent.v1 import view_pb2

SILENCE = 3.0
"""Seconds without a picture after which it is said, where no display says it."""

_SUFFIX = {
    view_pb2.FRAME_FORMAT_JPEG: "jpg",
    view_pb2.FRAME_FORMAT_I420: "yuv",
    view_pb2.FRAME_FORMAT_ENCODED: "bin",
}


@app.command
async def view(
    user: str = "",
    /,
    *,
    format: Literal["jpeg", "i420", "encoded"] = "jpeg",  # noqa: A002 - the option's name
    fps: Annotated[float, Parameter(help="Pictures a second at the most; 0 for all.")] = 0,
    width: Annotated[Count, Parameter(help="Pixels at the most; 0 for the source's.")] = 0,
    count: Annotated[Count, Parameter(help="Stop after so many pictures; 0 for never.")] = 0,
    output: Annotated[
        Path | None, Parameter(alias="-o", help="Directory for the pictures; - writes them to stdout.")
    ] = None,
    common: Common | None = None,
) -> int:
    """Watches USER's video, or the local camera: saves the pictures or shows their rate.

    `mediaagent view bob --format encoded -o - | ffplay -` shows it.
    """
    kind = frames(format, max_fps=fps, max_width=width)
    keep = _keeper(output)
    async with connected(common) as (agent, out), _shown(agent, user, kind) as view_id, while_read():
        await _watch(agent, out, view_id, count, keep, silent=str(output) == "-")
    return DONE


@contextlib.asynccontextmanager
async def _shown(agent: Agent, user: str, kind: view_pb2.FramesView) -> AsyncIterator[str]:
    """A view for as long as this command runs."""
    view_id = f"cli-{os.getpid()}"
    try:
        if user:
            await agent.start_remote_view(user, view_id, kind)
        else:
            await agent.start_local_view(view_id, kind)
    except asyncio.CancelledError:
        await _hide(agent, user, view_id)  # The agent may have begun it.
        raise
    try:
        yield view_id
    finally:
        await _hide(agent, user, view_id)


async def _hide(agent: Agent, user: str, view_id: str) -> None:
    """The view may have ended with its call, and the agent may be gone: neither matters any more."""
    with contextlib.suppress(Exception):
        await (agent.stop_remote_view(view_id) if user else agent.stop_local_view(view_id))


def _keeper(output: Path | None) -> Callable[[view_pb2.WatchViewResponse], None]:
    """What to do with a picture: nothing, a file, or stdout."""
    if output is None:
        return lambda _: None
    if str(output) == "-":
        return _to_stdout
    output.mkdir(parents=True, exist_ok=True)

    def keep(picture: view_pb2.WatchViewResponse) -> None:
        name = f"{picture.sequence:06}.{_SUFFIX.get(picture.format, 'bin')}"
        (output / name).write_bytes(picture.data)

    return keep


def _to_stdout(picture: view_pb2.WatchViewResponse) -> None:
    sys.stdout.buffer.write(picture.data)
    sys.stdout.buffer.flush()


async def _watch(
    agent: Agent,
    out: Output,
    view_id: str,
    count: int,
    keep: Callable[[view_pb2.WatchViewResponse], None],
    *,
    silent: bool,
) -> None:
    """Takes pictures until the view ends or `count` have come; tells their rate once a second."""
    seen, marked, since = 0, 0, time.monotonic()
    with contextlib.ExitStack() as stack:
        line = stack.enter_context(out.console.status("waiting for a picture")) if out.is_live else None
        told = asyncio.get_running_loop().call_later(SILENCE, _say_silent, out)
        stack.callback(told.cancel)
        async with contextlib.aclosing(agent.watch_view(view_id)) as pictures:
            async for picture in pictures:
                told.cancel()
                await asyncio.to_thread(keep, picture)
                seen += 1
                now = time.monotonic()
                done = bool(count) and seen >= count
                if not silent and (now - since >= 1 or done):
                    _tell(out, line, picture, (seen - marked) / max(now - since, 0.001))
                    marked, since = seen, now
                if done:
                    return


def _say_silent(out: Output) -> None:
    if not out.is_live:
        out.note("no picture yet: is the camera open?")


def _tell(out: Output, line: Status | None, picture: view_pb2.WatchViewResponse, fps: float) -> None:
    """One line on how the view does."""
    size = f"{picture.width}x{picture.height}" if picture.width else "encoded"
    text = f"{size}  {fps:5.1f} fps  {picture.sequence} pictures, {picture.dropped} dropped"
    if line is not None:
        line.update(text)
        return
    told = {name: value for name, value in plain(picture).items() if name != "data"}
    out.result({**told, "fps": round(fps, 2)}, text)


@app.command
async def show(
    user: str = "",
    /,
    *,
    display: Annotated[str, Parameter(help=":0, wayland-0 or kmsdrm; the daemon's own when left out.")] = "",
    fullscreen: bool = False,
    stop: Annotated[bool, Parameter(help="Takes the window away.")] = False,
    common: Common | None = None,
) -> int:
    """Shows USER's video, or the local camera, in a window of the device, until the call ends or --stop."""
    view_id = f"window-{user or 'camera'}"
    kind = view_pb2.WindowView(display=display, is_fullscreen=fullscreen)
    async with connected(common) as (agent, out):
        if stop:
            await (agent.stop_remote_view(view_id) if user else agent.stop_local_view(view_id))
        elif user:
            await agent.start_remote_view(user, view_id, kind)
        else:
            await agent.start_local_view(view_id, kind)
        out.result({"view_id": view_id, "is_shown": not stop}, view_id)
    return DONE


def _is_known(_type: type, output: Path) -> None:
    kind, _ = mimetypes.guess_type(output.name, strict=False)
    if kind is not None and kind.startswith("image/") and kind not in ("image/png", "image/jpeg"):
        raise ValueError(f"it would be PNG or JPEG, not {output.suffix}")


@app.command
async def snapshot(
    user: str = "",
    /,
    *,
    output: Annotated[
        Path, Parameter(alias="-o", help="File to write, .png or .jpg; - for stdout.", validator=_is_known)
    ] = Path("snapshot.png"),
    timeout: Annotated[Seconds, Parameter(help="Seconds to wait for a picture.")] = 5,
    common: Common | None = None,
) -> int:
    """Saves one picture of USER, or of the local camera."""
    kind = "jpeg" if output.suffix.lower() in (".jpg", ".jpeg") else "png"
    async with connected(common) as (agent, out):
        reply = await agent.take_snapshot(user, kind, timeout=timeout)
        if str(output) == "-":
            sys.stdout.buffer.write(reply.image)
            return DONE
        output.write_bytes(reply.image)
        told = {name: value for name, value in plain(reply).items() if name != "image"}
        out.result({**told, "file": str(output)}, f"{output}: {reply.width}x{reply.height}")
    return DONE
