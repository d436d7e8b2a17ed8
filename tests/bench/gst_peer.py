"""A baseline: one end of a call made with GStreamer's `webrtcbin`, in a process of its own.

    python -m tests.bench.gst_peer PICTURES        (--probe: only whether it loads)

libvpx's VP8 in real-time mode at the bitrate that everybody has, Opus; decodes all that arrives. The Python
binding is Debian's (`python3-gst-1.0`), which a Python 3.11 loads.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.append("/usr/lib/python3/dist-packages")

import av
import gi
import numpy as np

gi.require_version("Gst", "1.0")
gi.require_version("GstApp", "1.0")
gi.require_version("GstSdp", "1.0")
gi.require_version("GstWebRTC", "1.0")
from gi.repository import GLib, Gst, GstApp, GstSdp, GstWebRTC  # noqa: E402, F401 - GstApp makes appsrc's methods

from tests.bench import content, ears  # noqa: E402
from tests.bench.eyes import Compared, Eyes  # noqa: E402
from tests.bench.peers import line, say  # noqa: E402

BITRATE = 1_500_000
RAW = f"video/x-raw,format=I420,width={content.WIDTH},height={content.HEIGHT},framerate={content.FPS}/1"
SEND = f"""
webrtcbin name=peer bundle-policy=max-bundle
appsrc name=camera is-live=true do-timestamp=true format=time caps={RAW} max-buffers=2 leaky-type=downstream
  ! vp8enc deadline=1 cpu-used=-8 end-usage=cbr target-bitrate={BITRATE} keyframe-max-dist=3000 threads=1
    min-quantizer=4 max-quantizer=56 undershoot=100 overshoot=15 static-threshold=1
  ! rtpvp8pay mtu=1200 picture-id-mode=15-bit
  ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
appsrc name=microphone is-live=true do-timestamp=true format=time
    caps=audio/x-raw,format=S16LE,rate=48000,channels=1,layout=interleaved
  ! opusenc bitrate=32000 ! rtpopuspay ! application/x-rtp,media=audio,encoding-name=OPUS,payload=111 ! peer.
