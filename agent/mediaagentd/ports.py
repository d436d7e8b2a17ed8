"""What the shell of the call machine needs of the house; outcomes come back through `Calls.handle`."""

from __future__ import annotations

from typing import Protocol

from mediaagentd.call.events import Event
from mediaagentd.call.types import Call, HubCommand
from mediaagentd.logins import Session
from mediaagentd.media.settings import LocalMedia
from mediaagentd.media.types import VideoProfile


class Signalling(Session, Protocol):
    """The connection with the hub. Outcomes come back through `Calls.handle`."""

    def perform(self, op: int, command: HubCommand) -> None:
        """Sends a command; HubDone or HubFailed follows unless `op` is 0."""


class Media(Protocol):
    """The devices and the connections with the peers. Outcomes come back through `Calls.handle`."""

    def open_peer(self, call_id: str, user_id: str, attempt: int, offers: bool) -> None:
        """Makes a connection; PeerUp or PeerDown follows."""

    def close_peer(self, call_id: str, user_id: str, attempt: int) -> None:
        """Ends a connection."""

    def probe_camera(self, op: int) -> None:
        """Opens the camera; CameraOpened or CameraFailed follows."""

    def release_camera(self) -> None:
        """Closes the camera."""

    def set_sending(self, audio: bool, video: bool) -> None:
        """What may leave for the peers."""

    def set_in_call(self, in_call: bool) -> None:
        """Whether a call uses the video quality, so that a new one has to wait."""

    def set_profile(self, profile: VideoProfile) -> bool:
        """Chooses the video quality; True when it is in effect now, False for the next call."""

    def local(self) -> LocalMedia:
        """Profiles and devices."""


class Publisher(Protocol):
    """Where events go."""

    def publish(self, event: Event) -> None:
        """Appends the event."""


class Records(Protocol):
    """Where calls are remembered."""

    def note(self, owner_id: str, call: Call) -> None:
        """That user's call began, was answered or ended."""
