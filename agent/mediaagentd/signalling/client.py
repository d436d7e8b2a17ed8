"""The agent's connection with the hub: logs in, stays so, hands commands and signals over."""

from __future__ import annotations

import asyncio
import contextlib
import time
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
from mediaagentd.signalling.faulty import FaultyRpc
from mediaagentd.signalling.groups import Groups
from mediaagentd.signalling.listener import Listener
from mediaagentd.signalling.rpc import UNANSWERED, Authorities, Rpc, Session
from mediaagentd.signalling.running import Running
from mediaagentd.signalling.stream import ANSWER
from mediaagentd.usersig import LEEWAY, suited

__all__ = ["HubClient", "Listener"]

_log = structlog.stdlib.get_logger()

_ACKNOWLEDGED = 500
"""Missed calls in one acknowledgement; the hub takes 1000."""

_GOODBYE = 2.0
"""Seconds that a logout, and the closing of the channel, may take."""


class HubClient:
    """One agent's session with the hub. `target` is what gRPC takes; `heartbeat` is the hub's, in seconds:
    three of them without a word and the stream is begun again. With `tls`, `ca` says who may
    have signed the hub's certificate.
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
        ca: Authorities | None = None,
        faults: Faults | None = None,
    ) -> None:
        self._rpc = (
            Rpc(target, device_id, sdk_app_id, ca, tls)
            if faults is None
            else FaultyRpc(target, device_id, sdk_app_id, ca, tls, faults)
        )
        self._listener = _Guarded(listener)
        self._device_id = device_id
        self._sdk_app_id = sdk_app_id
        self._heartbeat = heartbeat
        self._lock = asyncio.Lock()
        self._running: Running | None = None
        self.groups = Groups(self._ask)

    async def login(self, user_id: str, user_sig: str) -> None:
        """Opens the session and its stream; returns when the hub has welcomed us: ONLINE and the live calls
        have been reported by then. Ends a session before it.

        Refused: as the hub says, HUB_UNREACHABLE when it does not answer within 5 s.
        """
        async with self._lock:
            await self._goodbye(self._drop())
            session = Session(user_id, user_sig)
            try:
                async with asyncio.timeout(ANSWER):
                    await self._rpc.login(session, ANSWER)
                    self._running = Running(
                        self._rpc, session, self._listener, self._device_id, self._heartbeat
                    )
                    await self._running.welcomed()
            except TimeoutError:
                await self._goodbye(self._drop())
                await self._rpc.reconnect()
                raise _unreachable() from None
            except Refused as refused:
                raise (_unreachable() if refused.reason in UNANSWERED else refused) from None
            except BaseException:  # whoever asked for it has gone
                await self._goodbye(self._drop())
                raise

    async def logout(self) -> None:
        """Ends the session here, and at the hub if it answers soon; else its lease does. Never raises."""
        async with self._lock:
            running = self._drop(always=True)
            await self._goodbye(running)

    def renew(self, user_sig: str) -> None:
        """Keeps another UserSig of the user who is logged in, for when the hub loses the session. The one
        before is kept as well until a login has proven it.

        Refused: USER_SIG_*, by what it says and by our clock; then nothing has changed.
        """
        running = self._running
        if running is None or user_sig == running.session.user_sig:
            return
        claims = suited(user_sig, user_id=running.session.user_id, sdk_app_id=self._sdk_app_id)
        if claims.ends < time.time() - LEEWAY:
            raise Refused(Reason.USER_SIG_EXPIRED, "user_sig: expired", {"code": "70001"})
        running.renew(user_sig)
        _log.info("user_sig_replaced")

    @property
    def has_session(self) -> bool:
        """Whether a session runs: the hub is listened to, or tried again."""
        return self._running is not None and not self._running.over

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

    def _drop(self, *, always: bool = False) -> Running | None:
        """Takes what runs away and tells so in the same turn of the loop: whatever ends the farewell that
        follows, nobody goes on believing in this session. `always`: tells so also when nothing ran.
        """
        running, self._running = self._running, None
        is_told = running is not None and running.is_told
        if running is not None:
            running.cancel()
        if always or is_told:
            self._listener.report(SessionChanged(SessionPhase.LOGGED_OUT, "", device_id=self._device_id))
        return running

    async def _goodbye(self, running: Running | None) -> None:
        """Stops it, and tells the hub."""
        if running is None:
            return
        over = running.over
        await running.stop()
        if not over:
            with contextlib.suppress(Refused):
                await self._rpc.unary(running.session, "Logout", hub_pb2.LogoutRequest(), _GOODBYE)


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


def _unreachable() -> Refused:
    return Refused(Reason.HUB_UNREACHABLE, "the hub does not answer")
