"""The port of signalling: who is told what the hub says. Its user implements it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import Report
from mediaagentd.history.types import Record


class Listener(Protocol):
    """Synchronous, on the event loop; never called from within a call of `HubClient`'s synchronous
    methods.
    """

    def report(self, report: Report) -> None:
        """SessionChanged, CallChanged, CallsListed, HubDone, HubFailed."""

    def on_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        """A member of the call sent something for the WebRTC connection; in its order."""

    def on_missed(self, records: Sequence[Record]) -> None:
        """Calls that came while the user was away or busy; told again until they are acknowledged."""

    def on_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """The STUN and TURN servers to use from now on."""
