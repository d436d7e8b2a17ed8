"""The baseline: one end of a call made with the WebRTC library as it ships, in a process of its own.

    python -m tests.bench.stock_peer offer|answer CONTENT

Speaks JSON lines on stdin and stdout: descriptions first, then `report` answers with what was received.
Sends the content at 30 fps and a tone, decodes what arrives, as the library does by itself.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import resource
import sys
import time

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.bench.content import FPS


class Camera(MediaStreamTrack):
    """The content, looped at 30 frames a second."""

    kind = "video"

    def __init__(self, path: str) -> None:
        super().__init__()
        with av.open(path) as container:
            self._frames = list(container.decode(video=0))
        self._number = 0
        self._start = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        await asyncio.sleep(max(0.0, self._start + self._number / FPS - time.monotonic()))
        frame = self._frames[self._number % len(self._frames)]
        frame.pts, frame.time_base = self._number * 90000 // FPS, fractions.Fraction(1, 90000)
        self._number += 1
        return frame


class Microphone(MediaStreamTrack):
    """A tone of 440 Hz in frames of 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._number = 0
        self._start = time.monotonic()

    async def recv(self) -> av.AudioFrame:
        await asyncio.sleep(max(0.0, self._start + self._number / 50 - time.monotonic()))
        at = (self._number * 960 + np.arange(960)) / 48000
        tone = (8000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)[None, :]
        frame = av.AudioFrame.from_ndarray(tone, "s16", "mono")
        frame.sample_rate = 48000
        frame.pts, frame.time_base = self._number * 960, fractions.Fraction(1, 48000)
        self._number += 1
        return frame


class Counter:
    """Counts what arrives from the far end."""

    def __init__(self) -> None:
        self.frames = {"video": 0, "audio": 0}
        self.width = 0
        self.tasks: list[asyncio.Task[None]] = []

    def consume(self, track: MediaStreamTrack) -> None:
        self.tasks.append(asyncio.ensure_future(self._run(track)))

    async def _run(self, track: MediaStreamTrack) -> None:
        while True:
            frame = await track.recv()
            self.frames[track.kind] += 1
            if isinstance(frame, av.VideoFrame):
                self.width = frame.width

    def report(self) -> dict[str, float]:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return {
            "video": self.frames["video"],
            "audio": self.frames["audio"],
            "width": self.width,
            "cpu": usage.ru_utime + usage.ru_stime,
            "time": time.monotonic(),
        }


async def line() -> dict[str, str]:
    """The next JSON line of stdin; the end of stdin ends the process."""
    text = await asyncio.to_thread(sys.stdin.readline)
    if not text:
        raise SystemExit(0)
    value: dict[str, str] = json.loads(text)
    return value


def say(value: object) -> None:
    print(json.dumps(value), flush=True)


async def main(role: str, content: str) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    counter = Counter()
    connection.on("track", counter.consume)
    connection.addTrack(Microphone())
    connection.addTrack(Camera(content))
    if role == "offer":
        await connection.setLocalDescription(await connection.createOffer())
        say({"type": "offer", "sdp": connection.localDescription.sdp})
    remote = await line()
    await connection.setRemoteDescription(RTCSessionDescription(**remote))
    if role == "answer":
        await connection.setLocalDescription(await connection.createAnswer())
        say({"type": "answer", "sdp": connection.localDescription.sdp})
    while (await line())["ask"] == "report":
        say(counter.report())
    await connection.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
