"""The agent's connection with the hub: logs in, stays so, hands commands and signals over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import structlog
from google.protobuf.message import Message
from mediaagent.hub.v1 import hub_pb2

from mediaagentd.call.signal import IceServer, Signal
from mediaagentd.call.types import HubCommand, HubFailed, Report, SessionChanged, SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.faults import Faults
from mediaagentd.history.types import Record
from mediaagentd.signalling import wire
from mediaagentd.signalling.commands import Commands
from mediaagentd.signalling.faulty import FaultyRpc
from mediaagentd.signalling.groups import Groups
from mediaagentd.signalling.listener import Listener
from mediaagentd.signalling.rpc import UNANSWERED, Rpc, Session
from mediaagentd.signalling.signals import Signals
from mediaagentd.signalling.stream import ANSWER, Stream

__all__ = ["HubClient", "Listener"]

_log = structlog.stdlib.get_logger()

_ACKNOWLEDGED = 500
"""Missed calls in one acknowledgement; the hub takes 1000."""

_GOODBYE = 2.0
"""Seconds that a logout, and the closing of the channel, may take."""


class HubClient:
    """One agent's session with the hub. `target` is what gRPC takes; `heartbeat` is the hub's, in seconds:
    three of them without a word and the stream is begun again. With `tls`, `ca` is the PEM of who signed
    the hub's certificate, None for the system's.
    """

    def __init__(
        self,
        target: str,
        *,
        device_id: str,
        sdk_app_id: int,
        listener: Listener,
        heartbeat: float = 5.0,
        tls: bool = False,
        ca: bytes | None = None,
        faults: Faults | None = None,
    ) -> None:
        self._rpc = (
            Rpc(target, device_id, sdk_app_id, ca, tls)
            if faults is None
            else FaultyRpc(target, device_id, sdk_app_id, ca, tls, faults)
        )
        self._listener = _Guarded(listener)
        self._device_id = device_id
        self._heartbeat = heartbeat
        self._lock = asyncio.Lock()
        self._running: _Running | None = None
        self.groups = Groups(self._ask)

    async def login(self, user_id: str, user_sig: str) -> None:
        """Opens the session and its stream; returns when the hub has welcomed us: ONLINE and the live calls
        have been reported by then. Ends a session before it.

        Refused: as the hub says, HUB_UNREACHABLE when it does not answer within 5 s.
        """
        async with self._lock:
            await self._leave()
            session = Session(user_id, user_sig)
            running: _Running | None = None
            try:
                async with asyncio.timeout(ANSWER):
                    await self._rpc.login(session, ANSWER)
                    running = _Running(self._rpc, session, self._listener, self._device_id, self._heartbeat)
                    self._running = running
                    await running.welcomed()
            except TimeoutError:
                await self._leave()
                await self._rpc.reconnect()
                raise _unreachable() from None
            except Refused as refused:
                raise (_unreachable() if refused.reason in UNANSWERED else refused) from None
            except asyncio.CancelledError:
                await self._leave()
                raise

    async def logout(self) -> None:
        """Ends the session here, and at the hub if it answers soon; else its lease does. Never raises."""
        async with self._lock:
            await self._leave()
            self._listener.report(SessionChanged(SessionPhase.LOGGED_OUT, "", device_id=self._device_id))

    def perform(self, op: int, command: HubCommand) -> None:
        """Sends a command. HubDone or HubFailed with that `op` is reported once, within 10 s; with `op` 0
        nothing is, and it is sent until the hub has answered.
        """
        if self._running is not None and not self._running.over:
            self._running.commands.add(op, command)
        elif op:
            refused = Refused(Reason.NOT_LOGGED_IN, "this needs a logged-in user")
            asyncio.get_running_loop().call_soon(self._listener.report, HubFailed(op, refused))

    def send_signal(self, call_id: str, user_id: str, signal: Signal) -> None:
        """Hands a signal to another member of the call, in order; lost when the hub does not take it soon."""
        if self._running is not None and not self._running.over:
            self._running.signals.add(call_id, user_id, signal)

    def acknowledge_missed(self, invite_ids: Sequence[str]) -> None:
        """Tells the hub that those missed calls are kept here; what does not reach it is told again."""
        if self._running is not None and not self._running.over:
            for begin in range(0, len(invite_ids), _ACKNOWLEDGED):
                some = tuple(invite_ids[begin : begin + _ACKNOWLEDGED])
                self._running.commands.add(0, wire.AcknowledgeMissed(some))

    def network_changed(self, *, lost: bool) -> None:
        """The machine's network has changed. `lost`: the connection is surely gone with it; else it is
        looked after, and begun anew unless the hub answers soon.
        """
        if self._running is not None and not self._running.over:
            self._running.network_changed(lost)

    async def drop(self) -> None:
        """Breaks the connection; with `faults` only."""
        await self._rpc.reconnect()

    def set_urgent(self, urgent: bool) -> None:
        """Whether a connection of a call waits for signals to travel again."""
        if self._running is not None and not self._running.over:
            self._running.set_urgent(urgent)

    async def close(self) -> None:
        """Ends everything here without a word to the hub, which keeps the session for its lease."""
        running, self._running = self._running, None
        try:
            async with asyncio.timeout(_GOODBYE):
                if running is not None:
                    await running.stop()
                await self._rpc.close()
        except TimeoutError:
            _log.warning("hub_client_left_open")

    async def _ask(self, name: str, request: Message) -> Any:
        """One RPC in the present session, for whoever asks. Refused: the hub's words, NOT_LOGGED_IN,
        HUB_UNREACHABLE.
        """
        running = self._running
        if running is None or running.over:
            raise Refused(Reason.NOT_LOGGED_IN, "this needs a logged-in user")
        try:
            return await self._rpc.unary(running.session, name, request, ANSWER)
        except Refused as refused:
            # An unknown session is about to be opened anew by the stream.
            if refused.reason in UNANSWERED or refused.reason is Reason.SESSION_UNKNOWN:
                raise _unreachable() from None
            raise

    async def _leave(self) -> None:
        """Stops what runs, and tells the hub."""
        running, self._running = self._running, None
        if running is None:
            return
        over = running.over
        await running.stop()
        if over:
            return
        with contextlib.suppress(Refused):
            await self._rpc.unary(running.session, "Logout", hub_pb2.LogoutRequest(), _GOODBYE)


class _Running:
    """A session while it lasts: its stream, its queues, and the task that owns theirs."""

    def __init__(
        self, rpc: Rpc, session: Session, listener: Listener, device_id: str, heartbeat: float
    ) -> None:
        self.session = session
        self._report = listener.report
        self._stream = Stream(rpc, session, listener, device_id, heartbeat)
        self._welcomed = asyncio.get_running_loop().create_task(self._stream.online.wait())
        self.commands = Commands(rpc, session, listener.report, self._stream.online)
        self.signals = Signals(rpc, session, self._stream.online)
        self._doubts: list[asyncio.Task[None]] = []
        self._task = asyncio.get_running_loop().create_task(self._run(), name="hub-session")

    @property
    def over(self) -> bool:
        """Whether the session has ended by itself: kicked out, or refused by the hub."""
        return self._task.done()

    async def welcomed(self) -> None:
        """Waits for the first welcome. Refused(KICKED_OUT) when a newer login came before it."""
        await asyncio.wait({self._welcomed, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if self.over:
            raise _kicked_out()

    def network_changed(self, lost: bool) -> None:
        """See `HubClient`."""
        self._doubts.append(
            asyncio.get_running_loop().create_task(self._stream.doubt(lost), name="hub-doubt")
        )
        self._doubts = [doubt for doubt in self._doubts if not doubt.done()]

    def set_urgent(self, urgent: bool) -> None:
        """See `HubClient`."""
        if urgent and not self.session.urgent:
            self._stream.hurry()
        self.session.urgent = urgent

    async def stop(self) -> None:
        """Stops everything; whoever waits for a command is told."""
        self._task.cancel()
        self._welcomed.cancel()
        await asyncio.wait({self._task, self._welcomed})

    async def _run(self) -> None:
        refused = Refused(Reason.NOT_LOGGED_IN, "logged out")
        helpers = [
            asyncio.create_task(self.commands.run(), name="hub-commands"),
            asyncio.create_task(self.signals.run(), name="hub-signals"),
            asyncio.create_task(self._stream.keep_lease(), name="hub-lease"),
        ]
        try:
            ended = await self._stream.run()
            if ended.session is SessionPhase.KICKED_OUT:
                refused = Refused(
                    Reason.KICKED_OUT, "another device of this user logged in", {"code": "6208"}
                )
            self._report(ended)
        finally:
            helpers += self._doubts
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)
            self.commands.drop(refused)


class _Guarded:
    """A listener whose defects do not end the session: they are told in the log, without their words,
    which may be a user's.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def report(self, report: Report) -> None:
        """As the port says."""
        try:
            self._listener.report(report)
        except Exception as error:
            _log.error("report_failed", report=type(report).__name__, error=type(error).__name__)

    def on_signal(self, call_id: str, sender: str, signal: Signal) -> None:
        """As the port says."""
        try:
            self._listener.on_signal(call_id, sender, signal)
        except Exception as error:
            _log.error("signal_failed", call_id=call_id, error=type(error).__name__)

    def on_missed(self, records: Sequence[Record]) -> None:
        """As the port says."""
        try:
            self._listener.on_missed(records)
        except Exception as error:
            _log.error("missed_calls_failed", error=type(error).__name__)

    def on_ice_servers(self, servers: Sequence[IceServer]) -> None:
        """As the port says."""
        try:
            self._listener.on_ice_servers(servers)
        except Exception as error:
            _log.error("ice_servers_failed", error=type(error).__name__)


def _kicked_out() -> Refused:
    return Refused(Reason.KICKED_OUT, "another device of this user has logged in", {"code": "6208"})


def _unreachable() -> Refused:
    return Refused(Reason.HUB_UNREACHABLE, "the hub does not answer")
