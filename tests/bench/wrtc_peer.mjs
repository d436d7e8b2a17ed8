// A baseline: one end of a call made with libwebrtc (npm `@roamhq/wrtc`), in a process of its own.
//
//   node tests/bench/wrtc_peer.mjs PICTURES.yuv WIDTH HEIGHT        (node_modules beside the file named)
//
// VP8 as it comes, its rate from 1.5 Mbit/s on; decodes all that arrives. Speaks the lines of `peers`.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [film, widthText, heightText] = process.argv.slice(2);
const [width, height] = [Number(widthText), Number(heightText)];
const require = createRequire(film);
const { RTCPeerConnection, nonstandard } = require("@roamhq/wrtc");
const { RTCVideoSource, RTCVideoSink, RTCAudioSource, RTCAudioSink } = nonstandard;

const FPS = 30;
const BITRATE = 1_500_000;
const SIZE = (width * height * 3) / 2;
const raw = readFileSync(film);
// The library wants a buffer of just a picture's size.
const frames = Array.from({ length: raw.length / SIZE }, (_, n) => new Uint8ClampedArray(raw.subarray(n * SIZE, (n + 1) * SIZE)));

const eyes = { count: 0, heard: 0, stamping: false, captured: [], decoded: [], wanted: 0, kept: [], full: null };
const now = () => Number(process.hrtime.bigint()) / 1e9;

// The number in a picture; see mediaagentd/media/capture/pattern.py.
const [COLUMNS, ROWS, MARK, MIDDLE, MARGIN] = [8, 5, 0b10110010, (16 + 235) / 2, 30];

function level(luma, stride, row, column, size) {
  const [top, left] = [Math.floor((row + 0.25) * size), Math.floor((column + 0.25) * size)];
  const half = Math.max(1, Math.floor(size / 2));
  let sum = 0;
  for (let y = top; y < top + half; y++) for (let x = left; x < left + half; x++) sum += luma[y * stride + x];
  return sum / (half * half);
}

function crc(value) {
  let sum = 0;
  for (const shift of [16, 8, 0]) {
    sum ^= (value >> shift) & 0xff;
    for (let bit = 0; bit < 8; bit++) sum = sum & 0x80 ? ((sum << 1) ^ 0x07) & 0xff : (sum << 1) & 0xff;
  }
  return sum;
}

function readCounter(luma, stride, rows) {
  let word = 0n;
  for (let row = 0; row < ROWS; row++)
    for (let column = 0; column < COLUMNS; column++) {
      const found = level(luma, stride, row, column, rows / 24);
      if (Math.abs(found - MIDDLE) < MARGIN) return null;
      word = (word << 1n) | (found > MIDDLE ? 1n : 0n);
    }
  const value = Number((word >> 8n) & 0xffffffn);
  return Number(word >> 32n) === MARK && Number(word & 0xffn) === crc(value) ? value : null;
}

function psnr(luma, original, pixels) {
  let sum = 0;
  for (let at = 0; at < pixels; at++) sum += (luma[at] - original[at]) ** 2;
  return sum === 0 ? 99 : 10 * Math.log10((255 * 255 * pixels) / sum);
}

function saw({ frame }) {
  eyes.count++;
  if (eyes.stamping) eyes.decoded.push([readCounter(frame.data, frame.width, frame.height), now()]);
  if (eyes.kept.length < eyes.wanted) {
    eyes.kept.push({ width: frame.width, height: frame.height, data: Buffer.from(frame.data) });
    if (eyes.kept.length === eyes.wanted) eyes.full?.();
  }
}

function compared() {
  const [values, numbers] = [[], new Set()];
  let unread = 0;
  for (const each of eyes.kept) {
    const number = readCounter(each.data, each.width, each.height);
    if (number === null || number >= frames.length || each.width !== width) {
      unread++;
      continue;
    }
    numbers.add(number);
    values.push(psnr(each.data, frames[number], width * height));
  }
  return { psnr: values, unread, different: numbers.size };
}

const peer = new RTCPeerConnection({ iceServers: [] });
const [camera, microphone] = [new RTCVideoSource(), new RTCAudioSource()];
peer.addTrack(microphone.createTrack());
peer.addTrack(camera.createTrack());
peer.ontrack = ({ track }) => {
  if (track.kind === "video") peer.sink = Object.assign(new RTCVideoSink(track), { onframe: saw });
  else peer.ears = Object.assign(new RTCAudioSink(track), { ondata: () => eyes.heard++ });
};

let shown = 0;
let due = now();
function film30() {
  if (eyes.stamping) eyes.captured.push([shown % frames.length, now()]);
  camera.onFrame({ width, height, data: frames[shown % frames.length] });
  shown++;
  due = Math.max(due + 1 / FPS, now() - 0.25);
  setTimeout(film30, Math.max(0, (due - now()) * 1000));
}

let spoken = 0;
const begun = now();
function speak() {
  for (; begun + spoken / 100 < now(); spoken++) {
    const samples = Int16Array.from({ length: 480 }, (_, n) => 8000 * Math.sin((2 * Math.PI * 440 * (spoken * 480 + n)) / 48000));
    microphone.onData({ samples, sampleRate: 48000, bitsPerSample: 16, channelCount: 1, numberOfFrames: 480 });
  }
  setTimeout(speak, 10);
}

// The rate begins where everybody's is; without it libwebrtc takes a while to get there.
const rated = (sdp) =>
  sdp.replace(/^(m=video .*\r\n(?:c=.*\r\n)?)/m, `$1b=AS:${BITRATE / 1000}\r\n`)
    .replace(/^(a=rtpmap:(\d+) VP8\/90000\r\n)/m, `$1a=fmtp:$2 x-google-start-bitrate=1500;x-google-max-bitrate=1500\r\n`);

async function described(description) {
  await peer.setLocalDescription(description);
  while (peer.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 10));
  return { sdp: rated(peer.localDescription.sdp) };
}

const answers = {
  offer: async () => described(await peer.createOffer()),
  answer: async ({ sdp }) => {
    await peer.setRemoteDescription({ type: "offer", sdp });
    return described(await peer.createAnswer());
  },
  accept: async ({ sdp }) => (await peer.setRemoteDescription({ type: "answer", sdp }), {}),
  report: async () => ({ decoded: eyes.count, audio: eyes.heard }),
  stamp: async ({ on }) => ((eyes.stamping = on), {}),
  stamps: async () => ({ captured: eyes.captured, decoded: eyes.decoded }),
  sample: async ({ count }) => {
    [eyes.kept, eyes.wanted] = [[], count];
    await Promise.race([new Promise((done) => (eyes.full = done)), new Promise((done) => setTimeout(done, count * 200 + 5000))]);
    eyes.wanted = 0;
    return compared();
  },
};

film30();
speak();
let before = Promise.resolve();
createInterface({ input: process.stdin }).on("line", (line) => {
  const { ask, ...how } = JSON.parse(line);
  before = before.then(async () => console.log(JSON.stringify(await answers[ask](how))));
}).on("close", () => process.exit(0));
