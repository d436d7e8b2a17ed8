"""Devices and peers without any: records what is asked and reports what the test wants."""

from __future__ import annotations

from collections.abc import Callable

from mediaagentd.call.types import CameraFailed, CameraOpened, PeerUp, Report
from mediaagentd.errors import Refused
from mediaagentd.media.types import VideoProfile


class FakeMedia:
    """The `Media` port of `calls.py`. Reports at once when `prompt`, else when the test says so."""

    def __init__(self) -> None:
        self.report: Callable[[Report], None] = lambda report: None
        self.peers: set[tuple[str, str, int]] = set()
        self.camera_error: Refused | None = None
        self.camera_open = False
        self.sending = (False, False)
        self.in_call: list[bool] = []
        self.prompt = True
        self.profile = VideoProfile.P720

    def open_peer(self, call_id: str, user_id: str, attempt: int, offers: bool) -> None:
        assert (call_id, user_id, attempt) not in self.peers
        self.peers.add((call_id, user_id, attempt))
        if self.prompt:
            self.report(PeerUp(call_id, user_id, attempt))

    def close_peer(self, call_id: str, user_id: str, attempt: int) -> None:
        self.peers.remove((call_id, user_id, attempt))

    def probe_camera(self, op: int) -> None:
        if self.camera_error is not None:
            self.report(CameraFailed(op, self.camera_error))
            return
        self.camera_open = True
        self.report(CameraOpened(op))

    def release_camera(self) -> None:
        self.camera_open = False

    def set_sending(self, audio: bool, video: bool) -> None:
        self.sending = (audio, video)

    def set_in_call(self, in_call: bool) -> None:
        self.in_call.append(in_call)

    def set_profile(self, profile: VideoProfile) -> bool:
        self.profile = profile
        return not (self.in_call and self.in_call[-1])
