"""The process of one media engine: `python -m tests.netlab.engine_process FD`. See `ends.py`.

It is told over a socket pair, which crosses namespaces, which method of the engine to call, and tells what
it returned, what the engine reported and which signals it sends; pickled, with its length in front.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import socket
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

import numpy as np
from mediaagentd.media.capture.clapper import square
from mediaagentd.media.capture.pattern import WHITE, read_counter
from mediaagentd.media.engine import MediaEngine
from mediaagentd.media.views.types import FrameFormat, FramesView, View

from tests.netlab.messages import Seen, packed, unpacked


class _Process:
    """The other side of the socket pair."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._engine: MediaEngine
        self._seen: list[Seen] = []
        self._looking: asyncio.Task[None] | None = None

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Until the test says stop or is gone."""
        while (message := await unpacked(reader)) is not None:
            number, method, arguments = message
            try:
                failed, value = False, await self._do(method, arguments)
            except Exception as error:
                failed, value = True, error
            if number:
                self._say("answer", number, failed, value)
            if method == "stop":
                return

    async def _do(self, method: str, arguments: tuple[Any, ...]) -> Any:
        match method:
            case "":
                self._engine = MediaEngine(
                    arguments[0],
                    report=lambda report: self._say("report", report),
                    send_signal=lambda *signal: self._say("signal", *signal),
                )
                return await self._engine.start()
            case "look":
                await self._engine.start_view(View("seen", arguments[0], FramesView(FrameFormat.I420)))
                self._looking = asyncio.create_task(self._look())
                return None
            case "seen":
                return self._seen
        result = getattr(self._engine, method)(*arguments)
        return await result if inspect.isawaitable(result) else result

    async def _look(self) -> None:
        watch = self._engine.watch("seen")
        assert isinstance(watch, AsyncGenerator)
        async with contextlib.aclosing(watch):
            async for picture in watch:
                assert picture.size is not None
                width, height = picture.size.width, picture.size.height
                luma = np.frombuffer(picture.data, np.uint8)[: width * height].reshape(height, width)
                claps = bool(square(luma)[::8, ::8].mean() > WHITE - 35)
                self._seen.append(Seen(time.monotonic(), read_counter(luma), claps))

    def _say(self, *message: object) -> None:
        self._writer.write(packed(message))


async def _main(fd: int) -> None:
    reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=fd), limit=1 << 24)
    await _Process(writer).run(reader)
    await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
