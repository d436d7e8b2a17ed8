"""The baseline: one end of a call made with the WebRTC library as it ships, in a process of its own.

    python -m tests.bench.stock_peer [--pictures FILE] [--pinned]

Sends the pictures of the file at 30 fps, none without, and the sound of `ears`; decodes what arrives, as the
library does by itself. `--pinned`: its video bitrate neither starts lower nor changes.
"""

from __future__ import annotations

import argparse
import asyncio
import fractions
import time
from pathlib import Path

import aiortc.codecs.vpx as vpx
import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av.video.frame import PictureType

from tests.bench import content, ears
from tests.bench.eyes import Compared, Eyes
from tests.bench.peers import line, say

BITRATE = 1_500_000
LATE = 0.25


class Camera(MediaStreamTrack):
    """The content, looped at 30 frames a second."""

    kind = "video"

    def __init__(self, eyes: Eyes, pictures: Path) -> None:
        super().__init__()
        self._eyes = eyes
        self._frames = content.originals(pictures)
        self._number = 0
        self._next = 0.0

    async def recv(self) -> av.VideoFrame:
        now = time.monotonic()
        if now - self._next > LATE:  # a camera does not catch up
            self._next = now
        await asyncio.sleep(max(0.0, self._next - now))
        self._next += 1 / content.FPS
        frame = self._frames[self._number % len(self._frames)]
        frame.pts, frame.time_base = self._number * 3000, fractions.Fraction(1, 90000)
        # What a demuxer gives is marked as an intra picture; the library would make each a keyframe.
        frame.pict_type = PictureType.NONE
        self._eyes.showed(self._number, time.monotonic())
        self._number += 1
        return frame


class Microphone(MediaStreamTrack):
    """The sound of `ears` in frames of 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._start = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._number / 50 - time.monotonic()))
        frame = av.AudioFrame.from_ndarray(ears.slot(self._number)[None, :], "s16", "mono")
        frame.sample_rate = 48000
        frame.pts, frame.time_base = self._number * 960, fractions.Fraction(1, 48000)
        self._number += 1
        return frame


class Stock:
    """Answers the questions of the benchmark."""

    def __init__(self, pictures: Path | None) -> None:
        self._pictures = pictures
        self._eyes = Eyes(pictures or content.FILE)
        self._ears = ears.Ears()
        self._states: list[tuple[str, float]] = []
        self._connections: list[RTCPeerConnection] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        while (words := await line()) is not None:
            say(await getattr(self, words.pop("ask"))(**words))

    async def offer(self) -> dict[str, object]:
        connection = self._connection()
        await connection.setLocalDescription(await connection.createOffer())
        return {"sdp": connection.localDescription.sdp}

    async def look(self) -> dict[str, object]:
        """Offers to receive only, as a page does that shows somebody."""
        connection = self._bare()
        for kind in ("audio", "video"):
            connection.addTransceiver(kind, direction="recvonly")
        await connection.setLocalDescription(await connection.createOffer())
        return {"sdp": connection.localDescription.sdp}

    async def answer(self, sdp: str) -> dict[str, object]:
        connection = self._connection()
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return {"sdp": connection.localDescription.sdp}

    async def accept(self, sdp: str) -> dict[str, object]:
        await self._connections[-1].setRemoteDescription(RTCSessionDescription(sdp, "answer"))
        return {}

    async def report(self) -> dict[str, object]:
        return {"decoded": self._eyes.count, "audio": self._ears.count, "states": self._states}

    async def listen(self) -> dict[str, object]:
        self._ears.listen()
        return {}

    async def heard(self) -> ears.Heard:
        return await asyncio.to_thread(self._ears.tell)

    async def seen_since(self, when: float) -> dict[str, object]:
        return {"at": self._eyes.first_since(when)}

    async def stamp(self, on: bool) -> dict[str, object]:
        self._eyes.stamp(on)
        return {}

    async def stamps(self) -> dict[str, object]:
        return self._eyes.stamps()

    async def take_stamps(self) -> dict[str, object]:
        return self._eyes.take_stamps()

    async def sample(self, count: int) -> Compared:
        return await asyncio.to_thread(self._eyes.sample, count)

    def _connection(self) -> RTCPeerConnection:
        connection = self._bare()
        connection.addTrack(Microphone())
        if self._pictures is not None:
            connection.addTrack(Camera(self._eyes, self._pictures))
        return connection

    def _bare(self) -> RTCPeerConnection:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        connection.on("track", lambda track: self._tasks.append(asyncio.ensure_future(self._take(track))))
        connection.on(
            "connectionstatechange",
            lambda: self._states.append((connection.connectionState, time.monotonic())),
        )
        self._connections.append(connection)
        return connection

    async def _take(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            if isinstance(frame, av.VideoFrame):
                self._eyes.saw(frame)
            elif isinstance(frame, av.AudioFrame):
                samples = frame.to_ndarray().astype(np.int16, copy=False)
                self._ears.heard(samples.reshape(-1, len(frame.layout.channels))[:, 0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--pinned", action="store_true")
    given = parser.parse_args()
    if given.pinned:
        vpx.DEFAULT_BITRATE = vpx.MIN_BITRATE = vpx.MAX_BITRATE = BITRATE
    asyncio.run(Stock(given.pictures).run())
