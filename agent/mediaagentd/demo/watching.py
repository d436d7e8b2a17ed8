"""Looking at the other user: a small view, and the numbers read from its pictures."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from mediaagent import AgentError, FrameFormat, frames

from mediaagentd.demo.actor import Actor
from mediaagentd.demo.pictures import counter_of, luma_of_picture
from mediaagentd.demo.timeline import Unexpected, expect

WIDTH = 320
"""Pixels across: enough to read the number, and cheap to send through a socket thirty times a second."""


@dataclass(slots=True)
class Watch:
    """What one user sees of another. Times are `time.monotonic()` seconds."""

    viewer: Actor
    other: str
    view: str
    first: float | None = None
    pictures: int = 0
    numbers: list[int] = field(default_factory=list)
    _grown: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def first_picture(self) -> float:
        """When the first picture came."""
        async with self._grown:
            while self.first is None:
                await self._grown.wait()
        return self.first

    async def more_numbers(self, count: int) -> None:
        """Waits until so many more numbers have been read: the picture moves."""
        async with self._grown:
            wanted = len(self.numbers) + count
            while len(self.numbers) < wanted:
                await self._grown.wait()

    async def run(self) -> None:
        """Reads the view until it ends."""
        async with contextlib.aclosing(self.viewer.agent.watch_view(self.view)) as pictures:
            async for picture in pictures:
                number = counter_of(luma_of_picture(picture))
                async with self._grown:
                    self.first = self.first or time.monotonic()
                    self.pictures += 1
                    if number is not None:
                        self.numbers.append(number)
                    self._grown.notify_all()

    def check(self, seconds: float, least_fps: float) -> str:
        """Says what was seen in the last `seconds`; Unexpected unless it was live video."""
        expect(bool(self.pictures), f"{self.viewer.name} saw no picture of {self.other}")
        readable = len(self.numbers) / self.pictures
        expect(readable > 0.9, f"only {readable:.0%} of the pictures of {self.other} can be read")
        steps = [after - before for before, after in zip(self.numbers, self.numbers[1:], strict=False)]
        expect(all(step > 0 for step in steps), f"the pictures of {self.other} do not go forward")
        advanced = self.numbers[-1] - self.numbers[0]
        expect(
            advanced >= least_fps * seconds, f"the picture of {self.other} advanced by {advanced} frames only"
        )
        return f"{self.viewer.name} saw {self.pictures} pictures, {self.numbers[0]} to {self.numbers[-1]}"

    def forget(self) -> None:
        """Begins to count anew."""
        self.pictures = 0
        self.numbers.clear()


@asynccontextmanager
async def watching(viewer: Actor, other: str) -> AsyncIterator[Watch]:
    """A view of the other user, from the moment that the other is in the call to the end of the block."""
    watch = Watch(viewer, other, f"demo-{other}")
    await viewer.expect_call(lambda call: any(p.user_id == other for p in call.participants))
    await viewer.agent.start_remote_view(other, watch.view, frames(FrameFormat.I420, max_width=WIDTH))
    reader = asyncio.create_task(watch.run(), name=f"{viewer.name}-watches-{other}")
    try:
        yield watch
        if reader.done():
            _explain(reader, watch)
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        with contextlib.suppress(AgentError):
            await viewer.agent.stop_remote_view(watch.view)


def _explain(reader: asyncio.Task[None], watch: Watch) -> None:
    """A view that ended before its time is a finding of its own."""
    error = reader.exception() if not reader.cancelled() else None
    raise Unexpected(f"{watch.viewer.name}'s view of {watch.other} ended: {error or 'without an error'}")
