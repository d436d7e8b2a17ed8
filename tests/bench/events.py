"""From a command until each of a hundred subscribers has its event, against an empty server."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
from mediaagent.v1 import event_pb2, event_pb2_grpc, media_pb2, media_pb2_grpc, view_pb2, view_pb2_grpc

from tests.bench.commands import EMPTY, empty_server
from tests.bench.figures import Figure, percentile
from tests.integration import processes

SUBSCRIBERS = 100
CHANNELS = 10
CAUSES = 60
RUNS = 3
PAUSE = 0.02
"""Seconds between an event that all have and the next cause."""


class Audience:
    """Subscribers that note when they hear something."""

    def __init__(self) -> None:
        self.heard: list[float] = []
        self.all_have_it = asyncio.Event()

    async def listen(self, stub: Any, ready: asyncio.Event) -> None:
        """Until cancelled."""
        stream = stub.Subscribe(event_pb2.SubscribeRequest())
        try:
            await stream.read()
            ready.set()
            while True:
                response = await stream.read()
                if response.WhichOneof("body") == "event":
                    self.heard.append(time.perf_counter())
                    if len(self.heard) == SUBSCRIBERS:
                        self.all_have_it.set()
        finally:
            stream.cancel()


async def _latencies(target: str) -> list[float]:
    """Milliseconds of every subscriber and cause."""
    audience, found = Audience(), []
    async with AsyncExitStack() as stack:
        # A pool of its own for each, or gRPC shares one connection between them all.
        options = [[("grpc.use_local_subchannel_pool", 1), ("bench", each)] for each in range(CHANNELS + 1)]
        channels = [
            await stack.enter_async_context(grpc.aio.insecure_channel(target, options=each))
            for each in options
        ]
        ready = [asyncio.Event() for _ in range(SUBSCRIBERS)]
        listeners = [
            asyncio.create_task(
                audience.listen(event_pb2_grpc.EventServiceStub(channels[number % CHANNELS]), ready[number])
            )
            for number in range(SUBSCRIBERS)
        ]
        await asyncio.gather(*(each.wait() for each in ready))
        stub: Any = media_pb2_grpc.MediaServiceStub(channels[-1])
        for number in range(CAUSES):
            audience.heard.clear()
            audience.all_have_it.clear()
            begun = time.perf_counter()
            await stub.SetMicMute(media_pb2.SetMicMuteRequest(is_mute=number % 2 == 0))
            await asyncio.wait_for(audience.all_have_it.wait(), 10)
            found += [(when - begun) * 1000 for when in audience.heard]
            await asyncio.sleep(PAUSE)
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    return found


async def _run(directory: Path) -> tuple[float, float]:
    async with (
        processes.agent(directory, "events", "127.0.0.1:1") as agent,
        empty_server(directory) as empty,
    ):
        async with agent.channel() as channel:  # media is there
            await view_pb2_grpc.ViewServiceStub(channel).ListViews(view_pb2.ListViewsRequest())
        ours, theirs = await _latencies(agent.target), await _latencies(empty)
    return percentile(ours, 0.99), percentile(theirs, 0.99)


def run_all(directory: Path) -> list[Figure]:
    """Interleaved."""
    ours, theirs = zip(*(asyncio.run(_run(directory / str(run))) for run in range(RUNS)), strict=True)
    name = f"cause to the event at {SUBSCRIBERS} subscribers, p99"
    checked = f"{CAUSES} events counted at every one"
    why = "The empty server takes 6 to 16 ms as the hour goes: a hundred streams, two processes on two cores."
    return [Figure(name, "ms", ours, checked, {EMPTY: theirs}, goal=10, why=why)]
