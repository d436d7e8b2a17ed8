"""The session's stream: hears what the hub pushes, comes back whenever it breaks, and keeps the lease."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

import grpc
import structlog
from mediaagent.hub.v1 import hub_pb2

from mediaagentd.call.types import CallChanged, CallsListed, SessionChanged, SessionPhase
from mediaagentd.errors import Reason, Refused
from mediaagentd.interceptors import refused_from
from mediaagentd.signalling import wire
from mediaagentd.signalling.backoff import Backoff
from mediaagentd.signalling.listener import Listener
from mediaagentd.signalling.rpc import UNANSWERED, Rpc, Session, unreadable
from mediaagentd.signalling.verdict import Verdict, verdict

_log = structlog.stdlib.get_logger()

CAP = 7.0
"""Seconds; the longest pause between attempts."""

ANSWER = 5.0
"""Seconds in which the hub has to welcome, or to answer a login."""

PROOF = 1.5
"""Seconds that the hub has to answer after the network has changed; then the connection is begun anew."""

SPREAD = 0.5
"""Seconds over which the agents of a hub that is there again come back."""

_BRIEF = 1.0
"""Seconds; a stream that the hub ended so soon is begun again with a pause."""

_ECHO = 600.0
"""Seconds within which a session is taken for kicked out by a login of this device of long ago once only; the
second time another device bears its name, and logged in later.
"""

_NOWHERE = 2**64 - 1
"""A cursor that no hub has given: the stream begins with what is live, and tells nothing of before again."""


class Stream:
    """One session's stream. `online` is set whenever it begins; `refused` is why the hub opened the session
    no more, if that ended it.
    """

    def __init__(
        self, rpc: Rpc, session: Session, listener: Listener, device_id: str, heartbeat: float
    ) -> None:
        self.online = asyncio.Event()
        self.refused: Refused | None = None
        self._told: Reason | None = None
        self._hurry = asyncio.Event()
        self._rpc = rpc
        self._session = session
        self._listener = listener
        self._device_id = device_id
        self._silence = 3 * heartbeat
        self._cursor = 0
        self._phase = SessionPhase.LOGGED_OUT
        self._backoff = Backoff(0.25, CAP)
        self._echo: str | None = None  # the token of the session that was
        self._echoed = -_ECHO

    async def run(self) -> SessionChanged:
        """Listens until the session is over for good; returns how it ended, which is not reported."""
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            try:
                kicked = await self._listen()
            except Refused as refused:
                self._change(SessionPhase.RECONNECTING)
                _log.info("hub_stream_lost", reason=refused.reason.name)
                over = await self._log_in_again() if refused.reason is Reason.SESSION_UNKNOWN else None
                if over is not None:
                    return over
            else:
                if kicked is not None:
                    over = await self._kicked_out(kicked)
                    if over is not None:
                        return over
                elif loop.time() - begun >= _BRIEF:
                    continue  # in good order, to hand out new TURN credentials
            await self._pause()

    async def keep_lease(self) -> None:
        """Renews the lease until cancelled; a stream that begins renews it too. What the hub answers does
        not matter here: the stream hears of a lost session by itself. The first time comes at any time of a
        third: agents that came together must not renew together for ever.
        """
        pause = self._session.lease / 3 * random.random()  # noqa: S311 - spreads load, keeps no secret
        while True:
            await asyncio.sleep(pause)
            pause = third = self._session.lease / 3
            try:
                await self._rpc.unary(self._session, "RenewLease", hub_pb2.RenewLeaseRequest(), third)
            except Refused as refused:
                _log.debug("lease_not_renewed", reason=refused.reason.name)

    async def _pause(self) -> None:
        """Waits before the next attempt. Of a hub that was away and is there again the connection hears; a
        moment of its own for each agent keeps a thousand from coming at once.
        """
        if self._session.urgent:
            self._backoff.reset()
        if self._rpc.is_connected:  # it is there, and does not want us now
            await self._backoff.pause(self._hurry)
            return
        returning = asyncio.get_running_loop().create_task(self._await_return(), name="hub-return")
        try:
            await self._backoff.pause(self._hurry)
        finally:
            returning.cancel()
            await asyncio.wait([returning])

    async def _await_return(self) -> None:
        await self._rpc.connected()
        await asyncio.sleep(random.uniform(0.0, SPREAD))  # noqa: S311 - spreads load, keeps no secret
        self.hurry()

    def begin_anew(self) -> None:
        """It ended by a defect, maybe of what the hub said, which is then not asked for again."""
        self._change(SessionPhase.RECONNECTING)
        self._cursor = _NOWHERE

    def hurry(self) -> None:
        """Ends the present pause."""
        self._hurry.set()

    async def doubt(self, lost: bool) -> None:
        """Begins the connection anew when it is `lost`, or does not prove within `PROOF` that it lives; and
        no pause goes on. Whatever waits on it then is sent anew.
        """
        self._hurry.set()
        if not lost:
            try:
                await self._rpc.unary(self._session, "RenewLease", hub_pb2.RenewLeaseRequest(), PROOF)
            except Refused as refused:
                if refused.reason not in UNANSWERED:
                    return
            else:
                return
        _log.info("hub_connection_begun_anew")
        await self._rpc.reconnect()

    async def _listen(self) -> str | None:
        """One stream to its end: the device that kicked us out, or None when the hub ended it in good order.
        Refused: everything else.
        """
        if self._session.token == self._echo:  # the hub would welcome it, and kick it out again
            raise Refused(Reason.SESSION_UNKNOWN, "kicked out by itself: to be opened again")
        call = self._rpc.subscribe(self._session, self._cursor)
        patience = ANSWER
        try:
            while True:
                async with asyncio.timeout(patience):
                    message = await call.read()
                if message is grpc.aio.EOF:
                    return None
                if message is None:  # so gRPC says that its bytes are no message
                    self._cursor = _NOWHERE
                    raise unreadable()
                if message.WhichOneof("body") == "kicked_out":
                    return str(message.kicked_out.device_id)
                self._hear(message)
                patience = self._silence
        except grpc.aio.AioRpcError as error:
            raise refused_from(error) from None
        except TimeoutError:
            await self._rpc.reconnect()
            raise Refused(Reason.HUB_UNREACHABLE, "the hub has fallen silent") from None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not we were cancelled but the stream, by `doubt`.
            raise Refused(Reason.HUB_UNREACHABLE, "the connection was given up") from None
        finally:
            call.cancel()

    def _hear(self, message: Any) -> None:
        match message.WhichOneof("body"):
            case "welcome":
                self._welcome(message.welcome)
            case "call_changed":
                call = wire.call(message.call_changed)
                if call is not None:
                    self._listener.report(CallChanged(call))
            case "signal":
                signal = wire.signal(message.signal)
                if signal is not None:
                    self._listener.on_signal(message.signal.call_id, message.signal.sender, signal)
            case "missed_call":
                records = wire.missed_now(message.missed_call, self._session.user_id, time.time())
                self._listener.on_missed(records)
            case _:
                pass  # a heartbeat, or a newer hub's word
        if message.sequence:
            self._cursor = message.sequence

    def _welcome(self, welcome: hub_pb2.Welcome) -> None:
        self._backoff.reset()
        self._listener.on_ice_servers(tuple(wire.ice_server(server) for server in welcome.ice_servers))
        self._change(SessionPhase.ONLINE)
        self._listener.report(CallsListed(wire.calls(welcome)))
        if welcome.missed:
            self._listener.on_missed(wire.missed(welcome, self._session.user_id, time.time()))
        self.online.set()

    async def _kicked_out(self, device_id: str) -> SessionChanged | None:
        """A newer login won. One of this device is an older one of ours, which was given up and lay in a
        connection that stood still: nobody wanted it, so the session is opened again, unless the hub knows
        better. Returns how it is over, else None.
        """
        now, token = asyncio.get_running_loop().time(), self._session.token
        if device_id != self._device_id or now - self._echoed < _ECHO:
            return self._phased(SessionPhase.KICKED_OUT, device_id)
        self._echo, self._echoed = token, now
        _log.warning("kicked_out_by_itself")
        self._change(SessionPhase.RECONNECTING)
        return await self._log_in_again()

    async def _log_in_again(self) -> SessionChanged | None:
        """The hub lost the session (it was away, or we were): opens a new one. Returns how it is over for
        good when the hub refuses; None when the stream may try again.
        """
        try:
            await self._rpc.login(self._session, ANSWER)
        except Refused as refused:
            self._tell_refusal(refused)
            match verdict(refused, self._session.user_sig, time.time()):
                case Verdict.SOON:
                    return None
                case Verdict.LATER if self._session.take_spare():
                    return await self._log_in_again()
                case Verdict.LATER:
                    self.refused = refused
                    return self._phased(SessionPhase.LOGGED_OUT)
                case Verdict.NEVER:
                    return self._phased(SessionPhase.KICKED_OUT, refused.metadata.get("device_id", ""))
        self._cursor = 0
        self._told = None
        self._backoff.reset()
        return None

    def _tell_refusal(self, refused: Refused) -> None:
        """In the log, once: it may be met every few seconds for days."""
        if refused.reason is not self._told:
            self._told = refused.reason
            _log.warning("login_again_refused", reason=refused.reason.name, message=refused.message)

    def _change(self, phase: SessionPhase) -> None:
        """Reports a change; before the first welcome there is nothing to report but that."""
        if phase is self._phase or (
            self._phase is SessionPhase.LOGGED_OUT and phase is not SessionPhase.ONLINE
        ):
            return
        self._phase = phase
        self._listener.report(self._phased(phase))

    def _phased(self, phase: SessionPhase, kicked_by: str = "") -> SessionChanged:
        user_id = "" if phase is SessionPhase.LOGGED_OUT else self._session.user_id
        return SessionChanged(phase, user_id, kicked_by, self._device_id)