"""
WAIT = 20.0


class Gstreamer:
    """Answers the questions of the benchmark."""

    def __init__(self, pictures: Path) -> None:
        self._eyes = Eyes(pictures)
        self._ears = ears.Ears()
        self._frames = [self._raw(frame) for frame in content.originals(pictures)]
        self._pipeline = Gst.parse_launch(SEND)
        self._peer = self._pipeline.get_by_name("peer")
        self._peer.connect("pad-added", self._on_pad)
        self._peer.connect("on-new-transceiver", lambda _peer, each: each.set_property("do-nack", True))
        self._needed = threading.Event()
        self._replies: list[Any] = []
        self._peer.connect("on-negotiation-needed", lambda _peer: self._needed.set())
        for number in range(2):
            self._peer.emit("get-transceiver", number).set_property("do-nack", True)
        self._pipeline.set_state(Gst.State.PLAYING)
        for work in (self._film, self._speak, GLib.MainLoop().run):
            threading.Thread(target=work, daemon=True).start()

    async def run(self) -> None:
        while (words := await line()) is not None:
            say(await getattr(self, words.pop("ask"))(**words))

    async def offer(self) -> dict[str, object]:
        await asyncio.to_thread(self._needed.wait, WAIT)
        return {"sdp": await asyncio.to_thread(self._describe, "create-offer")}

    async def answer(self, sdp: str) -> dict[str, object]:
        await asyncio.to_thread(self._take, sdp, GstWebRTC.WebRTCSDPType.OFFER)
        return {"sdp": await asyncio.to_thread(self._describe, "create-answer")}

    async def accept(self, sdp: str) -> dict[str, object]:
        await asyncio.to_thread(self._take, sdp, GstWebRTC.WebRTCSDPType.ANSWER)
        return {}

    async def report(self) -> dict[str, object]:
        return {"decoded": self._eyes.count, "audio": self._ears.count}

    async def stamp(self, on: bool) -> dict[str, object]:
        self._eyes.stamp(on)
        return {}

    async def stamps(self) -> dict[str, object]:
        return self._eyes.stamps()

    async def sample(self, count: int) -> Compared:
        return await asyncio.to_thread(self._eyes.sample, count)

    def _describe(self, signal: str) -> str:
        """Makes a description, waits until it has its candidates."""
        described: GstWebRTC.WebRTCSessionDescription = self._promised(
            lambda promise: self._peer.emit(signal, None, promise), signal.removeprefix("create-")
        )
        self._promised(lambda promise: self._peer.emit("set-local-description", described, promise))
        deadline = time.monotonic() + WAIT
        complete = GstWebRTC.WebRTCICEGatheringState.COMPLETE
        while self._peer.get_property("ice-gathering-state") != complete and time.monotonic() < deadline:
            time.sleep(0.02)
        return str(self._peer.get_property("local-description").sdp.as_text())

    def _take(self, sdp: str, kind: Any) -> None:
        _, message = GstSdp.SDPMessage.new_from_text(sdp)
        described = GstWebRTC.WebRTCSessionDescription.new(kind, message)
        self._promised(lambda promise: self._peer.emit("set-remote-description", described, promise))

    def _promised(self, ask: Callable[[Any], None], value: str = "") -> Any:
        promise = Gst.Promise.new()
        ask(promise)
        promise.wait()
        reply = promise.get_reply()
        self._replies.append(reply)  # the binding's values do not keep it alive
        if reply is not None and reply.has_field("error"):
            raise RuntimeError(str(reply.get_value("error")))
        return reply.get_value(value) if value else None

    def _raw(self, frame: av.VideoFrame) -> bytes:
        return frame.to_ndarray().tobytes()

    def _film(self) -> None:
        source, number, due = self._pipeline.get_by_name("camera"), 0, time.monotonic()
        while True:
            time.sleep(max(0.0, due - time.monotonic()))
            due = max(due + 1 / content.FPS, time.monotonic() - 0.25)
            self._eyes.showed(number, time.monotonic())
            source.emit("push-buffer", Gst.Buffer.new_wrapped(self._frames[number % len(self._frames)]))
            number += 1

    def _speak(self) -> None:
        source, number, begun = self._pipeline.get_by_name("microphone"), 0, time.monotonic()
        while True:
            time.sleep(max(0.0, begun + number / 50 - time.monotonic()))
            source.emit("push-buffer", Gst.Buffer.new_wrapped(ears.slot(number).tobytes()))
            number += 1

    def _on_pad(self, _peer: Any, pad: Any) -> None:
        if pad.direction != Gst.PadDirection.SRC:
            return
        media = pad.get_current_caps().get_structure(0).get_string("media")
        chain = {
            "video": "rtpvp8depay request-keyframe=true wait-for-keyframe=true ! vp8dec threads=1"
            " ! video/x-raw,format=I420",
            "audio": "rtpopusdepay ! opusdec ! audio/x-raw,format=S16LE",
        }[media]
        sink = f"{chain} ! appsink name=sink emit-signals=true sync=false max-buffers=8"
        taking = Gst.parse_bin_from_description(sink, True)
        taking.get_by_name("sink").connect("new-sample", self._saw if media == "video" else self._heard)
        self._pipeline.add(taking)
        taking.sync_state_with_parent()
        pad.link(taking.get_static_pad("sink"))

    def _saw(self, sink: Any) -> Any:
        sample = sink.emit("pull-sample")
        shape = sample.get_caps().get_structure(0)
        width, height = shape.get_value("width"), shape.get_value("height")
        found, mapped = sample.get_buffer().map(Gst.MapFlags.READ)
        if found:
            pixels = np.frombuffer(mapped.data, np.uint8)[: width * height].reshape(height, width)
            self._eyes.saw_luma(pixels)
            sample.get_buffer().unmap(mapped)
        return Gst.FlowReturn.OK

    def _heard(self, sink: Any) -> Any:
        sink.emit("pull-sample")
        self._ears.count += 1
        return Gst.FlowReturn.OK


if __name__ == "__main__":
    Gst.init(None)
    Gst.ElementFactory.make("webrtcbin", None).set_state(Gst.State.NULL)
    if "--probe" in sys.argv:
        sys.exit()
    asyncio.run(Gstreamer(Path(sys.argv[1])).run())
