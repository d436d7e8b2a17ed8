"""A channel to the hub that fails on purpose (FaultService); without faults enabled it is never made."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.message import Message

from mediaagentd.errors import Reason, Refused
from mediaagentd.faults import Fault, Faults
from mediaagentd.signalling.rpc import Authorities, Rpc, Session

_SPARED = frozenset({"Login", "Logout", "RenewLease"})
"""What keeps the session: refused or late signalling is not a lost session."""


class FaultyRpc(Rpc):
    """An Rpc that the faults stand in front of."""

    def __init__(
        self, target: str, device_id: str, sdk_app_id: int, ca: Authorities | None, tls: bool, faults: Faults
    ) -> None:
        super().__init__(target, device_id, sdk_app_id, ca, tls)
        self._faults = faults

    async def unary(self, session: Session, name: str, request: Message, timeout: float) -> Any:
        """See Rpc. Refused(FAULT_INJECTED) while signalling is refused."""
        self._check_reachable()
        if name not in _SPARED:
            if self._faults.left(Fault.SIGNALLING_REFUSED):
                raise Refused(Reason.FAULT_INJECTED, "signalling is refused on purpose")
            await self._faults.pause()
            self._check_reachable()
        return await super().unary(session, name, request, timeout)

    async def connected(self) -> None:
        """See Rpc."""
        await asyncio.sleep(self._faults.left(Fault.HUB_DROPPED))
        await super().connected()

    def subscribe(self, session: Session, cursor: int) -> Any:
        """See Rpc."""
        self._check_reachable()
        return _LateStream(super().subscribe(session, cursor), self._faults)

    def _check_reachable(self) -> None:
        if self._faults.left(Fault.HUB_DROPPED):
            raise Refused(Reason.HUB_UNREACHABLE, "the hub is cut off on purpose")


class _LateStream:
    """A stream whose messages come late, and that breaks with the connection."""

    def __init__(self, call: Any, faults: Faults) -> None:
        self._call = call
        self._faults = faults

    async def read(self) -> Any:
        """The next message."""
        try:
            message = await self._call.read()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not we were cancelled but the stream, by `reconnect`.
            raise Refused(Reason.HUB_UNREACHABLE, "the connection was cut on purpose") from None
        await self._faults.pause()
        return message

    def cancel(self) -> None:
        """Ends it."""
        self._call.cancel()
