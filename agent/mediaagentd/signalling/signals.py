"""SDP and candidates on their way to other members: one after the other, in their order."""

from __future__ import annotations

import asyncio
from collections import deque

import structlog

from mediaagentd.call.signal import Signal
from mediaagentd.errors import Reason, Refused
from mediaagentd.signalling import wire
from mediaagentd.signalling.backoff import Backoff
from mediaagentd.signalling.rpc import UNANSWERED, Rpc, Session

_log = structlog.stdlib.get_logger()

MAX_WAITING = 512
"""Signals that may wait; beyond it the newest is dropped, and the link that it was for is not made."""

PATIENCE = 5.0
"""Seconds for one signal. Later its connection is given up anyway, and a new attempt has new signals."""


class Signals:
    """The queue of one session. `online` as for Commands."""

    def __init__(self, rpc: Rpc, session: Session, online: asyncio.Event) -> None:
        self._rpc = rpc
        self._session = session
        self._online = online
        self._waiting: deque[tuple[str, str, Signal]] = deque()
        self._news = asyncio.Event()

    def add(self, call_id: str, user_id: str, signal: Signal) -> None:
        """Queues a signal."""
        if len(self._waiting) >= MAX_WAITING:
            _log.warning("signal_dropped", call_id=call_id, reason="too many wait")
            return
        self._waiting.append((call_id, user_id, signal))
        self._news.set()

    async def run(self) -> None:
        """Sends until cancelled."""
        while True:
            while self._waiting:
                await self._deliver(*self._waiting.popleft())
            await self._news.wait()
            self._news.clear()

    async def _deliver(self, call_id: str, user_id: str, signal: Signal) -> None:
        request = wire.relay(call_id, user_id, signal)
        backoff = Backoff(0.1, 1.0)
        loop = asyncio.get_running_loop()
        end = loop.time() + PATIENCE
        while (left := end - loop.time()) > 0:
            try:
                await self._rpc.unary(self._session, "Relay", request, left)
            except Refused as refused:
                if refused.reason in UNANSWERED or refused.reason is Reason.SESSION_UNKNOWN:
                    await backoff.pause(self._online)
                    continue
                # Ordinary when a call ends while its candidates are still on their way.
                _log.debug("signal_refused", call_id=call_id, reason=refused.reason.name)
            return
        _log.warning("signal_dropped", call_id=call_id, reason="the hub does not answer")
