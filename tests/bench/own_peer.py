"""Our media engine in a process of its own, without daemon and hub.

    python -m tests.bench.own_peer NAME [--pictures FILE] [--sound FILE|synthetic] [--profile 720p]
                                   [--codecs H264,VP8] [--watch] [--listen]

Without files it sends neither picture nor sound. `--watch`: all pictures that arrive are decoded, as the
baselines do; `--listen`: all sound is decoded and played to nobody. What is captured, shown and played is
taken by standing behind `FileCamera.read`, `RemoteVideo._note` and `WavSink.write`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import pickle
import threading
import time
from collections.abc import AsyncGenerator
from typing import Any

from mediaagentd import log
from mediaagentd.call.signal import Signal
from mediaagentd.call.types import PeerDown, PeerUp, Report
from mediaagentd.media.capture.container import FileCamera
from mediaagentd.media.capture.types import RawPicture, Samples
from mediaagentd.media.engine import MediaEngine
from mediaagentd.media.playout.sinks import WavSink
from mediaagentd.media.remote import RemoteVideo
from mediaagentd.media.settings import MediaSettings
from mediaagentd.media.types import VideoCodec, VideoProfile
from mediaagentd.media.views.types import FrameFormat, FramesView, View

from tests.bench.ears import Ears, Heard
from tests.bench.eyes import Compared, Eyes
from tests.bench.peers import Words, line, say

CALL = "bench"


def stand_behind(eyes: Eyes, ears: Ears) -> None:
    """Tells `eyes` of every picture captured and decoded in this process, `ears` of all sound played."""
    read, note = FileCamera.read, RemoteVideo._note

    def reading(camera: FileCamera, stopping: threading.Event) -> RawPicture | None:
        picture = read(camera, stopping)
        if picture is not None:
            eyes.showed(round((picture.frame.time or 0.0) * 30), picture.captured)
        return picture

    def noting(remote: RemoteVideo, picture: RawPicture) -> None:
        eyes.saw(picture.frame)
        note(remote, picture)

    def writing(_: WavSink, samples: Samples) -> None:
        ears.heard(samples)

    WavSink.write = writing  # type: ignore[method-assign,assignment]
    FileCamera.read = reading  # type: ignore[method-assign,assignment]
    RemoteVideo._note = noting  # type: ignore[method-assign,assignment]


class Own:
    """Answers the questions of the benchmark."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._name = given.name
        self._eyes = Eyes()
        self._ears = Ears()
        self._watches = given.watch
        self._films = given.pictures is not None
        self._tasks: list[asyncio.Task[None]] = []
        self._up: dict[str, asyncio.Event] = {}
        self._downs: list[dict[str, object]] = []
        settings = MediaSettings(
            camera=f"file:{given.pictures}" if self._films else "none",
            microphone={None: "none", "synthetic": "synthetic"}.get(given.sound, f"file:{given.sound}"),
            speaker="wav:/dev/null" if given.listen else "null",
            video_codecs=tuple(VideoCodec(name) for name in given.codecs.split(",")),
            profile=VideoProfile[f"P{given.profile.removesuffix('p')}"],
            label=given.name,
        )
        self._engine = MediaEngine(settings, report=self._report, send_signal=self._send)
        stand_behind(self._eyes, self._ears)

    async def run(self) -> None:
        await self._engine.start()
        self._engine.set_sending(audio=True, video=self._films)
        self._engine.set_in_call(True)
        if self._films:
            self._engine.probe_camera(1)
        questions: asyncio.Queue[Words] = asyncio.Queue()
        answering = asyncio.create_task(self._answer(questions))
        while (words := await line()) is not None:
            if "data" in words:
                signal: Signal = pickle.loads(base64.b64decode(words["data"]))
                self._engine.receive_signal(CALL, words["from"], signal)
            else:
                questions.put_nowait(words)
        answering.cancel()
        await self._engine.stop()

    async def _answer(self, questions: asyncio.Queue[Words]) -> None:
        """One after the other; signals do not wait for them."""
        while True:
            words = await questions.get()
            say(await getattr(self, words.pop("ask"))(**words))

    async def open(self, user: str, offers: bool) -> dict[str, object]:
        self._up[user] = asyncio.Event()
        self._engine.open_peer(CALL, user, 2, offers)
        if self._watches:
            await self.watch(user)
        return {}

    async def watch(self, user: str) -> dict[str, object]:
        """Decodes that user's pictures from now on."""
        kind = FramesView(FrameFormat.I420, max_fps=1, max_width=64, max_height=64)
        await self._engine.start_view(View(user, user, kind))
        self._tasks.append(asyncio.create_task(self._watch(user)))
        return {}

    async def connected(self, user: str) -> dict[str, object]:
        await self._up[user].wait()
        return {}

    async def report(self) -> dict[str, object]:
        figures = self._engine.figures()
        return {
            "decoded": self._eyes.count,
            "arrived": {each.user_id: each.stats.video_received.frames for each in figures},
            "sent": {each.user_id: each.stats.video_sent.bytes for each in figures},
            "audio": {each.user_id: each.stats.audio_received.frames for each in figures},
            "played": sum(each.audio_slots_played for each in figures),
            "concealed": sum(each.audio_slots_concealed for each in figures),
            "downs": self._downs,
            "heard": self._ears.count,
        }

    async def listen(self) -> dict[str, object]:
        self._ears.listen()
        return {}

    async def heard(self) -> Heard:
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

    async def _watch(self, user: str) -> None:
        watch = self._engine.watch(user)
        assert isinstance(watch, AsyncGenerator)
        async with contextlib.aclosing(watch):
            async for _ in watch:
                pass

    def _report(self, report: Report) -> None:
        if isinstance(report, PeerUp):
            self._up[report.user_id].set()
        elif isinstance(report, PeerDown):
            self._downs.append({"final": report.final, "at": time.monotonic()})

    def _send(self, _call: str, user: str, signal: Signal) -> None:
        data = base64.b64encode(pickle.dumps(signal)).decode()
        say({"to": user, "from": self._name, "data": data})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--pictures")
    parser.add_argument("--sound")
    parser.add_argument("--profile", default="720p")
    parser.add_argument("--codecs", default="H264,VP8")
    parser.add_argument("--watch", action="store_true")
    parser.add_argument("--listen", action="store_true")
    given = parser.parse_args()
    log.configure("warning")  # stdout is for answers

    async def run() -> Any:
        await Own(given).run()

    asyncio.run(run())


if __name__ == "__main__":
    main()
