"""What the services share: the parts behind them, and the present state as messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import grpc.aio
from mediaagent.v1 import media_pb2, session_pb2

from mediaagentd.api import convert
from mediaagentd.api.convert import Conversion, Present
from mediaagentd.call.group import Group, GroupPage
from mediaagentd.calls import Calls
from mediaagentd.events import EventLog
from mediaagentd.faults import Sabotage
from mediaagentd.history.types import Filter, Page, Record
from mediaagentd.media.settings import LocalMedia, PeerFigures
from mediaagentd.media.views.types import Picture, Snapshot, View

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
"""The context of an RPC."""


class Engine(Protocol):
    """What clients want of media."""

    async def opened(self) -> None:
        """Waits until commands can be served; figures, views and names are told before."""

    async def start_view(self, view: View) -> str:
        """Shows video; the answer to a web page. Refused: USER_NOT_IN_CALL, VIEW_EXISTS, NOT_OFFERED,
        SIGNAL_INVALID, CODEC_MISMATCH.
        """

    def stop_view(self, view_id: str, user_id: str | None) -> None:
        """Ends it; Refused(VIEW_UNKNOWN)."""

    def views(self) -> tuple[View, ...]:
        """The present views, oldest first."""

    def watch(self, view_id: str) -> AsyncIterator[Picture]:
        """The pictures of a frames view; Refused(VIEW_UNKNOWN)."""

    async def snapshot(self, user_id: str, jpeg_quality: int | None, timeout: float) -> Snapshot:
        """One picture; Refused: USER_NOT_IN_CALL, NO_VIDEO, TIMED_OUT."""

    def figures(self) -> tuple[PeerFigures, ...]:
        """Totals per peer."""

    def local(self) -> LocalMedia:
        """Profiles and devices."""


class Records(Protocol):
    """What clients want of the history; see `history.History`."""

    async def page(self, chosen: Filter, size: int, token: str) -> Page:
        """A page; Refused(FIELD_INVALID)."""

    async def get(self, record_id: int) -> Record:
        """One record; Refused(RECORD_UNKNOWN)."""

    async def delete(self, record_ids: Sequence[int]) -> int:
        """Deletes records; how many."""

    async def delete_all(self, owner_id: str = "") -> int:
        """Deletes that owner's records, or everyone's; how many."""


class Groups(Protocol):
    """What clients want of groups; Refused as group.proto says."""

    async def create(self, group_id: str, name: str, member_ids: Sequence[str], request_id: str) -> Group:
        """Makes one."""

    async def delete(self, group_id: str) -> None:
        """Deletes it."""

    async def add(self, group_id: str, user_ids: Sequence[str]) -> Group:
        """Adds members."""

    async def remove(self, group_id: str, user_ids: Sequence[str]) -> Group:
        """Removes members."""

    async def get(self, group_id: str) -> Group:
        """The group with its members."""

    async def page(self, size: int, token: str) -> GroupPage:
        """The user's groups."""


@dataclass(frozen=True, slots=True)
class About:
    """What the daemon says of itself. `clock` is the machine's, `started` an instant of it; `lag`: seconds
    that the event loop was late lately, the 99th percentile.
    """

    version: str
    hub: str
    clock: Callable[[], float]
    started: float
    lag: Callable[[], float] = lambda: 0.0

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return self.clock() - self.started


@dataclass(frozen=True, slots=True)
class House:
    """The parts behind the services. `network_changed` makes connections anew and says how many;
    `sabotage` is there when faults are enabled.
    """

    calls: Calls
    engine: Engine
    log: EventLog
    records: Records
    groups: Groups
    conversion: Conversion
    about: About
    network_changed: Callable[[], int]
    sabotage: Sabotage | None = None

    def present(self) -> Present:
        """Everything as it is now."""
        return Present(self.calls.state, self.calls.login_time, self.engine.local(), self.engine.views())

    def session(self) -> session_pb2.Session:
        """The present session."""
        state = self.calls.state
        return self.conversion.session(state.session, state.user_id, self.calls.login_time)

    def local_media(self) -> media_pb2.LocalMedia:
        """The present local media."""
        state = self.calls.state
        return convert.local_media(state.camera, state.muted, self.engine.local())
