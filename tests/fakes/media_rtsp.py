"""A network camera: RTSP 1.0 (RFC 2326) with RTP interleaved in its TCP connection, H.264 of the synthetic
camera. `frames` ends each connection after that many pictures, to see the client come again; every
`keyframes`-th picture is a keyframe, 0 for the first only; `bitrate` in bits a second.
"""

from __future__ import annotations

import re
import socketserver
import struct
import threading

from mediaagentd.media.capture.synthetic import SyntheticCamera
from mediaagentd.media.codec.video import VideoEncoder
from mediaagentd.media.types import Size, VideoCodec

SDP = """v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=camera\r
t=0 0\r
m=video 0 RTP/AVP 96\r
a=rtpmap:96 H264/90000\r
a=fmtp:96 packetization-mode=1\r
a=control:track0\r
"""


class RtspCamera:
    """Serves on a free port of 127.0.0.1 while entered."""

    def __init__(
        self, size: Size, *, frames: int = 100_000, keyframes: int = 0, bitrate: int = 500_000
    ) -> None:
        self.size = size
        self.keyframes = keyframes
        self.bitrate = bitrate
        self.frames = frames
        self.connections = 0
        self.stopping = threading.Event()
        camera = self

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

        class Handler(_Handler):
            owner = camera

        self._server = Server(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"rtsp://user:secret@127.0.0.1:{self._server.server_address[1]}/live"

    def __enter__(self) -> RtspCamera:
        serving = {"poll_interval": 0.02}
        threading.Thread(target=self._server.serve_forever, kwargs=serving, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(socketserver.StreamRequestHandler):
    owner: RtspCamera

    def handle(self) -> None:
        self.owner.connections += 1
        try:
            while (request := self._request()) is not None:
                method, headers = request
                self._answer(method, headers)
                if method == "PLAY":
                    self._play()
                    return
        except OSError:  # the client has gone
            return

    def _request(self) -> tuple[str, str] | None:
        lines = []
        while (line := self.rfile.readline().decode()) not in ("\r\n", ""):
            lines.append(line)
        return (lines[0].split()[0], "".join(lines)) if lines else None

    def _answer(self, method: str, headers: str) -> None:
        sequence = re.search(r"CSeq: *(\d+)", headers, re.IGNORECASE)
        assert sequence is not None
        extra, body = "", ""
        if method == "OPTIONS":
            extra = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            body = SDP
            extra = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            extra = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "PLAY":
            extra = "Session: 1\r\n"
        self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {sequence[1]}\r\n{extra}\r\n{body}".encode())

    def _play(self) -> None:
        camera, every = SyntheticCamera(self.owner.size, 30), self.owner.keyframes
        encoder = VideoEncoder(VideoCodec.H264, 30, self.owner.bitrate)
        number = 0
        for count in range(self.owner.frames):
            picture = camera.read(self.owner.stopping)
            if picture is None:
                return
            frame = encoder.encode(picture, keyframe=every > 0 and count % every == 0)
            assert frame is not None
            units = [unit for unit in re.split(rb"\x00\x00\x00?\x01", frame.data) if unit]
            for unit in units:
                last = unit is units[-1]
                kind = 96 | (0x80 if last else 0)
                header = struct.pack(">BBHII", 0x80, kind, number & 0xFFFF, frame.pts, 7)
                number += 1
                self.wfile.write(struct.pack(">BBH", 0x24, 0, len(header) + len(unit)) + header + unit)
