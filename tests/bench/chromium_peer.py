"""A baseline: one end of a call in a headless Chromium of its own, which this process starts and asks.

    python -m tests.bench.chromium_peer FILM.y4m [CODEC]

The film is its camera, its own test sound its microphone; it decodes and shows what arrives. Without CODEC it
is VP8 as it comes, its rate from 1.5 Mbit/s on; with one, that one, and the rate is its own affair. Pictures
are looked at through WebCodecs, with their own luma. How old they are cannot be seen without a copy of each,
which would be measured with it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
from playwright.async_api import Page, Route, async_playwright

from tests.bench import content
from tests.bench.eyes import Compared, compare
from tests.bench.peers import line, say

ADDRESS = "http://localhost/page"  # never dialled: the page is served from here
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-features=WebRtcHideLocalIpsWithMdns", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
PAGE = """<!doctype html><video id="view" autoplay playsinline></video><script>
const pc = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
const view = document.getElementById("view");
pc.ontrack = ({ track }) => { view.srcObject ??= new MediaStream(); view.srcObject.addTrack(track); };
const gathered = () => new Promise((resolve) => {
  const check = () => pc.iceGatheringState === "complete" && resolve(pc.localDescription.sdp);
  pc.onicegatheringstatechange = check;
  check();
});
const prefer = () => {
  const wish = CODEC;
  if (!wish) return;
  const all = RTCRtpReceiver.getCapabilities("video").codecs;
  const wanted = all.filter((each) => [`video/${wish}`, "video/rtx"].includes(each.mimeType));
  for (const each of pc.getTransceivers())
    if (each.receiver.track.kind === "video") each.setCodecPreferences(wanted);
};
const camera = async () => {
  const stream = await navigator.mediaDevices.getUserMedia(
    { audio: true, video: { width: WIDTH, height: HEIGHT, frameRate: FPS } });
  for (const track of stream.getTracks()) pc.addTrack(track, stream);
  prefer();
};
window.peer = {
  offer: async () => { await camera(); await pc.setLocalDescription(); return gathered(); },
  answer: async (sdp) => {
    await pc.setRemoteDescription({ type: "offer", sdp });
    await camera();
    await pc.setLocalDescription();
    return gathered();
  },
  accept: (sdp) => pc.setRemoteDescription({ type: "answer", sdp }),
  decoded: async () => {
    for (const each of (await pc.getStats()).values())
      if (each.type === "inbound-rtp" && each.kind === "video") return each.framesDecoded ?? 0;
    return 0;
  },
  sending: async () => {
    const reports = new Map((await pc.getStats()).entries());
    for (const each of reports.values())
      if (each.type === "outbound-rtp" && each.kind === "video")
        return { at: each.timestamp / 1000, bytes: each.bytesSent, target: each.targetBitrate ?? 0,
          codec: reports.get(each.codecId)?.mimeType ?? "", keyframes: each.keyFramesEncoded };
    return { at: 0, bytes: 0, target: 0, codec: "", keyframes: 0 };
  },
  pictures: async (count) => {
    const track = view.srcObject.getVideoTracks()[0].clone();
    const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
    const found = [];
    while (found.length < count) {
      const { value } = await reader.read();
      const data = new Uint8Array(value.allocationSize());
      const [luma] = await value.copyTo(data);
      const { codedWidth: width, codedHeight: height } = value;
      const rows = new Uint8Array(width * height);
      for (let y = 0; y < height; y++)
        rows.set(data.subarray(luma.offset + y * luma.stride).subarray(0, width), y * width);
      let text = "";
      for (let at = 0; at < rows.length; at += 32768)
        text += String.fromCharCode(...rows.subarray(at, at + 32768));
      found.push({ width, height, format: value.format, luma: btoa(text) });
      value.close();
    }
    track.stop();
    return found;
  },
};
</script>"""


def rated(sdp: str) -> str:
    """The rate begins where everybody's is; without it a browser takes a while to get there."""
    more = "x-google-start-bitrate=1500;x-google-max-bitrate=1500"
    return re.sub(r"(a=rtpmap:(\d+) VP8/90000\r\n)", rf"\1a=fmtp:\2 {more}\r\n", sdp)


class Chromium:
    """Answers the questions of the benchmark."""

    def __init__(self, page: Page, codec: str) -> None:
        self._page = page
        self._rated = (lambda sdp: sdp) if codec else rated

    async def run(self) -> None:
        while (words := await line()) is not None:
            say(await getattr(self, words.pop("ask"))(**words))

    async def offer(self) -> dict[str, object]:
        return {"sdp": self._rated(await self._page.evaluate("peer.offer()"))}

    async def answer(self, sdp: str) -> dict[str, object]:
        return {"sdp": self._rated(await self._page.evaluate("sdp => peer.answer(sdp)", sdp))}

    async def accept(self, sdp: str) -> dict[str, object]:
        await self._page.evaluate("sdp => peer.accept(sdp)", sdp)
        return {}

    async def report(self) -> dict[str, object]:
        return {"decoded": await self._page.evaluate("peer.decoded()")}

    async def sending(self) -> dict[str, object]:
        told: dict[str, object] = await self._page.evaluate("peer.sending()")
        return told

    async def stamp(self, on: bool) -> dict[str, object]:
        return {}

    async def stamps(self) -> dict[str, object]:
        return {"captured": [], "decoded": [], "unseen": True}

    async def sample(self, count: int) -> Compared:
        found: list[dict[str, Any]] = await self._page.evaluate("count => peer.pictures(count)", count)
        return compare(
            [
                np.frombuffer(base64.b64decode(each["luma"]), np.uint8).reshape(each["height"], each["width"])
                for each in found
            ]
        )


async def main(film: Path, codec: str = "") -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=[*ARGUMENTS, f"--use-file-for-fake-video-capture={film}"],
        )
        page = await browser.new_page()
        given = {
            "WIDTH": content.WIDTH,
            "HEIGHT": content.HEIGHT,
            "FPS": content.FPS,
            "CODEC": json.dumps(codec),
        }
        html = re.sub("WIDTH|HEIGHT|FPS|CODEC", lambda found: str(given[found[0]]), PAGE)

        async def serve(route: Route) -> None:
            await route.fulfill(body=html, content_type="text/html")

        await page.route(ADDRESS, serve)
        await page.goto(ADDRESS)
        await Chromium(page, codec).run()
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:3]))
